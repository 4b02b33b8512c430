package plan

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Storage is what was seen of the volumes and claims of the target.
type Storage struct {
	Volumes map[string]LiveVolume
	Claims  map[item.Key]LiveClaim
	// Classes are the storage classes, nil if they could not be listed.
	Classes map[string]Class
}

// LiveVolume is a PersistentVolume of the target.
type LiveVolume struct {
	UID      string
	Claim    ClaimRef // spec.claimRef, zero for none
	Retained bool     // its reclaim policy is Retain
	Deleting bool
	Source   Digest // of what identifies the storage behind it
}

// LiveClaim is a PersistentVolumeClaim of the target.
type LiveClaim struct {
	UID, Volume, Phase string
	Deleting           bool
}

// Class is a storage class, as far as claims depend on it.
type Class struct {
	Provisions bool // it makes volumes for claims
	Default    bool
}

// ClaimRef is the claim that a volume is reserved for or bound to. A volume
// without UID is reserved for any claim of that name.
type ClaimRef struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
}

// Key is that of the claim.
func (r ClaimRef) Key() item.Key { return claimKey(r.Namespace, r.Name) }

func claimKey(namespace, name string) item.Key {
	return item.Key{Resource: "persistentvolumeclaims", Namespace: namespace, Name: name}
}

// ClaimRefOf is the claim of a volume.
func ClaimRefOf(u *unstructured.Unstructured) ClaimRef {
	ref := item.Child(u.Object, "spec", "claimRef")
	text := func(k string) string { s, _ := ref[k].(string); return s }
	return ClaimRef{Namespace: text("namespace"), Name: text("name"), UID: text("uid")}
}

// Note adds an object of the target to what was seen; others than volumes,
// claims and storage classes are ignored.
func (s *Storage) Note(u *unstructured.Unstructured, k item.Key) {
	deleting := u.GetDeletionTimestamp() != nil
	text := func(path ...string) string { t, _, _ := unstructured.NestedString(u.Object, path...); return t }
	switch k.GroupResource() {
	case "persistentvolumes":
		s.Volumes[k.Name] = LiveVolume{
			UID: string(u.GetUID()), Claim: ClaimRefOf(u), Deleting: deleting, Source: sourceOf(u),
			Retained: text("spec", "persistentVolumeReclaimPolicy") == "Retain",
		}
	case "persistentvolumeclaims":
		s.Claims[k] = LiveClaim{UID: string(u.GetUID()), Volume: text("spec", "volumeName"), Phase: text("status", "phase"), Deleting: deleting}
	case storageClassResource:
		s.Classes[k.Name] = classOf(u)
	}
}

func classOf(u *unstructured.Unstructured) Class {
	provisioner, _, _ := unstructured.NestedString(u.Object, "provisioner")
	return Class{
		Provisions: provisioner != "" && provisioner != "kubernetes.io/no-provisioner",
		Default:    u.GetAnnotations()["storageclass.kubernetes.io/is-default-class"] == "true",
	}
}

// notSource are the fields of a volume's spec that do not identify the storage
// behind it.
var notSource = map[string]bool{
	"accessModes": true, "capacity": true, "claimRef": true, "mountOptions": true, "nodeAffinity": true,
	"persistentVolumeReclaimPolicy": true, "storageClassName": true, "volumeAttributesClassName": true, "volumeMode": true,
}

// sourceOf digests what identifies the storage behind a volume: of a CSI volume
// its driver and handle, of any other the whole source.
func sourceOf(u *unstructured.Unstructured) Digest {
	source := map[string]any{}
	for k, v := range item.Child(u.Object, "spec") {
		if !notSource[k] {
			source[k] = v
		}
	}
	if csi := item.Child(source, "csi"); csi != nil {
		source["csi"] = map[string]any{"driver": csi["driver"], "volumeHandle": csi["volumeHandle"]}
	}
	text, err := json.Marshal(source)
	if err != nil {
		return Digest{}
	}
	return sha256.Sum256(text)
}

