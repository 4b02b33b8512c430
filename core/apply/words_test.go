package apply

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

const canary = "CANARY\"pass\nword"

var password = field.NewPath("spec", "password")

func workOn(group, resource string, value any) Work {
	raw := fmt.Sprintf(`{"apiVersion":"v1","kind":"X","metadata":{"name":"root","namespace":"acc","labels":{"l":"labelled"}},"spec":{"password":%q,"pin":424242,"list":["listed"]},"data":{"p":%q}}`,
		value, base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(value))))
	k := item.Key{Group: group, Resource: resource, Namespace: "acc", Name: "root"}
	return Work{Step: plan.Step{Key: k}, Item: item.Item{Key: k, Raw: []byte(raw)}}
}

func invalid(list ...*field.Error) error {
	return fmt.Errorf("create: %w", apierrors.NewInvalid(schema.GroupKind{Group: "sec.example", Kind: "Account"}, "root", list))
}

// Every message that an API server makes of a value names the field and the rule, and
// does not repeat the value.
func TestWordsAboutSecretValuesNameTheFieldAndTheRule(t *testing.T) {
	policy := &apierrors.StatusError{ErrStatus: metav1.Status{Status: "Failure", Code: 422, Reason: metav1.StatusReasonInvalid,
		Message: `accounts.sec.example "root" is forbidden: ValidatingAdmissionPolicy 'strong' with binding 'all' denied request: password CANA is weak`,
		Details: &metav1.StatusDetails{Name: "root", Causes: []metav1.StatusCause{{Message: "password CANA is weak"}}}}}
	webhook := &apierrors.StatusError{ErrStatus: metav1.Status{Status: "Failure", Code: 400, Message: `admission webhook "check.example" denied the request: password CANA is weak`}}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a pattern": {invalid(field.Invalid(password, canary, "spec.password in body should match '^[0-9]+$'")),
			`Account.sec.example "root" is invalid: spec.password: invalid value: spec.password in body should match '^[0-9]+$' (values are not shown)`},
		"a length": {invalid(field.Invalid(password, canary, "spec.password in body should be at least 30 chars long")),
			`Account.sec.example "root" is invalid: spec.password: invalid value: spec.password in body should be at least 30 chars long (values are not shown)`},
		"a type": {invalid(field.Invalid(field.NewPath("spec", "pin"), "string", `spec.pin in body must be of type integer: "string"`)),
			`Account.sec.example "root" is invalid: spec.pin: invalid value: spec.pin in body must be of type integer (values are not shown)`},
		"an enumeration": {invalid(field.NotSupported(password, canary, []string{"a", "b"})),
			`Account.sec.example "root" is invalid: spec.password: unsupported value: supported values: "a", "b" (values are not shown)`},
		"a rule in CEL that shows a part": {invalid(field.Invalid(password, map[string]any{"password": canary}, "password CANA is weak")),
			`Account.sec.example "root" is invalid: spec.password: invalid value (values are not shown)`},
		"a number": {invalid(field.Invalid(field.NewPath("spec", "pin"), 424242, "spec.pin in body should be less than or equal to 9999")),
			`Account.sec.example "root" is invalid: spec.pin: invalid value: spec.pin in body should be less than or equal to 9999 (values are not shown)`},
		"two of a kind": {invalid(field.Duplicate(password.Index(1), canary)),
			`Account.sec.example "root" is invalid: spec.password[1]: duplicate value (values are not shown)`},
		"several": {invalid(field.Required(field.NewPath("spec", "user"), ""), field.TooLong(password, canary, 5)),
			`Account.sec.example "root" is invalid: spec.user: required value; spec.password: too long (values are not shown)`},
		"a policy":  {policy, `ValidatingAdmissionPolicy 'strong' with binding 'all' denied request: ` + notShown},
		"a webhook": {webhook, `admission webhook "check.example" denied the request: ` + notShown},
		"something that cannot be decoded": {apierrors.NewBadRequest(`Account in version "v1" cannot be handled: quantities must match: "CANA"`),
			"the object cannot be decoded by the API server; " + notShown},
		"a quota": {apierrors.NewForbidden(schema.GroupResource{Resource: "accounts"}, "root", errors.New("exceeded quota: q, requested: count=1, used: count=5, limited: count=5")),
			`accounts "root" is forbidden: exceeded quota: q, requested: count=1, used: count=5, limited: count=5`},
		"a conversion": {apierrors.NewInternalError(errors.New("conversion webhook for sec.example/v1, Kind=Account failed: what of CANA")),
			"conversion webhook for sec.example/v1, Kind=Account failed; " + notShown},
		"a conversion that nothing answers": {apierrors.NewInternalError(errors.New(`conversion webhook for sec.example/v1, Kind=Account failed: Post "https://w.labelled.svc:443/?timeout=30s": no connection`)),
			`Internal error occurred: conversion webhook for sec.example/v1, Kind=Account failed: Post "https://w.labelled.svc:443/?timeout=30s": no connection`},
		"an internal error": {apierrors.NewInternalError(errors.New("what of listed and labelled and 424242")),
			"Internal error occurred: what of … and … and …"},
		"another error": {errors.New("unexpected listed"), "unexpected …"},
	} {
		a := &Applier{Hide: true}
		assert.Equal(t, c.want, a.words(workOn("sec.example", "accounts", canary), c.err), name)
		secret := (&Applier{}).words(workOn("", "secrets", canary), c.err)
		assert.NotContains(t, secret, "CANA", name)
		assert.NotContains(t, secret, "424242", name)
	}
}

func TestABuiltInObjectOfAnEncryptedBackupKeepsTheRule(t *testing.T) {
	err := apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "web", field.ErrorList{
		field.Invalid(field.NewPath("spec", "clusterIPs").Index(0), []string{"10.96.0.1"}, `failed to allocate IP 10.96.0.1: provided IP is not in the valid range`),
		field.Invalid(field.NewPath("spec", "externalName"), canary, "a lowercase RFC 1123 subdomain must consist of lower case characters"),
		field.Forbidden(field.NewPath("spec", "x"), "may not be set"),
	})
	assert.Equal(t, `Service "web" is invalid: spec.clusterIPs[0]: invalid value; spec.externalName: invalid value: a lowercase RFC 1123 subdomain must consist of lower case characters; spec.x: forbidden: may not be set (values are not shown)`,
		(&Applier{Hide: true}).words(workOn("", "services", canary), err))
}

func TestWordsAboutOtherObjectsAreTheAPIServersOwn(t *testing.T) {
	err := invalid(field.Invalid(password, "x", "is short"))
	for _, group := range []string{"", "apps", "rbac.authorization.k8s.io"} {
		assert.Equal(t, cluster.Reason(err), (&Applier{}).words(workOn(group, "things", "x"), err), group)
	}
	assert.NotContains(t, (&Applier{}).words(workOn("sec.example", "accounts", canary), invalid(field.Invalid(password, canary, "no"))), "CANARY")
	denied := &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusForbidden, Message: `admission webhook "w" denied the request: listed is wrong`}}
	assert.Equal(t, `admission webhook "w" denied the request: … is wrong`, (&Applier{}).words(workOn("sec.example", "accounts", "x"), denied), "what a policy says of a plain custom resource helps")
}
