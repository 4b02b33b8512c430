package spec

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/filter"
)

// DefaultTTL is how long a backup is kept by default, as with Velero.
const DefaultTTL = 720 * time.Hour

// What Velero v1.18.1 writes into a spec that leaves it open. No snapshots are
// taken and nothing is waited for; zero would read as "give up at once".
const (
	csiSnapshotTimeout   = 10 * time.Minute
	itemOperationTimeout = 4 * time.Hour
	volumeGroupLabel     = "velero.io/volume-group"
	defaultLocation      = "default"
)

// What Velero v1.18 leaves out of every backup, and writes into its spec.
const (
	snapshots        = "volumesnapshots.snapshot.storage.k8s.io"
	snapshotContents = "volumesnapshotcontents.snapshot.storage.k8s.io"
)

// Backup is what a backup acts on of a BackupSpec.
type Backup struct {
	Filter filter.Filter
	Order  filter.Order  // objects that come first of their resource
	TTL    time.Duration // 0 = DefaultTTL
}

// ReadBackup reads the settings of a spec. The error is a Problems.
func ReadBackup(s velerov1.BackupSpec) (Backup, error) {
	var p Problems
	b := Backup{
		Filter: filter.Filter{
			IncludedNamespaces:               s.IncludedNamespaces,
			ExcludedNamespaces:               s.ExcludedNamespaces,
			IncludedResources:                s.IncludedResources,
			ExcludedResources:                s.ExcludedResources,
			IncludeClusterResources:          s.IncludeClusterResources,
			IncludedClusterScopedResources:   s.IncludedClusterScopedResources,
			ExcludedClusterScopedResources:   s.ExcludedClusterScopedResources,
			IncludedNamespaceScopedResources: s.IncludedNamespaceScopedResources,
			ExcludedNamespaceScopedResources: s.ExcludedNamespaceScopedResources,
		},
		Order: readOrder(s.OrderedResources),
		TTL:   s.TTL.Duration,
	}
	b.Filter.LabelSelector, b.Filter.OrLabelSelectors = p.selectors(s.LabelSelector, s.OrLabelSelectors)
	p.filter(b.Filter)
	if err := b.Order.Check(); err != nil {
		p.invalid("orderedResources", "%w", err)
	}
	if b.TTL < 0 {
		p.invalid("ttl", "%s is negative", b.TTL)
	}
	p.backupData(s)
	if err := p.err(); err != nil {
		return Backup{}, err
	}
	return b, nil
}

// backupData adds what a spec asks for besides objects.
func (p *Problems) backupData(s velerov1.BackupSpec) {
	const objects = ": a backup holds objects only"
	p.unsupported(len(s.Hooks.Resources) > 0, "hooks", "")
	p.unsupported(isTrue(s.SnapshotVolumes), "snapshotVolumes=true", objects)
	p.unsupported(isTrue(s.SnapshotMoveData), "snapshotMoveData=true", objects)
	p.unsupported(isTrue(s.DefaultVolumesToFsBackup), "defaultVolumesToFsBackup=true", objects)
	p.unsupported(isTrue(s.DefaultVolumesToRestic), "defaultVolumesToRestic=true", objects)
	p.unsupported(s.ResourcePolicy != nil, "resourcePolicy", objects)
}

func readOrder(ordered map[string]string) filter.Order {
	if len(ordered) == 0 {
		return nil
	}
	order := filter.Order{}
	for resource, list := range ordered {
		for name := range strings.SplitSeq(list, ",") {
			order[resource] = append(order[resource], strings.TrimSpace(name))
		}
	}
	return order
}

// Spec is a spec with the settings and nothing else. The
// settings must be free of mistakes (filter.Filter.Check, filter.Order.Check).
func (b Backup) Spec() velerov1.BackupSpec {
	f := b.Filter
	return velerov1.BackupSpec{
		IncludedNamespaces:               f.IncludedNamespaces,
		ExcludedNamespaces:               f.ExcludedNamespaces,
		IncludedResources:                f.IncludedResources,
		ExcludedResources:                f.ExcludedResources,
		IncludeClusterResources:          f.IncludeClusterResources,
		IncludedClusterScopedResources:   f.IncludedClusterScopedResources,
		ExcludedClusterScopedResources:   f.ExcludedClusterScopedResources,
		IncludedNamespaceScopedResources: f.IncludedNamespaceScopedResources,
		ExcludedNamespaceScopedResources: f.ExcludedNamespaceScopedResources,
		LabelSelector:                    selector(f.LabelSelector),
		OrLabelSelectors:                 selectors(f.OrLabelSelectors),
		OrderedResources:                 b.Order.Spec(),
		TTL:                              metav1.Duration{Duration: b.TTL},
	}
}

// CompleteBackup is a copy of a spec in which every field that is left open has
// the default that Velero's server writes into it; the namespaces that a label
// excludes are among the excluded ones, and so are the resources that are left
// out of every backup.
func CompleteBackup(s velerov1.BackupSpec, marked []string) velerov1.BackupSpec {
	s = *s.DeepCopy()
	s.ExcludedNamespaces = appendUnique(s.ExcludedNamespaces, marked...)
	if len(s.IncludedNamespaces) == 0 {
		s.IncludedNamespaces = []string{"*"}
	}
	if s.IncludeClusterResources != nil || len(s.IncludedResources)+len(s.ExcludedResources) > 0 {
		s.ExcludedResources = appendUnique(s.ExcludedResources, snapshots, snapshotContents)
	} else {
		s.ExcludedNamespaceScopedResources = appendUnique(s.ExcludedNamespaceScopedResources, snapshots)
		s.ExcludedClusterScopedResources = appendUnique(s.ExcludedClusterScopedResources, snapshotContents)
	}
	orDefault(&s.StorageLocation, defaultLocation)
	orDefault(&s.VolumeGroupSnapshotLabelKey, volumeGroupLabel)
	orDefault(&s.TTL.Duration, DefaultTTL)
	orDefault(&s.CSISnapshotTimeout.Duration, csiSnapshotTimeout)
	orDefault(&s.ItemOperationTimeout.Duration, itemOperationTimeout)
	orDefault(&s.DefaultVolumesToFsBackup, new(bool))
	orDefault(&s.SnapshotMoveData, new(bool))
	return s
}

// orDefault sets a field that has its zero value.
func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// appendUnique is a copy of a list with more names at its end, each once.
func appendUnique(list []string, more ...string) []string {
	out := slices.Clone(list)
	for _, n := range more {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