// storage is what an entry keeps of a claim, volume or storage class.
type storage struct {
	volume string  // of a claim: its volume in the cluster of the backup
	bound  bool    // of a claim: it was bound there
	class  *string // of a claim, in the target; nil for the default one
	source Digest  // of a volume
	makes  Class   // of a storage class
}

// storageOf keeps what pairing needs of an object as the backup holds it, nil
// for other kinds; classed completes it from the object as the target gets it.
func storageOf(u *unstructured.Unstructured, k item.Key) *storage {
	switch k.GroupResource() {
	case "persistentvolumeclaims":
		volume, _, _ := unstructured.NestedString(u.Object, "spec", "volumeName")
		phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
		return &storage{volume: volume, bound: phase == "Bound"}
	case "persistentvolumes":
		return &storage{source: sourceOf(u)}
	case storageClassResource:
		return &storage{makes: classOf(u)}
	}
	return nil
}

func (s *storage) classed(u *unstructured.Unstructured) {
	if s == nil {
		return
	}
	if name, set, _ := unstructured.NestedString(u.Object, "spec", "storageClassName"); set {
		s.class = &name
	} else if name, set := u.GetAnnotations()[oldStorageClassAnnotation]; set {
		s.class = &name
	}
}

// VolumeStep is the volume that a claim had in the cluster of the backup, and
// that the restore makes it bind to again.
type VolumeStep struct {
	Name string `json:"name"`
	// Reserve asks for a change of the claim that the volume is for, from Was: the
	// binder does not give a volume whose claim was deleted to another one of the
	// same name. Nothing else of the volume is changed.
	Reserve bool     `json:"reserve,omitempty"`
	UID     string   `json:"uid,omitempty"` // of the volume
	Was     ClaimRef `json:"was,omitzero"`
	// ClaimUID is that of a claim that exists. One that has lost its volume takes
	// back only a volume that names its UID, and the binder is quicker with it.
	ClaimUID string `json:"claimUID,omitempty"`
	// Only says that the claim itself is not changed.
	Only bool `json:"only,omitempty"`
}

// Gives reports whether the step reserves a volume for its claim.
func (s Step) Gives() bool { return s.Volume != nil && s.Volume.Reserve }

// pairing gives claims the volumes that they had, or says why they cannot have
// them. Kubernetes binds by itself only a volume that was never bound or is made
// by this restore; one that kept its data in the target is Released, and waits
// for an administrator.
type pairing struct {
	plan      *Plan
	entries   []Entry
	seen      Observed
	options   Options
	volumes   map[string]int  // steps of volumes, by name
	classes   map[string]bool // in the target or made by the restore: whether they make volumes
	byDefault bool            // the target has a default class that makes volumes
	given     map[string]bool // volumes that a claim gets
}

func (o Options) pair(p *Plan, entries []Entry, seen Observed) {
	if seen.Storage == nil {
		return
	}
	b := pairing{plan: p, entries: entries, seen: seen, options: o, volumes: map[string]int{}, classes: map[string]bool{}, given: map[string]bool{}}
	b.noteClasses()
	for i, e := range entries {
		if e.Key.GroupResource() == "persistentvolumes" {
			b.volumes[e.Key.Name] = i
		}
	}
	for i, e := range entries {
		if e.Key.GroupResource() == "persistentvolumeclaims" && e.Leave == "" && e.storage != nil && e.storage.volume != "" && p.Steps[i].Action != Fail {
			b.claim(&p.Steps[i], e)
		}
	}
	b.released()
}

func (b *pairing) noteClasses() {
	for name, c := range b.seen.Storage.Classes {
		b.classes[name] = c.Provisions
		b.byDefault = b.byDefault || c.Default && c.Provisions
	}
	for i, e := range b.entries {
		if e.storage != nil && e.Key.GroupResource() == storageClassResource && b.plan.Steps[i].Action == Create {
			b.classes[e.Key.Name] = e.storage.makes.Provisions
			b.byDefault = b.byDefault || e.storage.makes.Default && e.storage.makes.Provisions
		}
	}
}

