package plan

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Owner is an owner that a restored object gets.
type Owner struct {
	item.Key                  // in the target
	APIVersion         string `json:"apiVersion"`
	Kind               string `json:"kind"`
	Controller         bool   `json:"controller,omitempty"`
	BlockOwnerDeletion bool   `json:"blockOwnerDeletion,omitempty"`
}

// Reference is the owner reference of an object, for the owner's UID in the
// target.
func (o Owner) Reference(uid string) map[string]any {
	r := map[string]any{"apiVersion": o.APIVersion, "kind": o.Kind, "name": o.Name, "uid": uid}
	if o.Controller {
		r["controller"] = true
	}
	if o.BlockOwnerDeletion {
		r["blockOwnerDeletion"] = true
	}
	return r
}

// uidSum identifies a UID; a digest is smaller than the text, and API servers
// do not promise more than that it is a string.
type uidSum [16]byte

// ownerRef is an owner reference as the backup holds it.
type ownerRef struct {
	apiVersion, kind, name string
	uid                    uidSum
	controller, block      bool
}

func ownerRefsOf(u *unstructured.Unstructured) []ownerRef {
	var out []ownerRef
	for _, m := range item.Maps(item.Child(u.Object, "metadata")["ownerReferences"]) {
		text := func(k string) string { s, _ := m[k].(string); return s }
		flag := func(k string) bool { b, _ := m[k].(bool); return b }
		out = append(out, ownerRef{
			apiVersion: text("apiVersion"), kind: text("kind"), name: text("name"), uid: sumOf(text("uid")),
			controller: flag("controller"), block: flag("blockOwnerDeletion"),
		})
	}
	return out
}

// adopters are the controllers that find their objects again by labels: in a
// cluster with controllers they set the reference themselves, and one of ours
// would cost a request for each pod.
var adopters = []string{"Deployment.apps", "ReplicaSet.apps", "StatefulSet.apps", "DaemonSet.apps", "ReplicationController"}

func (r ownerRef) adopts() bool {
	group, _, qualified := strings.Cut(r.apiVersion, "/")
	kind := r.kind
	if qualified {
		kind += "." + group
	}
	return r.controller && slices.Contains(adopters, kind)
}

// own decides for each owner reference whether the restored object gets it
// again, and says why where it does not.
func (p *Plan) own(entries []Entry, seen Observed) {
	wanted := map[uidSum]int{}
	for i, e := range entries {
		if p.Steps[i].Action == Skip || p.Steps[i].Action == Fail {
			continue
		}
		for _, r := range e.owners {
			wanted[r.uid] = -1
		}
	}
	delete(wanted, uidSum{}) // of objects that were in no cluster
	for i, e := range entries {
		if _, ok := wanted[e.uid]; ok {
			wanted[e.uid] = i
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		live, exists := seen.Existing[s.Key]
		switch {
		case s.Action == Create, s.Action == Recreate:
			p.ownStep(s, entries[i].owners, wanted, seen, true)
		case (s.Action == Unchanged || s.Action == Label) && exists && !live.Owned && live.Backup == backupLabel(p.Backup):
			// A restore that was interrupted has left it without them.
			if p.ownStep(s, entries[i].owners, wanted, seen, false); len(s.Owners) > 0 {
				s.Action, s.Live, s.Reason = Update, live.Digest, "exists and is equal, but without its owners"
			}
		}
	}
}

// ownStep gives a step those of its owners that the target has or gets.
func (p *Plan) ownStep(s *Step, refs []ownerRef, byUID map[uidSum]int, seen Observed, say bool) {
	for _, r := range refs {
		owner, why := p.ownerOf(s, r, byUID, seen)
		note := ""
		switch {
		case r.adopts():
			note = fmt.Sprintf("; its owner, %s %s, finds it by its labels", r.kind, r.name)
		case why != "":
			note = fmt.Sprintf("; without its owner, %s %s, which %s", r.kind, r.name, why)
		default:
			s.Owners = append(s.Owners, owner)
		}
		if say {
			s.Reason += note
		}
	}
}

// ownerOf finds the owner that a reference means, or says why the reference is
// dropped.
func (p *Plan) ownerOf(s *Step, r ownerRef, byUID map[uidSum]int, seen Observed) (Owner, string) {
	if r.controller && r.kind == "Job" && strings.HasPrefix(r.apiVersion, "batch/") {
		return Owner{}, "makes new pods" // its selector is made of its UID
	}
	i, found := byUID[r.uid]
	if !found || i < 0 {
		return Owner{}, "is not in the backup"
	}
	o := &p.Steps[i]
	live, exists := seen.Existing[o.Key]
	switch {
	case o.Kind != r.kind || o.Source().Name != r.name || o.Namespace != "" && o.Namespace != s.Namespace:
		return Owner{}, "is a different object in the backup"
	case o.Action == Fail && !exists, o.Action == Skip && !exists:
		return Owner{}, "is not restored"
	case live.Deleting && o.Action != Create:
		return Owner{}, "is being deleted"
	case exists && o.Action != Recreate && o.Action != Create: // one that is created goes with its namespace first
		p.UIDs[o.Key] = live.UID
	}
	o.Owns = true
	return Owner{Key: o.Key, APIVersion: o.APIVersion(), Kind: o.Kind, Controller: r.controller, BlockOwnerDeletion: r.block}, ""
}
