package apply

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// hidden replaces a value that is not repeated.
const hidden = "…"

// words are why the API server rejected a step. They end up in the record of the
// restore and in the evidence of drills, which are stored unencrypted. The server
// repeats values that it rejects, so its words about a Secret, about a custom
// resource, which may hold anything, and about any object of an encrypted backup
// are reduced to what they say without values.
func (a *Applier) words(w Work, err error) string {
	secret := a.Hide || w.Step.GroupResource() == "secrets"
	if !secret && !custom(w.Step) {
		return cluster.Reason(err)
	}
	return withoutValues(err, w.Item.Raw, secret, custom(w.Step))
}

// custom reports whether a step is about a custom resource: the groups of Kubernetes
// itself have no dot, or end with k8s.io.
func custom(s plan.Step) bool {
	return strings.Contains(s.Group, ".") && !strings.HasSuffix(s.Group, ".k8s.io")
}

// withoutValues describes an error of the API server without values of the object: of
// a field that is invalid its path and the rule, of a policy or webhook that denied
// the request its name, and other messages with the values of the object replaced. Of
// an object that is not secret as a whole, all messages are repeated in that way.
func withoutValues(err error, object []byte, secret, custom bool) string {
	known := valuesOf(object)
	var api apierrors.APIStatus
	if !errors.As(err, &api) {
		return replaceValues(err.Error(), known)
	}
	s := api.Status()
	by := deniedBy.FindString(s.Message)
	switch {
	case secret && by != "":
		return by + ": " + notShown
	case by == "" && s.Reason == metav1.StatusReasonInvalid:
		return named(s) + "is invalid: " + brokenRules(s, known, custom)
	case secret && s.Reason == metav1.StatusReasonBadRequest:
		return named(s) + "cannot be decoded by the API server; " + notShown
	case uncalled.MatchString(s.Message):
		return cluster.Reason(err)
	case secret && converting.MatchString(s.Message):
		return converting.FindString(s.Message) + "; " + notShown
	}
	return replaceValues(cluster.Reason(err), known)
}

const notShown = "its message is not shown, because it may repeat values of the object"

// deniedBy is how the API server names who denied a request (k8s.io/apiserver,
// pkg/admission/plugin: webhook/errors/statuserror.go, policy/validating/dispatcher.go).
var deniedBy = regexp.MustCompile(`admission webhook "[^"]*" denied the request|ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied request`)

// uncalled is how the API server words that it could not call a webhook: the message is
// of the connection, and drills recognize it.
var uncalled = regexp.MustCompile(`^(?:Internal error occurred: )?(?:conversion webhook for \S+, Kind=\S+ failed|failed calling webhook "[^"]*": failed to call webhook): Post "`)

// converting is how it words that a webhook could not convert the object.
var converting = regexp.MustCompile(`conversion webhook for \S+, Kind=\S+ failed`)

// named is the object of a status, with a space at the end.
func named(s metav1.Status) string {
	if s.Details == nil || s.Details.Name == "" {
		return "the object "
	}
	kind := s.Details.Kind
	if s.Details.Group != "" {
		kind += "." + s.Details.Group
	}
	return fmt.Sprintf("%s %q ", kind, s.Details.Name)
}

// maxFields is how many fields a message names.
const maxFields = 10