// provisions reports whether a claim of the class gets a new volume.
func (b *pairing) provisions(class *string) bool {
	switch {
	case b.seen.Storage.Classes == nil:
		return true // unknown
	case class == nil:
		return b.byDefault
	}
	return b.classes[*class]
}

// alive reports whether the claim that a volume is for exists and will.
func (b *pairing) alive(r ClaimRef) bool {
	live, exists := b.seen.Storage.Claims[r.Key()]
	return exists && !live.Deleting && !b.seen.Terminating[r.Namespace] && (r.UID == "" || live.UID == r.UID)
}

// availability says whether a claim can have its volume.
type availability string

const (
	volumeMade    availability = "made"    // by this restore
	volumePaired  availability = "paired"  // the binder gives it to the claim
	volumeFree    availability = "free"    // after its claimRef is changed
	volumeTaken   availability = "taken"   // another claim's, or another volume
	volumeMissing availability = "missing" // or about to be
)

// available says whether the claim of a step can have its volume, and why not.
func (b *pairing) available(s *Step, name string) (availability, string) {
	live, exists := b.seen.Storage.Volumes[name]
	i, held := b.volumes[name]
	if held && b.makes(i, live) {
		return volumeMade, ""
	}
	claim := b.seen.Storage.Claims[s.Key]
	switch of := live.Claim; {
	case !exists:
		return volumeMissing, "is neither in the cluster nor restored"
	case live.Deleting:
		return volumeMissing, "is being deleted"
	case held && b.entries[i].storage.source != live.Source:
		return volumeTaken, "is another volume in this cluster: its source is not that of the backup"
	case of.Name == "":
		return b.free(i, held)
	case of.Key() == s.Key && (of.UID == "" && claim.Phase != "Lost" || of.UID == claim.UID && s.Action != Create):
		return volumePaired, ""
	case of.Key() != s.Key && b.alive(of):
		return volumeTaken, fmt.Sprintf("is used by claim %s/%s", of.Namespace, of.Name)
	case of.Key() != s.Key && of.Key() != s.Source():
		return volumeTaken, fmt.Sprintf("is Released, and belonged to another claim, %s/%s", of.Namespace, of.Name)
	case of.UID != "" && !live.Retained:
		return volumeMissing, "is Released, and its reclaim policy is not Retain: it will be deleted or emptied"
	}
	return b.free(i, held)
}

// free is a volume that a claim can have, unless the user excluded it.
func (b *pairing) free(i int, held bool) (availability, string) {
	if held && b.entries[i].Leave == leaveExcluded {
		return volumeTaken, "is Released, and is not given to the claim because the filter excludes volumes"
	}
	return volumeFree, ""
}

// makes reports whether the restore makes the volume of an entry.
func (b *pairing) makes(i int, live LiveVolume) bool {
	s := &b.plan.Steps[i]
	return s.Action == Create || s.Action == Update && b.options.ExistingResourcePolicy == PolicyRecreate &&
		b.entries[i].storage.source != live.Source && !b.alive(live.Claim) // it differs in what cannot be changed
}

// claim decides for one claim.
func (b *pairing) claim(s *Step, e Entry) {
	live := b.seen.Storage.Claims[s.Key]
	name := e.storage.volume
	creates := s.Action == Create
	if e.data.Method != "" { // it gets a new volume for the data in the backup
		if creates && !b.provisions(e.storage.class) {
			const why = "cannot bind until there is a volume for it, since no storage class makes one"
			s.Reason += "; " + why
			b.warn(s.Key, why)
		}
		return
	}
	how, why := b.available(s, name)
	waits := creates || live.Phase != "Bound" && (live.Volume == "" || live.Volume == name)
	switch {
	case how == volumeMade && !creates && live.Volume == name:
		b.plan.Steps[b.volumes[name]].ClaimUID = live.UID
	case !waits:
		if live.Phase == "Lost" {
			b.cannotBind(s, fmt.Sprintf("it is Lost, and its volume %s is gone (delete the claim and restore again)", live.Volume))
		}
	case how == volumeMade && creates:
		s.Volume = &VolumeStep{Name: name}
	case how == volumeFree:
		b.give(s, name, creates)
	case how == volumeTaken, how == volumeMissing:
		b.without(s, e, creates, how == volumeMissing, fmt.Sprintf("its volume %s %s", name, why))
	}
}

