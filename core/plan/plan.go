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
	"maps"
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Action is what a step does with its item.
type Action string

// The actions of a plan.
const (
	Create    Action = "create"
	Update    Action = "update"    // exists and is changed into what the backup holds
	Recreate  Action = "recreate"  // exists, cannot be changed, is deleted and recreated
	Label     Action = "label"     // exists and is equal; only the labels of the restore are written
	Unchanged Action = "unchanged" // exists and is equal
	Skip      Action = "skip"
	Fail      Action = "fail" // cannot succeed; the reason says why
)

// Step is one item and what happens to it.
type Step struct {
	item.Key // in the target cluster
	// From is the item's key in the backup, nil when it is the same.
	From *item.Key `json:"from,omitempty"`
	// Version is the one the target gets; Held is the one the backup holds,
	// "" when it is the same.
	Version string `json:"version,omitempty"`
	Held    string `json:"heldVersion,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Action  Action `json:"action"`
	Reason  string `json:"reason"`
	// Stage orders the steps: those of one stage may run together, a later
	// stage waits for them.
	Stage int `json:"stage"`
	// Bare marks a namespace that the backup does not hold and items need.
	Bare bool `json:"bare,omitempty"`
	// Aggregated marks a step that fails because an API server is missing that the
	// backup knows of and the target does not run.
	Aggregated bool `json:"aggregated,omitempty"`
	// Status says that the status of the item is restored too.
	Status bool `json:"restoreStatus,omitempty"`
	// Relabel marks a step that fails, whose object in the cluster gets the
	// labels of the restore all the same, as with Velero.
	Relabel bool `json:"relabel,omitempty"`
	// Merge says that a service account is completed and keeps what it has.
	Merge bool `json:"merge,omitempty"`
	// Volume is, of a claim, the volume that it binds to again.
	Volume *VolumeStep `json:"volume,omitempty"`
	// ClaimUID is, of a volume that is created, the UID of a claim that exists and
	// lacks it.
	ClaimUID string `json:"claimUID,omitempty"`
	// Add says that a binding gets the subjects that it lacks and is not changed
	// otherwise, since others use it.
	Add bool `json:"add,omitempty"`
	// Refused marks a creation that the API server would reject, by its answer to a
	// dry run. A restore tries it all the same.
	Refused bool `json:"refused,omitempty"`
	// Untried is why a creation could not be tried in advance: what it depends on
	// and the same restore creates or deletes before it, "" if it was tried or no
	// creation is.
	Untried string `json:"untried,omitempty"`
	// Owners are the owners that the object gets, with their new UIDs.
	Owners []Owner `json:"owners,omitempty"`
	// Withheld are the fields that the object is created without and that it gets
	// when what they would change or refuse is restored (Completed).
	Withheld []string `json:"withheld,omitempty"`
	// Completes marks an update that only sets what an interrupted restore has
	// withheld.
	Completes bool `json:"completes,omitempty"`
	// Owns marks a step whose object is an owner of another one.
	Owns bool `json:"-"`

	Sum    Digest `json:"sum,omitzero"`  // of the item's JSON in the backup
	Live   Digest `json:"live,omitzero"` // of the object that is changed, normalised
	Size   int    `json:"-"`             // of the item's JSON, in bytes
	Digest Digest `json:"-"`             // of the normalised object
}

// Source is the item's key in the backup.
func (s Step) Source() item.Key {
	if s.From != nil {
		return *s.From
	}
	return s.Key
}

// APIVersion is the one the target gets the item at.
func (s Step) APIVersion() string {
	return item.Resource{Group: s.Group, Version: s.Version}.APIVersion()
}

// Defining reports whether the step creates a custom resource definition.
func (s Step) Defining() bool { return s.Stage == stageDefinitions }

// NeedsData reports whether the step waits until the data of all claims is
// restored: from here on, pods may be made that use it.
func (s Step) NeedsData() bool { return s.Stage >= stagePods }

// Acts reports whether the step asks the cluster to change something.
func (s Step) Acts() bool {
	switch s.Action {
	case Create, Update, Recreate, Label:
		return true
	}
	return s.Relabel || s.Gives()
}

// Volume says what becomes of the data of a claim or volume.
type Volume struct {
	Object string `json:"object"`
	Note   string `json:"note"`
	// Method is how the data in the backup was saved (Velero's backupMethod), ""
	// when the backup has none.
	Method string `json:"method,omitempty"`
}

// VolumeData is data in a backup.
type VolumeData struct {
	Method string `json:"method"`           // Velero's backupMethod, "" for no data
	Handle string `json:"handle,omitempty"` // of the snapshot, in the words of the method
}

// DataStep is the data of one claim.
type DataStep struct {
	Claim item.Key `json:"claim"` // in the target cluster
	VolumeData
}

// Plan is what a restore will do.
type Plan struct {
	Backup  string   `json:"backup"`
	Steps   []Step   `json:"steps"`
	Volumes []Volume `json:"volumes,omitempty"`
	// Warnings say what the restored objects will lack.
	Warnings []string `json:"warnings,omitempty"`
	// Data are the claims that the restore creates and whose data is in the backup.
	// Their data comes after the claims and before anything that makes pods.
	Data []DataStep `json:"data,omitempty"`
	// Awaits are the namespaces that are being deleted and have to be gone
	// before their items can be created.
	Awaits []string `json:"awaits,omitempty"`
	// Defines are the group-resources whose definitions the target gets by this
	// plan, or has in the backup's form; their objects may have to wait until
	// they are served.
	Defines map[string]string `json:"-"` // group-resource -> name of the definition
	// UIDs are those of owners that are in the target already.
	UIDs map[item.Key]string `json:"-"`

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
	// Served are the versions of each group-resource, the preferred one first.
	Served map[string][]string
	// Existing are the objects of the resources that the backup holds.
	Existing map[item.Key]Live
	// Terminating are the namespaces being deleted.
	Terminating map[string]bool
	// Undiscovered are the group-versions of which the cluster could not say
	// what they serve, with the reason.
	Undiscovered map[string]string
	// Unseen are the objects that the identity may not read, as groups of words.
	Unseen []string
	// StorageClasses are the names of those that the target has.
	StorageClasses map[string]bool
	// Storage are its volumes and claims; nil when the backup has none, or when
	// they could not be listed.
	Storage *Storage
}

// Live is what was seen of an object of the target.
type Live struct {
	Digest Digest // of the normalised object
	UID    string
	// Backup is the label that says which backup it was restored from.
	Backup string
	Owned  bool // it has owners
	Bound  bool // a volume or claim that is bound
	// Hidden is set when it may not be read, and is taken to exist.
	Hidden bool
	// Incomplete names the backup, as a label value, of which an interrupted restore
	// has left the object without what it withheld.
	Incomplete string
	// Deleting is set when the object has a deletion timestamp: it will be gone,
	// so it is planned for as if it were absent. Observed.Terminating holds the
	// namespaces.
	Deleting bool
	grants   *grants // of a binding
	// reconciled is set when the API server writes the object at its start.
	reconciled bool
}

// Build makes the plan. Every entry becomes exactly one step; namespaces that
// items need and the backup does not hold are added.
func (o Options) Build(backup string, entries []Entry, seen Observed) Plan {
	p := Plan{Backup: backup, Defines: map[string]string{}, UIDs: map[item.Key]string{}, aggregates: map[string]string{}}
	entries = needMakers(entries)
	p.noteDefinitions(entries, seen)
	b := &builder{plan: &p, options: o, seen: seen, first: map[item.Key]item.Key{}, awaits: map[string]bool{}}
	needed := map[string]bool{}
	p.Steps = make([]Step, 0, len(entries))
	for _, e := range entries {
		s := b.decide(e)
		if s.Action == Create {
			needed[s.Namespace] = true
		}
		if e.Volume != "" && e.Leave != leaveFiltered && e.Leave != leaveExcluded {
			p.Volumes = append(p.Volumes, Volume{Object: e.Key.String(), Note: e.Volume, Method: e.data.Method})
		}
		if e.data.Method != "" && s.GroupResource() == "persistentvolumeclaims" && s.Action == Create {
			p.Data = append(p.Data, DataStep{Claim: s.Key, VolumeData: e.data})
		}
		p.Steps = append(p.Steps, s)
	}
	p.own(entries, seen)
	o.pair(&p, entries, seen)
	p.Warnings = append(p.Warnings, b.warnings...)
	p.warnPointers(entries)
	p.warnStatus(entries)
	p.withhold(entries)
	p.needNamespaces(needed, seen)
	p.Awaits = slices.Sorted(maps.Keys(b.awaits))
	sortSteps(p.Steps)
	slices.SortFunc(p.Data, func(a, b DataStep) int { return item.Compare(a.Claim, b.Claim) })
	slices.Sort(p.Warnings)
	slices.SortFunc(p.Volumes, func(a, b Volume) int { return cmp.Compare(a.Object, b.Object) })
	return p
}

// warnStatus names the objects whose status was to be restored and is not, since
// they exist.
func (p *Plan) warnStatus(entries []Entry) {
	var names []string
	for i := range entries {
		switch s := &p.Steps[i]; {
		case !s.Status || entries[i].Leave != "":
		case s.Action == Unchanged, s.Action == Label, s.Action == Update, s.Action == Skip:
			names = append(names, s.Key.String())
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		p.Warnings = append(p.Warnings, fmt.Sprintf("the status of objects that exist is not restored: %s (only objects that are created get the status of the backup)", some(names)))
	}
}

// noteDefinitions notes what the backup defines and what it knows to be served
// by others.
func (p *Plan) noteDefinitions(entries []Entry, seen Observed) {
	for _, e := range entries {
		existing, exists := seen.Existing[e.Key]
		if e.Defines != "" && e.Leave == "" && (!exists || existing.Deleting || existing.Digest == e.Digest) {
			// Of two, which no API server would hold, the first by name.
			if name, twice := p.Defines[e.Defines]; !twice || e.Key.Name < name {
				p.Defines[e.Defines] = e.Key.Name
			}
		}
		if e.Aggregates != "" {
			p.aggregates[e.Aggregates] = e.Key.Name
		}
	}
}

// namespaceOf is the namespace that an object is in or is, "" for neither.
func namespaceOf(k item.Key) string {
	if k.GroupResource() == "namespaces" {
		return k.Name
	}
	return k.Namespace
}

// needNamespaces makes sure that every namespace something is created in is
// there: one that the filter leaves out is created all the same, one the
// backup does not hold is created bare.
func (p *Plan) needNamespaces(needed map[string]bool, seen Observed) {
	delete(needed, "") // cluster-scoped
	for _, s := range p.Steps {
		if s.GroupResource() == "namespaces" && s.Action != Skip {
			delete(needed, s.Name) // of two that are mapped onto one, the other may be left out
		}
	}
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
		if _, exists := seen.Existing[k]; exists && !seen.Terminating[name] {
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
