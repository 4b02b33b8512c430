// Package plan decides what a restore does, before it does anything: the index
// of a backup, the options and what was seen of the target cluster make an
// ordered list of steps, each with its reason. A restore executes exactly such
// a plan.
//
// The package is pure: no client, no store, no clock.
package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Action is what a step does with its item.
type Action string

// The actions of a plan.
const (
	Create    Action = "create"
	Unchanged Action = "unchanged" // exists and is equal
	Skip      Action = "skip"
	Fail      Action = "fail" // cannot succeed; the reason says why
)

// Step is one item and what happens to it.
type Step struct {
	item.Key
	Version string `json:"version,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Action  Action `json:"action"`
	Reason  string `json:"reason"`
	// Stage orders the steps: those of one stage may run together, a later
	// stage waits for them.
	Stage int `json:"stage"`
	// Bare marks a namespace that the backup does not hold and items need.
	Bare bool `json:"bare,omitempty"`
	// Aggregated marks a step that fails for want of an API server that the
	// backup knows of and the target does not run.
	Aggregated bool `json:"aggregated,omitempty"`

	Size   int    `json:"-"` // of the item's JSON, in bytes
	Sum    Digest `json:"-"` // of the item's JSON
	Digest Digest `json:"-"` // of the normalised object
}

// APIVersion is the one the backup holds the item at.
func (s Step) APIVersion() string {
	return item.Resource{Group: s.Group, Version: s.Version}.APIVersion()
}

// Defining reports whether the step creates a custom resource definition.
func (s Step) Defining() bool { return s.Stage == stageDefinitions }

// Volume says what becomes of the data of a claim or volume.
type Volume struct {
	Object string `json:"object"`
	Note   string `json:"note"`
}

// Plan is what a restore will do.
type Plan struct {
	Backup  string   `json:"backup"`
	Steps   []Step   `json:"steps"`
	Volumes []Volume `json:"volumes,omitempty"`
	// Defines are the group-resources whose definitions the target gets by this
	// plan, or has in the backup's form; their objects may have to wait until
	// they are served.
	Defines map[string]string `json:"-"` // group-resource -> name of the definition

	aggregates map[string]string // API version -> name of the API service
}

// Count says how many steps have the action.
func (p Plan) Count(a Action) int {
	n := 0
	for _, s := range p.Steps {
		if s.Action == a {
			n++
		}
	}
	return n
}

// Observed is what was seen of the target cluster.
type Observed struct {
	// Served are the versions of each group-resource.
	Served map[string][]string
	// Existing are the objects of the resources that the backup holds, by
	// digest of their normalised form.
	Existing map[item.Key]Digest
	// Terminating are the namespaces being deleted.
	Terminating map[string]bool
	// Undiscovered are the group-versions of which the cluster could not say
	// what they serve, with the reason.
	Undiscovered map[string]string
}

// Build makes the plan. Every entry becomes exactly one step; namespaces that
// items need and the backup does not hold are added.
func Build(backup string, entries []Entry, seen Observed) Plan {
	p := Plan{Backup: backup, Defines: map[string]string{}, aggregates: map[string]string{}}
	entries = needDefinitions(entries, seen)
	for _, e := range entries {
		existing, exists := seen.Existing[e.Key]
		if e.Defines != "" && e.Leave == "" && (!exists || existing == e.Digest) {
			// Of two, which no API server would hold, the first by name.
			if name, twice := p.Defines[e.Defines]; !twice || e.Key.Name < name {
				p.Defines[e.Defines] = e.Key.Name
			}
		}
		if e.Aggregates != "" {
			p.aggregates[e.Aggregates] = e.Key.Name
		}
	}
	needed := map[string]bool{}
	p.Steps = make([]Step, 0, len(entries))
	for _, e := range entries {
		s := p.decide(e, seen)
		if s.Action == Create {
			needed[s.Namespace] = true
		}
		if e.Volume != "" && e.Leave != leaveFiltered && e.Leave != leaveExcluded {
			p.Volumes = append(p.Volumes, Volume{Object: e.Key.String(), Note: e.Volume})
		}
		p.Steps = append(p.Steps, s)
	}
	p.needNamespaces(needed, seen)
	sortSteps(p.Steps)
	slices.SortFunc(p.Volumes, func(a, b Volume) int { return cmp.Compare(a.Object, b.Object) })
	return p
}

// needDefinitions takes back the filter's word on the definitions without
// which selected custom resources could not be restored, unless the user
// excluded them by name.
func needDefinitions(entries []Entry, seen Observed) []Entry {
	needed := map[string]bool{}
	for _, e := range entries {
		if _, served := seen.Served[e.Key.GroupResource()]; e.Leave == "" && !served {
			needed[e.Key.GroupResource()] = true
		}
	}
	out := slices.Clone(entries)
	for i, e := range out {
		if e.Leave == leaveFiltered && needed[e.Defines] {
			out[i].Leave = ""
		}
	}
	return out
}

func (p Plan) decide(e Entry, seen Observed) Step {
	s := Step{Key: e.Key, Version: e.Version, Kind: e.Kind, Stage: stageOf(e.Key), Size: e.Size, Sum: e.Sum, Digest: e.Digest}
	existing, exists := seen.Existing[e.Key]
	versions, served := seen.Served[e.Key.GroupResource()]
	definition, defined := p.Defines[e.Key.GroupResource()]
	switch {
	case e.Leave != "":
		s.Action, s.Reason = Skip, e.Leave
	case seen.Terminating[namespaceOf(e.Key)]: // what exists in it will be gone
		s.Action, s.Reason = Fail, fmt.Sprintf("namespace %s is being deleted in the target cluster (wait until it is gone)", namespaceOf(e.Key))
	case exists && existing == e.Digest:
		s.Action, s.Reason = Unchanged, "exists and is equal"
	case exists && isBareAccount(e.Key, existing):
		s.Action, s.Reason = Create, "is there as a controller makes it; the backup has more"
	case exists:
		s.Action, s.Reason = Skip, ReasonDiffers
	case slices.Contains(versions, e.Version):
		s.Action, s.Reason = Create, "absent in the cluster"
	case defined:
		s.Action, s.Reason = Create, "absent in the cluster; defined by "+definition
	case seen.Undiscovered[s.APIVersion()] != "":
		s.Action, s.Reason = Fail, fmt.Sprintf("the target cluster cannot say what it serves of %s: %s", s.APIVersion(), seen.Undiscovered[s.APIVersion()])
	case served:
		s.Action, s.Reason = Fail, fmt.Sprintf("the target cluster serves %s at %s, and the backup holds it at %s", e.Key.GroupResource(), strings.Join(versions, ", "), e.Version)
	case p.aggregates[s.APIVersion()] != "":
		s.Action, s.Aggregated = Fail, true
		s.Reason = fmt.Sprintf("the target cluster does not serve %s; it needs the API server behind %s to run", e.Key.GroupResource(), p.aggregates[s.APIVersion()])
	default:
		s.Action, s.Reason = Fail, fmt.Sprintf("the target cluster does not serve %s, and the backup does not define it", e.Key.GroupResource())
	}
	return s
}

// isBareAccount reports whether an object is the service account that a
// controller makes in each new namespace, as it makes it. Nobody has touched
// it, so a restore completes it, as it does with one that comes up while it
// runs; one that was interrupted in between is finished by the next.
func isBareAccount(k item.Key, existing Digest) bool {
	if k.GroupResource() != "serviceaccounts" || k.Name != "default" {
		return false
	}
	bare, err := DigestOf(item.Item{Key: k, Version: "v1", Kind: "ServiceAccount", Raw: fmt.Appendf(nil,
		`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":%q,"namespace":%q}}`, k.Name, k.Namespace)})
	return err == nil && bare == existing
}

