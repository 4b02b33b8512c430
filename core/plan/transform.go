package plan

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/modifier"
)

// Policy says what happens to an object that the target has in another form.
type Policy string

// The policies. None and update are Velero's (spec.existingResourcePolicy);
// recreate is ours.
const (
	PolicyNone     Policy = "none"
	PolicyUpdate   Policy = "update"
	PolicyRecreate Policy = "recreate"
)

// Options says what a restore takes from a backup and how it changes it on its
// way. The zero value is everything, as it is.
type Options struct {
	// Filter has to be resolved for Examine.
	Filter filter.Filter `json:"filter,omitzero"`
	// NamespaceMapping and StorageClassMapping hold the new name by the old one.
	NamespaceMapping    map[string]string `json:"namespaceMapping,omitempty"`
	StorageClassMapping map[string]string `json:"storageClassMapping,omitempty"`
	PreserveNodePorts   bool              `json:"preserveNodePorts,omitempty"`
	// StatusResources are the resources whose status is restored, "*" for all,
	// but for ExcludedStatusResources. Their names have to be resolved. The annotation velero.io/restore-status
	// of an object outranks both.
	StatusResources         []string `json:"statusResources,omitempty"`
	ExcludedStatusResources []string `json:"excludedStatusResources,omitempty"`
	// ExistingResourcePolicy means none when empty.
	ExistingResourcePolicy Policy `json:"existingResourcePolicy,omitempty"`
	// Modifiers change objects by rules of the user; Types knows the built-in
	// kinds for their strategic merge patches.
	Modifiers modifier.Rules `json:"resourceModifiers,omitzero"`
	Types     modifier.Types `json:"-"`
	// VolumeData is the data in the backup, by the name of the PersistentVolume.
	VolumeData map[string]VolumeData `json:"-"`
	// Leave and Adapt, when set, fit a restore to a target that is not like the
	// cluster of the backup; both must answer the same each time. Leave says why
	// the target cannot have an object, "" when it can; it sees the object as the
	// backup holds it, and may not change it. Adapt changes an object in place,
	// after all other changes.
	Leave func(u *unstructured.Unstructured, groupResource string) string `json:"-"`
	Adapt func(u *unstructured.Unstructured, groupResource string)        `json:"-"`
}

// Check says what is wrong with the options by themselves, all of it.
func (o Options) Check() []error {
	var errs []error
	if err := o.Filter.Check(); err != nil {
		errs = append(errs, err)
	}
	if o.Filter.Scoped() {
		errs = append(errs, errors.New("a restore names resources by includedResources and excludedResources, not by scope"))
	}
	for _, from := range slices.Sorted(maps.Keys(o.NamespaceMapping)) {
		for _, n := range []string{from, o.NamespaceMapping[from]} {
			if len(validation.IsDNS1123Label(n)) > 0 {
				errs = append(errs, fmt.Errorf("namespace mapping %s:%s: %q is not a valid namespace name", from, o.NamespaceMapping[from], n))
			}
		}
	}
	for _, from := range slices.Sorted(maps.Keys(o.StorageClassMapping)) {
		if from == "" || len(validation.IsDNS1123Subdomain(o.StorageClassMapping[from])) > 0 {
			errs = append(errs, fmt.Errorf("storage class mapping %s:%s: both must be names of storage classes", from, o.StorageClassMapping[from]))
		}
	}
	switch o.ExistingResourcePolicy {
	case "", PolicyNone, PolicyUpdate, PolicyRecreate:
	default:
		errs = append(errs, fmt.Errorf("existing resource policy %q: must be none, update or recreate", o.ExistingResourcePolicy))
	}
	return errs
}

// Target is the key that an item of the backup has in the target cluster.
func (o Options) Target(k item.Key) item.Key {
	if k.GroupResource() == "namespaces" {
		k.Name = o.namespace(k.Name)
	}
	k.Namespace = o.namespace(k.Namespace)
	return k
}

func (o Options) namespace(name string) string {
	if to, mapped := o.NamespaceMapping[name]; mapped {
		return to
	}
	return name
}

// Transform turns an object of a backup into the one that the target gets, in
// place. The order is Velero's: Prepare and what belongs to the kind, then the
// user's modifiers, then the namespace. Adapt comes last.
func (o Options) Transform(u *unstructured.Unstructured, groupResource string) error {
	var original *unstructured.Unstructured
	modified := !o.Modifiers.IsZero()
	if modified {
		original = u.DeepCopy()
	}
	keep := wantedClusterIPs(u, groupResource)
	prepare(u, o.PreserveNodePorts)
	maps.Copy(item.Child(u.Object, "spec"), keep)
	o.mapStorageClasses(u, groupResource)
	o.mapReferences(u, groupResource)
	if modified {
		if _, err := o.Modifiers.Apply(original, u, groupResource, o.Types); err != nil {
			return err
		}
	}
	o.mapNamespace(u, groupResource)
	if o.Adapt != nil {
		o.Adapt(u, groupResource)
	}
	return nil
}

