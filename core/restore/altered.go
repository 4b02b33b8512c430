package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// Altered says in one sentence what the target made of an object that the restore
// has created, "" if it is as in the backup or has only more of the API server's
// own defaults.
func Altered(c apply.Change) string {
	var fields []string
	for _, a := range slices.Concat(c.Altered, c.Computed) {
		if !a.IsDefault() {
			fields = append(fields, a.String())
		}
	}
	if len(fields) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: created, and changed by the cluster: %s", c.Key, strings.Join(fields, "; "))
}

// Defaulted reports whether an object has more of the API server's defaults than
// in the backup, and is the same otherwise.
func Defaulted(c apply.Change) bool { return len(c.Altered) > 0 && Altered(c) == "" }

// mutator is a mutating webhook configuration or admission policy of the target.
type mutator struct {
	name   string
	ours   bool // the restore has created it
	object *unstructured.Unstructured
}

// mutatingKinds are the resources of mutators, with what to call one.
var mutatingKinds = map[string]string{
	"mutatingwebhookconfigurations.admissionregistration.k8s.io": "the mutating webhook configuration",
	"mutatingadmissionpolicies.admissionregistration.k8s.io":     "the mutating admission policy",
}

// explainAltered looks for the cause of what no built-in admission plugin does:
// the target is asked for its webhooks and policies only if there is such a field.
func (x *executor) explainAltered(ctx context.Context) error {
	if !slices.ContainsFunc(x.changes, unexplained) {
		return nil
	}
	mutators, err := mutators(ctx, x.job.Cluster, api.LabelValue(x.job.Name))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		x.warnings = append(x.warnings, "what changed restored objects may be a webhook or policy, which cannot be listed: "+cluster.Reason(err))
		return nil
	}
	for i := range x.changes {
		explain(&x.changes[i], mutators)
	}
	return nil
}

func unexplained(c apply.Change) bool {
	return slices.ContainsFunc(c.Altered, func(a plan.Alteration) bool { return a.Cause == plan.CauseUnknown })
}

// explain names the cause of the fields that have none so far: the first mutator
// that was there before the object and looks at its kind, or the API server.
func explain(c *apply.Change, mutators []mutator) {
	i := slices.IndexFunc(mutators, func(m mutator) bool {
		return (!m.ours || c.Late) && plan.Mutates(m.object, item.Resource{Group: c.Group, Name: c.Resource})
	})
	for j := range c.Altered {
		a := &c.Altered[j]
		switch {
		case i >= 0 && !a.Admission:
			a.Cause, a.Admission = mutators[i].name, true
		case a.Cause == plan.CauseUnknown:
			a.Cause = plan.CauseDefault
		}
	}
}

// mutators are the mutating webhook configurations and policies of a cluster.
func mutators(ctx context.Context, c Cluster, restore string) ([]mutator, error) {
	resources, _, err := c.AllVersions(ctx)
	if err != nil {
		return nil, err
	}
	var out []mutator
	seen := map[string]bool{}
	for _, r := range resources {
		what := mutatingKinds[r.GroupResource()]
		if what == "" || seen[what] || !r.Can("list") {
			continue
		}
		seen[what] = true
		var info cluster.ListInfo
		for it, err := range c.List(ctx, r, cluster.ListOptions{}, &info) {
			if err != nil {
				return nil, err
			}
			u, err := it.Object()
			if err != nil {
				return nil, err
			}
			out = append(out, mutator{what + " " + it.Key.Name, u.GetLabels()[api.LabelRestoreName] == restore, u})
		}
	}
	return out, nil
}
