package plan

import (
	"cmp"
	"crypto/sha256"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Entry is what a plan keeps of one item of a backup: enough to decide, not
// the object.
type Entry struct {
	Key     item.Key  // in the target
	From    *item.Key // in the backup, nil when it is the same
	Version string
	Kind    string
	Size    int    // bytes of JSON
	Sum     Digest // of the JSON as the archive holds it
	Digest  Digest // of the normalised object
	// Leave is why the item is not restored by rule, "" when it is.
	Leave string
	// Defines is the group-resource that a custom resource definition adds.
	Defines string
	// Aggregates is the API version that an APIService hands on to a server of
	// its own.
	Aggregates string
	// Volume says what becomes of the data behind a claim or volume.
	Volume string
	// Broken says why a modifier of the user could not change the item.
	Broken string
	Status bool // its status is restored

	// selection is what the filter decides, and rule why the item is not restored
	// even if the filter selects it. neededBy names an item that needs this one,
	// which the filter does not select by itself.
	selection selection
	rule      string
	neededBy  string

	// protected marks an object that the control plane of a cluster depends on: it
	// is created, and never changed in a target that has it.
	protected bool
	asked     bool     // the filter names its resource, so that it may be changed all the same
	classes   []string // storage classes that it names, if the options map any
	// made is what makes the object in the target if the backup has it, "" when
	// nothing that is in a backup does: see made.go.
	made  string
	makes []string // what is made in the target because of this object

	data    VolumeData // of a claim or volume
	storage *storage   // of a claim, volume or storage class, nil for others
	clone   *clone     // set only where a namespace is mapped
	uid     uidSum
	owners  []ownerRef
	// withheld are the fields that the object is created without.
	withheld []string
}

// Source is the item's key in the backup.
func (e Entry) Source() item.Key {
	if e.From != nil {
		return *e.From
	}
	return e.Key
}

// The reasons for which items are not restored.
const (
	leaveFiltered      = "left out by the filter of the restore"
	leaveExcluded      = "excluded by the filter of the restore"
	leaveNotRestorable = "belongs to the cluster it came from"
	leaveFinished      = "has finished"
	leaveMirror        = "mirror pod: the kubelet makes it from a file of its node"
	leaveGenerated     = "generated: the target cluster makes its own"
	leaveSnapshot      = "snapshots are not restored: it would take a new one, or delete the old one"
	leaveTransfer      = "it would start a transfer of data or another action of Velero"
	leaveProvisioned   = "its data is not restored, and a claim gets a new, empty volume in its place"
)

// notRestorable are Velero's nonRestorableResources (pkg/controller,
// restore_controller.go), and certificate signing requests: the API server
// would take whoever restores them for the one who asks.
var notRestorable = map[string]bool{
	"nodes": true,
	"certificatesigningrequests.certificates.k8s.io": true,
	"events":                           true,
	"events.events.k8s.io":             true,
	"backups.velero.io":                true,
	"restores.velero.io":               true,
	"resticrepositories.velero.io":     true,
	"backuprepositories.velero.io":     true,
	"csinodes.storage.k8s.io":          true,
	"volumeattachments.storage.k8s.io": true,
}

// actions are resources whose objects start something when they are created: what
// they stood for in the cluster of the backup is over. (Velero restores them through
// plugins, or not.)
var actions = map[string]string{
	"volumesnapshots.snapshot.storage.k8s.io":                  leaveSnapshot,
	"volumesnapshotcontents.snapshot.storage.k8s.io":           leaveSnapshot,
	"volumegroupsnapshots.groupsnapshot.storage.k8s.io":        leaveSnapshot,
	"volumegroupsnapshotcontents.groupsnapshot.storage.k8s.io": leaveSnapshot,
	"datauploads.velero.io":                                    leaveTransfer,
	"datadownloads.velero.io":                                  leaveTransfer,
	"podvolumebackups.velero.io":                               leaveTransfer,
	"podvolumerestores.velero.io":                              leaveTransfer,
	"deletebackuprequests.velero.io":                           leaveTransfer,
	"downloadrequests.velero.io":                               leaveTransfer,
	"serverstatusrequests.velero.io":                           leaveTransfer,
}

// neverRestored reports whether no object of a resource is restored.
func neverRestored(groupResource string) bool {
	return notRestorable[groupResource] || actions[groupResource] != ""
}

// Examine makes the entry of an item.
func Examine(it item.Item, o Options) (Entry, error) {
	u, err := it.Object()
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Key: it.Key, Version: it.Version, Kind: it.Kind, Size: len(it.Raw), Sum: sha256.Sum256(it.Raw), uid: sumOf(string(u.GetUID()))}
	switch it.Key.GroupResource() {
	case "customresourcedefinitions.apiextensions.k8s.io":
		group, _, _ := unstructured.NestedString(u.Object, "spec", "group")
		plural, _, _ := unstructured.NestedString(u.Object, "spec", "names", "plural")
		e.Defines = item.Key{Group: group, Resource: plural}.GroupResource()
	case "apiservices.apiregistration.k8s.io":
		if service, _, _ := unstructured.NestedMap(u.Object, "spec", "service"); service != nil {
			group, _, _ := unstructured.NestedString(u.Object, "spec", "group")
			version, _, _ := unstructured.NestedString(u.Object, "spec", "version")
			e.Aggregates = item.Resource{Group: group, Version: version}.APIVersion()
		}
	case "persistentvolumeclaims":
		volume, _, _ := unstructured.NestedString(u.Object, "spec", "volumeName")
		e.data = o.VolumeData[volume]
		e.Volume = dataNote(e.data.Method)
	case "persistentvolumes":
		e.data = o.VolumeData[it.Key.Name]
		e.Volume = dataNote(e.data.Method)
	}
	if why := actions[it.Key.GroupResource()]; why != "" {
		e.Volume = why
	}
	e.storage = storageOf(u, it.Key)
	e.protected, e.asked = protected(u, o.Target(it.Key)), o.asksFor(it)
	e.made, e.makes = madeOf(u, it.Key), makes(u, it.Key)
	e.selection = o.selectItem(u, it)
	if e.rule = byRule(u, it.Key, o); e.rule == "" && o.Leave != nil {
		e.rule = o.Leave(u, it.Key.GroupResource())
	}
	e.Leave = cmp.Or(e.selection.leave, e.rule)
	if target := o.Target(it.Key); target != it.Key {
		e.Key, e.From = target, &it.Key
	}
	e.classes = o.storageClassesOf(u, it.Key.GroupResource())
	e.owners, e.Status = ownerRefsOf(u), o.restoresStatus(u, resourceOf(it))
	refers := o.refersTo(u, it.Key)
	if err := o.Transform(u, it.Key.GroupResource()); err != nil {
		e.Broken = err.Error()
		return e, nil //nolint:nilerr // the entry says that it is broken
	}
	e.storage.classed(u)
	e.clone = o.cloneOf(u, it.Key, refers)
	for _, w := range withheldIn(u, it.Key.GroupResource()) {
		e.withheld = append(e.withheld, w.String())
	}
	e.Digest, err = digest(u)
	return e, err
}