func (o Options) mapNamespace(u *unstructured.Unstructured, groupResource string) {
	meta := item.Child(u.Object, "metadata")
	if namespace, ok := meta["namespace"].(string); ok && namespace != "" {
		meta["namespace"] = o.namespace(namespace)
	}
	if groupResource != "namespaces" {
		return
	}
	name, _ := meta["name"].(string)
	meta["name"] = o.namespace(name)
	if labels := item.Child(meta, "labels"); labels["kubernetes.io/metadata.name"] != nil {
		labels["kubernetes.io/metadata.name"] = o.namespace(name) // as the API server would
	}
}

const oldStorageClassAnnotation = "volume.beta.kubernetes.io/storage-class"

func (o Options) mapStorageClasses(u *unstructured.Unstructured, groupResource string) {
	if len(o.StorageClassMapping) == 0 {
		return
	}
	eachStorageClass(u, groupResource, func(m map[string]any, field, name string) {
		if to := o.StorageClassMapping[name]; to != "" {
			m[field] = to
		}
	})
}

// storageClassesOf are the names that mapStorageClasses looks at, none if the
// options map no storage class.
func (o Options) storageClassesOf(u *unstructured.Unstructured, groupResource string) (names []string) {
	if len(o.StorageClassMapping) == 0 {
		return nil
	}
	if groupResource == storageClassResource {
		names = append(names, u.GetName())
	}
	eachStorageClass(u, groupResource, func(_ map[string]any, _, name string) { names = append(names, name) })
	return names
}

const storageClassResource = "storageclasses.storage.k8s.io"

// eachStorageClass calls use for each field in which an object names a storage
// class.
func eachStorageClass(u *unstructured.Unstructured, groupResource string, use func(m map[string]any, field, name string)) {
	field := func(m map[string]any, field string) {
		if name, ok := m[field].(string); ok {
			use(m, field, name)
		}
	}
	switch groupResource {
	case "persistentvolumes", "persistentvolumeclaims":
		field(item.Child(u.Object, "spec"), "storageClassName")
		field(item.Child(u.Object, "metadata", "annotations"), oldStorageClassAnnotation)
	case "statefulsets.apps":
		for _, claim := range item.Maps(item.Child(u.Object, "spec")["volumeClaimTemplates"]) {
			field(item.Child(claim, "spec"), "storageClassName")
			field(item.Child(claim, "metadata", "annotations"), oldStorageClassAnnotation)
		}
	}
}

// restoresStatus reports whether the status of an object is restored (Velero
// v1.18, spec.restoreStatus and the annotation).
func (o Options) restoresStatus(u *unstructured.Unstructured, r item.Resource) bool {
	if u.Object["status"] == nil {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(u.GetAnnotations()[annotationRestoreStatus])) { // as Velero reads it
	case "true":
		return true
	case "false":
		return false
	}
	return filter.NamesResource(o.StatusResources, r) && !filter.NamesResource(o.ExcludedStatusResources, r)
}

const annotationRestoreStatus = "velero.io/restore-status"

// LiveDigest digests an object of the target for comparison with the one that
// the backup holds at an API version. u is used up.
func (o Options) LiveDigest(u *unstructured.Unstructured, heldAPIVersion string) (Digest, error) {
	u.SetAPIVersion(heldAPIVersion)
	prepare(u, o.PreserveNodePorts)
	return digest(u)
}

// Live is what a plan needs to know of an object of the target. u is used up.
func (o Options) Live(u *unstructured.Unstructured, heldAPIVersion string) (Live, error) {
	phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
	l := Live{
		UID: string(u.GetUID()), Backup: u.GetLabels()[api.LabelBackupName],
		Owned:    len(ownerRefsOf(u)) > 0,
		Bound:    phase == "Bound" && strings.HasPrefix(u.GetKind(), "PersistentVolume"),
		Deleting: u.GetDeletionTimestamp() != nil, Incomplete: u.GetAnnotations()[api.AnnotationIncomplete],
		grants: grantsOf(u), reconciled: reconciled(u),
	}
	var err error
	l.Digest, err = o.LiveDigest(u, heldAPIVersion)
	return l, err
}

// MissingStorageClasses are the new names in the mapping that neither the
// target nor the backup has.
func (o Options) MissingStorageClasses(entries []Entry, seen Observed) []string {
	var out []string
	for _, to := range slices.Sorted(maps.Values(o.StorageClassMapping)) {
		inBackup := slices.ContainsFunc(entries, func(e Entry) bool {
			return e.Leave == "" && e.Key.GroupResource() == storageClassResource && e.Key.Name == to
		})
		if !inBackup && !seen.StorageClasses[to] {
			out = append(out, to)
		}
	}
	return slices.Compact(out)
}

func sumOf(uid string) uidSum {
	if uid == "" {
		return uidSum{}
	}
	sum := sha256.Sum256([]byte(uid))
	return uidSum(sum[:16])
}

func backupLabel(backup string) string { return api.LabelValue(backup) }
