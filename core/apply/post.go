package apply

import (
	"context"
	"encoding/json"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// posted is a creation that was sent.
type posted struct {
	answer []byte
	tries  int
	note   string // what to add to the reason
	// withheld is the patch that completes the object.
	withheld map[string]any
}

// post sends a creation. An object that is invalid is sent once more: a Service
// without a cluster IP that the target cannot give it, and other objects with what
// a restore removes and the schema of a custom resource may require, for example
// the status. If that does not help, the first refusal is returned.
func (a *Applier) post(ctx context.Context, w Work, owners []any) (posted, error) {
	u, err := a.wanted(w)
	if err != nil {
		return posted{}, err
	}
	p, refusal := a.postObject(ctx, w, u, owners)
	if ctx.Err() != nil || !apierrors.IsInvalid(refusal) {
		return p, refusal
	}
	if u, err = a.wanted(w); err != nil { // the first one is used up
		return p, refusal
	}
	note := ""
	if refusesClusterIP(w.Step, refusal) {
		plan.WithoutClusterIPs(u)
		note = "; without the cluster IP that its author wrote: " + a.words(w, refusal)
	} else {
		removed := a.putBackRemoved(w, u)
		if len(removed) == 0 {
			return p, refusal
		}
		note = "; created with its " + strings.Join(removed, " and ") + ", which its schema requires"
	}
	again, err := a.postObject(ctx, w, u, owners)
	again.note = note
	if apierrors.IsInvalid(err) {
		return p, refusal
	}
	return again, err
}

func (a *Applier) postObject(ctx context.Context, w Work, u *unstructured.Unstructured, owners []any) (p posted, err error) {
	object, withheld, err := a.object(w, u, owners)
	if p.withheld = withheld; err != nil {
		return p, err
	}
	r := resourceOf(w.Step)
	params := fields(w.Step)
	if a.DryRun {
		params = append(params, cluster.DryRun())
	}
	p.tries, err = a.try(ctx, r, func() (err error) {
		p.answer, err = a.Cluster.Create(ctx, r, w.Step.Namespace, object, params...)
		return err
	})
	return p, err
}

// putBackRemoved puts those fields back that are removed from every object and
// that a schema can require, and names them.
func (a *Applier) putBackRemoved(w Work, u *unstructured.Unstructured) (removed []string) {
	was, err := w.Item.Object()
	if err != nil || w.Step.Bare {
		return nil
	}
	if status, exists := was.Object["status"]; exists && u.Object["status"] == nil {
		u.Object["status"] = status
		removed = append(removed, "status")
	}
	if was.GetGenerateName() != "" && u.GetGenerateName() == "" {
		u.SetGenerateName(was.GetGenerateName())
		removed = append(removed, "generateName")
	}
	return removed
}

// object is what is posted, and the patch that completes it.
func (a *Applier) object(w Work, u *unstructured.Unstructured, owners []any) (body []byte, withheld map[string]any, err error) {
	if w.Step.Bare {
		body, err = json.Marshal(u.Object)
		return body, nil, err
	}
	bindTo(u, w.Step)
	withheld = plan.Withhold(u, w.Step.GroupResource(), a.Backup)
	plan.Mark(u, a.Backup, a.Restore)
	if len(owners) > 0 {
		_ = unstructured.SetNestedSlice(u.Object, owners, "metadata", "ownerReferences") // metadata is a map: it has a name
	}
	body, err = json.Marshal(u.Object)
	return body, withheld, err
}

// wanted is the object as the target is to have it.
func (a *Applier) wanted(w Work) (*unstructured.Unstructured, error) {
	if w.Step.Bare {
		return bareNamespace(w.Step.Name), nil
	}
	u, err := w.Item.Object()
	if err != nil {
		return nil, err
	}
	if err := a.Options.Transform(u, w.Step.GroupResource()); err != nil {
		return nil, err
	}
	u.SetAPIVersion(w.Step.APIVersion())
	return u, nil
}

func bareNamespace(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
}
