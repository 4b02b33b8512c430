package apply

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

func TestAServiceGetsItsAuthorsClusterIPOrAnother(t *testing.T) {
	const key = "services shop/dns"
	k := item.Key{Resource: "services", Namespace: "shop", Name: "dns"}
	work := Work{
		Step: plan.Step{Key: k, Version: "v1", Kind: "Service", Action: plan.Create, Reason: "absent"},
		Item: item.Item{Key: k, Version: "v1", Kind: "Service", Raw: []byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"dns","namespace":"shop","uid":"u",` +
			`"managedFields":[{"manager":"me","fieldsV1":{"f:spec":{"f:clusterIP":{}}}}]},"spec":{"clusterIP":"10.0.0.9","clusterIPs":["10.0.0.9"]}}`)},
	}
	invalid := func(path ...string) error {
		var all field.ErrorList
		for _, p := range path {
			all = append(all, field.Invalid(field.NewPath("spec").Child(p), "x", "provided IP is already allocated"))
		}
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "dns", all)
	}
	for name, c := range map[string]struct {
		refusal error
		want    Outcome
		ip      any
		posts   int
	}{
		"free":             {nil, Created, "10.0.0.9", 1},
		"taken":            {invalid("clusterIPs"), Created, nil, 2},
		"refused for more": {invalid("clusterIPs", "ports"), Failed, nil, 1},
	} {
		w := newWorld()
		w.before = func(r string, n int) error {
			if r == "POST "+key && n == 1 {
				return c.refusal
			}
			return nil
		}
		a := Applier{Cluster: w, Backup: "b", Restore: "r"}
		changes, err := a.Run(t.Context(), []Work{work})
		require.NoError(t, err)
		assert.Equal(t, c.want, changes[0].Outcome, "%s: %s", name, changes[0].Reason)
		assert.Equal(t, c.ip, item.Child(w.objects[key], "spec")["clusterIP"], name)
		posts := 0
		for _, r := range w.writes() {
			if r == "POST "+key {
				posts++
			}
		}
		assert.Equal(t, c.posts, posts, name)
		if name == "taken" {
			assert.Contains(t, changes[0].Reason, "absent; without the cluster IP that its author wrote: ")
			assert.Contains(t, changes[0].Reason, "already allocated")
		}
	}
}