// give gives a claim a volume that is free.
func (b *pairing) give(s *Step, name string, creates bool) {
	v := b.seen.Storage.Volumes[name]
	s.Volume = &VolumeStep{Name: name, Reserve: true, UID: v.UID, Was: v.Claim}
	b.given[name] = true
	note := fmt.Sprintf("gets its volume %s back", name)
	if claim := b.seen.Storage.Claims[s.Key]; !creates && (claim.Phase == "Lost" || b.options.ExistingResourcePolicy != PolicyRecreate) {
		s.Volume.ClaimUID = claim.UID
	}
	b.noteVolume(s.Key, "not in the backup, but in its volume "+name+" of the cluster, which the claim gets back")
	s.Reason += "; " + note
	if s.Action == Unchanged || s.Action == Skip {
		s.Action, s.Volume.Only = Update, true
	}
	i, held := b.volumes[name]
	switch {
	case held && b.entries[i].Leave == leaveProvisioned:
		b.plan.Steps[i].Reason = "exists; left alone"
	case !held || b.entries[i].Leave != "":
		return
	}
	b.plan.Steps[i].Reason += "; claim " + s.Key.Namespace + "/" + s.Key.Name + " gets it back"
}

// without settles a claim that cannot have its volume.
func (b *pairing) without(s *Step, e Entry, creates, missing bool, why string) {
	_, exists := b.seen.Storage.Volumes[e.storage.volume]
	provisions := b.provisions(e.storage.class)
	lost := !creates && b.seen.Storage.Claims[s.Key].Phase == "Lost"
	switch {
	case !creates && lost:
		b.cannotBind(s, "it is Lost, since "+why+" (delete the claim and restore again)")
	case !e.storage.bound: // it was waiting in the backup, too
	case provisions && creates && exists:
		s.Reason += "; gets a new, empty volume, since " + why
		b.warn(s.Key, "gets a new, empty volume, since "+why)
	case provisions:
	case missing:
		if s.Action == Unchanged {
			s.Action = Skip
		}
		s.Reason += "; cannot bind until there is a volume for it: " + why
		b.warn(s.Key, "cannot bind until there is a volume for it, since no storage class makes one: "+why)
	default:
		b.cannotBind(s, why+", and no storage class makes a new one (create a volume with a claimRef to this claim, then restore again)")
	}
}

// cannotBind fails the step of a claim that would wait forever.
func (b *pairing) cannotBind(s *Step, why string) {
	s.Action, s.Owners, s.Reason = Fail, nil, "cannot bind: "+why
}

// noteVolume says where the data of a claim is.
func (b *pairing) noteVolume(claim item.Key, note string) {
	for i := range b.plan.Volumes {
		if v := &b.plan.Volumes[i]; v.Object == claim.String() {
			v.Note = note
		}
	}
}

func (b *pairing) warn(k item.Key, text string) {
	b.plan.Warnings = append(b.plan.Warnings, k.String()+": "+text)
}

// released finds volumes of the backup that are in the target and no
// claim can bind them.
func (b *pairing) released() {
	for name, i := range b.volumes {
		s, live := &b.plan.Steps[i], b.seen.Storage.Volumes[name]
		stale := live.Claim.UID != "" && !b.alive(live.Claim)
		if !stale || live.Deleting || b.given[name] || b.entries[i].Leave != "" || s.Action == Create || s.Action == Fail {
			continue
		}
		why := fmt.Sprintf("is Released: claim %s/%s, which it belonged to, is gone, and this restore does not give it to a claim", live.Claim.Namespace, live.Claim.Name)
		if s.Action == Unchanged {
			s.Action = Skip
		}
		s.Reason += "; it " + why
		b.warn(s.Key, why)
	}
}