// brokenRules lists the fields that are invalid, and the rules that they violate.
func brokenRules(s metav1.Status, known []string, custom bool) string {
	if s.Details == nil || len(s.Details.Causes) == 0 {
		return notShown
	}
	var out []string
	for i, c := range s.Details.Causes {
		if i == maxFields {
			out = append(out, fmt.Sprintf("and %d more fields", len(s.Details.Causes)-i))
			break
		}
		text := kindOf(c)
		if rule := rule(c, known, custom); rule != "" {
			text += ": " + rule
		}
		if c.Field != "" {
			text = c.Field + ": " + text
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ") + " (values are not shown)"
}

// kindOf is what is wrong with a field: FieldValueInvalid is "invalid value".
func kindOf(c metav1.StatusCause) string {
	switch c.Type {
	case metav1.CauseTypeFieldValueInvalid:
		return "invalid value"
	case metav1.CauseTypeFieldValueRequired:
		return "required value"
	case metav1.CauseTypeFieldValueDuplicate:
		return "duplicate value"
	case metav1.CauseTypeFieldValueNotSupported:
		return "unsupported value"
	case metav1.CauseTypeForbidden:
		return "forbidden"
	case metav1.CauseTypeTooLong:
		return "too long"
	case metav1.CauseTypeTooMany:
		return "too many"
	case metav1.CauseTypeTypeInvalid:
		return "invalid type"
	}
	return "rejected"
}

// rule is what a message says about a field apart from its value, "" if that cannot
// be separated. A schema's own rules are known by their form. What a rule in CEL says
// may hold any part of the value, so nothing else is repeated of a custom resource.
func rule(c metav1.StatusCause, known []string, custom bool) string {
	message := c.Message
	if of := schemaRule.FindStringSubmatch(message); of != nil {
		return replaceValues(of[1], known)
	}
	if of := supported.FindString(message); of != "" {
		return replaceValues(of, known)
	}
	if custom {
		return ""
	}
	_, detail, ok := strings.Cut(message, ": ")
	switch c.Type {
	case metav1.CauseTypeFieldValueRequired, metav1.CauseTypeForbidden, metav1.CauseTypeTooLong: // no value before the detail
	default:
		_, detail, ok = cutValue(message)
	}
	if !ok {
		return ""
	}
	return replaceValues(detail, known)
}

// schemaRule is how k8s.io/kube-openapi (pkg/validation/errors) words a violated rule.
var schemaRule = regexp.MustCompile(`(?s)((?:[^\s:"]+ )?in body (?:` +
	`should match '.*'|should be at (?:least|most) \d+ chars long|should be (?:less|greater) than (?:or equal to )?[0-9.e+-]+|` +
	`should have at (?:least|most) \d+ (?:items|properties)|should be a multiple of [0-9.e+-]+|shouldn't contain duplicates|` +
	`must be of type [a-z0-9,\[\]-]+|is required))`)

// supported is the list of values that a field may have.
var supported = regexp.MustCompile(`supported values: .*`)

// cutValue separates the value from the detail in a message of
// k8s.io/apimachinery/pkg/util/validation/field: `Invalid value: "x": detail`.
func cutValue(message string) (value, detail string, ok bool) {
	_, rest, ok := strings.Cut(message, ": ")
	if !ok {
		return "", "", false
	}
	if strings.HasPrefix(rest, `"`) {
		end := closingQuote(rest)
		if end < 0 {
			return "", "", false
		}
		value, rest = rest[:end], rest[end:]
	} else if value, detail, ok = strings.Cut(rest, ": "); ok && !strings.ContainsAny(value, "{[\"") {
		return value, detail, true
	} else {
		return "", "", false // a list or object: where it ends is unknown
	}
	detail, ok = strings.CutPrefix(rest, ": ")
	return value, detail, ok
}

// closingQuote is the index after the end of a quoted Go string, -1 without an end.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// minValue is the length of the shortest value that is replaced wherever it occurs:
// shorter ones occur in any text.
const minValue = 4

// valuesOf are the values in an object, apart from what names it, in each of the forms
// in which a message may repeat them, the longest first.
func valuesOf(raw []byte) []string {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&object) != nil {
		return nil // a namespace that is not in the backup, for example
	}
	delete(object, "apiVersion")
	delete(object, "kind")
	if meta, ok := object["metadata"].(map[string]any); ok {
		for _, name := range []string{"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "managedFields", "ownerReferences"} {
			delete(meta, name)
		}
	}
	seen := map[string]bool{}
	collectValues(object, func(value string) {
		for _, form := range []string{value, quoted(value), unencoded(value)} {
			if len(form) >= minValue {
				seen[form] = true
			}
		}
	})
	out := make([]string, 0, len(seen))
	for v := range seen {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

func collectValues(v any, use func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			collectValues(inner, use)
		}
	case []any:
		for _, inner := range v {
			collectValues(inner, use)
		}
	case string:
		use(v)
	case json.Number:
		use(v.String())
	}
}

func quoted(value string) string {
	q := fmt.Sprintf("%q", value)
	return q[1 : len(q)-1]
}

// unencoded is a value of a Secret, decoded.
func unencoded(value string) string {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return ""
	}
	return string(b)
}

func replaceValues(text string, known []string) string {
	for _, v := range known {
		text = strings.ReplaceAll(text, v, hidden)
	}
	return text
}
