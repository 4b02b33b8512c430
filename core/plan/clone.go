package plan

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// A namespace that is mapped while the original is in the target becomes a copy.
// Objects outside it that refer to the original, such as cluster role bindings,
// exist once for both: they are never turned away from the original. Where the
// original is not in the target, the namespace has moved, and its references
// follow it.

// clone is what an entry keeps when namespaces are mapped.
type clone struct {
	// originals are the namespaces that are mapped, and that an object outside them
	// referred to.
	originals []string
	pointers  []string // fields that may still refer to a namespace that is mapped
	grants    *grants  // of a binding, as the target would get it
}

// refersTo are the mapped namespaces that an object outside them refers to. The
// object is as the backup holds it.
func (o Options) refersTo(u *unstructured.Unstructured, k item.Key) (out []string) {
	if namespace := namespaceOf(k); namespace != o.namespace(namespace) {
		return nil // it belongs to the copy
	}
	o.eachMention(u, func(n *node) {
		if _, from := o.follow(n, k.GroupResource()); from != "" {
			out = append(out, from)
		}
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// cloneOf completes what is kept, from the object as the target gets it.
func (o Options) cloneOf(u *unstructured.Unstructured, k item.Key, originals []string) *clone {
	pointers := o.pointers(u, k.GroupResource())
	if len(originals) == 0 && len(pointers) == 0 {
		return nil
	}
	return &clone{originals: originals, pointers: pointers, grants: grantsOf(u)}
}

// grants is what a binding grants, and to whom.
type grants struct {
	role     string
	subjects []string
}

// grantsOf reads a RoleBinding or ClusterRoleBinding, nil for other kinds.
func grantsOf(u *unstructured.Unstructured) *grants {
	gvk := u.GroupVersionKind()
	if gvk.Group != "rbac.authorization.k8s.io" || gvk.Kind != "RoleBinding" && gvk.Kind != "ClusterRoleBinding" {
		return nil
	}
	role := item.Child(u.Object, "roleRef")
	g := grants{role: fmt.Sprint(role["kind"], " ", role["name"])}
	for _, s := range item.Maps(u.Object["subjects"]) {
		g.subjects = append(g.subjects, subjectText(s))
	}
	return &g
}

func subjectText(s map[string]any) string {
	text := func(k string) string { t, _ := s[k].(string); return t }
	if namespace := text("namespace"); namespace != "" {
		return text("kind") + " " + namespace + "/" + text("name")
	}
	return text("kind") + " " + text("name")
}

// originalOf is a namespace of the target that the object of an entry refers to
// and that the restore copies, "" for none.
func (b *builder) originalOf(e Entry) string {
	if e.clone == nil {
		return ""
	}
	for _, namespace := range e.clone.originals {
		live, exists := b.seen.Existing[item.Key{Resource: "namespaces", Name: namespace}]
		if exists && !live.Deleting && !b.seen.Terminating[namespace] {
			return namespace
		}
	}
	return ""
}

// decideShared says what happens to an object of the target that differs and
// that the original namespace uses too.
func (b *builder) decideShared(s *Step, e Entry, live Live, original string) {
	copied := b.options.namespace(original)
	kept := fmt.Sprintf("exists and differs from the backup; left alone, since it refers to namespace %s, which is in the cluster", original)
	switch {
	case e.clone.grants != nil && live.grants != nil:
		b.decideBinding(s, e.clone.grants, live, original)
	case s.GroupResource() == "persistentvolumes": // the step of its claim says more
		s.Action, s.Reason = Skip, kept
	default:
		s.Action, s.Reason = Skip, kept
		b.warn(s.Key, fmt.Sprintf("left alone, since it refers to namespace %s, which is in the cluster: %s has none of its own (create one with another name if the copy needs it)", original, copied))
	}
}

// decideBinding adds the subjects of the copy to a binding where the policy
// allows it.
func (b *builder) decideBinding(s *Step, want *grants, live Live, original string) {
	missing := slices.DeleteFunc(slices.Clone(want.subjects), func(subject string) bool { return slices.Contains(live.grants.subjects, subject) })
	policy := b.options.ExistingResourcePolicy
	switch who := strings.Join(missing, ", "); {
	case live.grants.role != want.role:
		s.Action, s.Reason = Skip, fmt.Sprintf("exists and grants %s, not %s; left alone, since namespace %s uses it", live.grants.role, want.role, original)
		b.warn(s.Key, fmt.Sprintf("grants %s in the cluster and %s in the backup, so %s is not added to it (create a binding with another name)", live.grants.role, want.role, who))
	case len(missing) == 0:
		s.Action, s.Reason = Unchanged, "exists and has all subjects of the backup"
	case policy == PolicyUpdate || policy == PolicyRecreate:
		s.Action, s.Live, s.Add = Update, live.Digest, true
		s.Reason = fmt.Sprintf("exists, and namespace %s uses it: gets %s as well, and keeps its subjects", original, who)
		if versions := b.seen.Served[s.GroupResource()]; len(versions) > 0 {
			b.serve(s, versions)
		}
	default:
		s.Action, s.Reason = Skip, fmt.Sprintf("%s; without %s among its subjects", ReasonDiffers, who)
		b.warn(s.Key, fmt.Sprintf("left alone, so %s does not get %s (restore with --existing-resource-policy update to add it)", who, want.role))
	}
}

func (b *builder) warn(k item.Key, text string) {
	b.warnings = append(b.warnings, k.String()+": "+text)
}

// SubjectsPatch adds the subjects of the backup to a binding; nil when it has
// them all.
func SubjectsPatch(want, live *unstructured.Unstructured) map[string]any {
	has := map[string]bool{}
	subjects := list(live, "subjects")
	for _, s := range item.Maps(live.Object["subjects"]) {
		has[subjectText(s)] = true
	}
	all := subjects
	for _, s := range item.Maps(want.Object["subjects"]) {
		if text := subjectText(s); !has[text] {
			has[text] = true
			all = append(all, s)
		}
	}
	if len(all) == len(subjects) {
		return nil
	}
	return map[string]any{"subjects": all}
}

// maxWarnings bounds the objects that are listed for one reason.
const maxWarnings = 20

// warnPointers lists the objects that the restore writes, or finds as they are in
// the backup, and that may still refer to the old name of a namespace.
func (p *Plan) warnPointers(entries []Entry) {
	var written, found []string
	for i, e := range entries {
		if e.clone == nil || len(e.clone.pointers) == 0 {
			continue
		}
		s := &p.Steps[i]
		line := fmt.Sprintf("%s: still points at the old namespace: %s", s.Key, strings.Join(e.clone.pointers, ", "))
		switch s.Action {
		case Create, Update, Recreate:
			written = append(written, line)
		case Unchanged, Label:
			found = append(found, line)
		}
	}
	slices.Sort(written)
	slices.Sort(found)
	out := append(written, found...)
	if more := len(out) - maxWarnings; more > 0 {
		out = append(out[:maxWarnings], fmt.Sprintf("%d more objects still point at the old namespace", more))
	}
	p.Warnings = append(p.Warnings, out...)
}