// namespaceOf is the namespace that an object is in or is, "" for neither.
func namespaceOf(k item.Key) string {
	if k.GroupResource() == "namespaces" {
		return k.Name
	}
	return k.Namespace
}

// ReasonDiffers is the reason of a step whose object is in the cluster already
// in another form.
const ReasonDiffers = "exists and differs from the backup; left alone"

// needNamespaces makes sure that every namespace something is created in is
// there: one that the filter leaves out is created all the same, one the
// backup does not hold is created bare.
func (p *Plan) needNamespaces(needed map[string]bool, seen Observed) {
	delete(needed, "") // cluster-scoped
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.GroupResource() != "namespaces" || !needed[s.Name] {
			continue
		}
		delete(needed, s.Name)
		if s.Action == Skip && (s.Reason == leaveFiltered || s.Reason == leaveExcluded) {
			if _, exists := seen.Existing[s.Key]; !exists {
				s.Action, s.Reason = Create, "absent in the cluster; restored items are in it"
			}
		}
	}
	for name := range needed {
		k := item.Key{Resource: "namespaces", Name: name}
		if _, exists := seen.Existing[k]; exists {
			continue
		}
		p.Steps = append(p.Steps, Step{
			Key: k, Version: "v1", Kind: "Namespace", Stage: stageNamespaces, Bare: true,
			Action: Create, Reason: "not in the backup; restored items are in it",
		})
	}
}

// Resources are the group-resources of the entries with the versions at which
// the backup holds them: what has to be observed of a target.
func Resources(entries []Entry) map[string][]string {
	out := map[string][]string{"namespaces": {"v1"}}
	for _, e := range entries {
		gr := e.Key.GroupResource()
		if !slices.Contains(out[gr], e.Version) {
			out[gr] = append(out[gr], e.Version)
		}
	}
	return out
}