func dataNote(method string) string {
	if method == "" {
		return "data not included in the backup"
	}
	return "data not restored: it is in the backup (" + method + "), and this version restores objects only"
}

// ofTheAPIServer are objects that API servers write of themselves: where to find
// them and by which certificates. To update them with those of another cluster
// would cut the target off.
var ofTheAPIServer = map[item.Key]bool{
	{Resource: "services", Namespace: "default", Name: "kubernetes"}:                                                 true,
	{Resource: "endpoints", Namespace: "default", Name: "kubernetes"}:                                                true,
	{Group: "discovery.k8s.io", Resource: "endpointslices", Namespace: "default", Name: "kubernetes"}:                true,
	{Resource: "configmaps", Namespace: "kube-system", Name: "extension-apiserver-authentication"}:                   true,
	{Resource: "configmaps", Namespace: "kube-system", Name: "kube-apiserver-legacy-service-account-token-tracking"}: true,
}

// byRule says why an object is never restored (Velero's restore item actions
// and restoreItem), "" when it is.
func byRule(u *unstructured.Unstructured, k item.Key, o Options) string {
	if notRestorable[k.GroupResource()] {
		return leaveNotRestorable
	}
	if why := actions[k.GroupResource()]; why != "" {
		return why
	}
	if ofTheAPIServer[k] {
		return leaveGenerated
	}
	if madeOf(u, k) != "" {
		return leaveGenerated // unless needMakers finds that nothing makes it
	}
	annotations, lbls := u.GetAnnotations(), u.GetLabels()
	switch k.GroupResource() {
	case "pods":
		phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
		switch {
		case annotations["kubernetes.io/config.mirror"] != "":
			return leaveMirror
		case phase == "Succeeded" || phase == "Failed":
			return leaveFinished
		}
	case "jobs.batch":
		if finishedJob(u) {
			return leaveFinished
		}
	case "configmaps":
		// The publisher of root certificates keeps this one key in each namespace.
		data := item.Child(u.Object, "data")
		if k.Name == "kube-root-ca.crt" && (len(data) == 0 || len(data) == 1 && data["ca.crt"] != nil) {
			return leaveGenerated
		}
	case "ipaddresses.networking.k8s.io":
		// The API server allocates one for each Service's cluster IP.
		if lbls["ipaddress.kubernetes.io/managed-by"] != "" {
			return leaveGenerated
		}
	case "leases.coordination.k8s.io":
		// Heartbeats of nodes and API servers.
		if k.Namespace == "kube-node-lease" || lbls["apiserver.kubernetes.io/identity"] != "" {
			return leaveNotRestorable
		}
	case "apiservices.apiregistration.k8s.io":
		if lbls["kube-aggregator.kubernetes.io/automanaged"] != "" {
			return leaveGenerated
		}
	case "persistentvolumes":
		policy, _, _ := unstructured.NestedString(u.Object, "spec", "persistentVolumeReclaimPolicy")
		if policy == "Delete" || o.VolumeData[k.Name].Method != "" {
			return leaveProvisioned
		}
	}
	return ""
}

// finishedJob reports whether a job has succeeded or failed for good. (Velero
// looks at the completion time alone, which a failed job does not have; it
// would run again.)
func finishedJob(u *unstructured.Unstructured) bool {
	if t, _, _ := unstructured.NestedString(u.Object, "status", "completionTime"); t != "" {
		return true
	}
	for _, c := range item.Maps(item.Child(u.Object, "status")["conditions"]) {
		if (c["type"] == "Complete" || c["type"] == "Failed") && c["status"] == "True" {
			return true
		}
	}
	return false
}

// tokenType marks a Secret that holds a service account's token.
const tokenType = "kubernetes.io/service-account-token"
