package sabotage

import (
	"errors"
	"os"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// The healthy backups that nothing else is made from. Each is one of Lifeboat,
// with other options.
const (
	OneNamespace Source = "Lifeboat, one namespace"
	BySelector   Source = "Lifeboat, by labels"
	SomeKinds    Source = "Lifeboat, Secrets and ConfigMaps"
	ClusterOnly  Source = "Lifeboat, cluster-scoped only"
	Large        Source = "Lifeboat, 2000 objects"
)

// options are what `lifeboat backup create` is asked for.
func (s Source) options() []string {
	return map[Source][]string{
		OneNamespace: {"--include-namespaces", "boatyard"},
		BySelector:   {"--selector", "app=web"},
		SomeKinds:    {"--include-resources", "secrets,configmaps", "--include-namespaces", "boatyard", "--ttl", "8760h", "--labels", "velero.io/schedule-name=yearly"},
		ClusterOnly:  {"--include-cluster-scoped-resources", "*", "--exclude-namespace-scoped-resources", "*"},
	}[s]
}

// healthy are backups that must pass at every level.
func healthy() []Case {
	var all []Case
	for _, s := range []Source{Ours, Encrypted, Veleros, OneNamespace, BySelector, SomeKinds, ClusterOnly, Large} {
		all = append(all, Case{Name: "healthy", From: s})
	}
	return append(all,
		Case{Name: "healthy: the log could not be uploaded", From: Veleros, Make: delete1(store.Log)},
		Case{Name: "healthy: as Velero 1.10 wrote it, without results, operations and volume records", From: Veleros, Make: asVelero110},
		Case{Name: "healthy: it has expired, as every backup does", From: Veleros, Make: longAgo},
		Case{Name: "healthy: of an older Kubernetes, which did not fill in what this one does", From: Ours, Make: both(
			careful(set("statefulsets.apps boatyard/ledger", nil, "spec", "persistentVolumeClaimRetentionPolicy")), fromKubernetes("v1.26.3"))},
		Case{Name: "healthy: PartiallyFailed, and it says why", From: Veleros, Make: partiallyFailed},
		Case{Name: "healthy: the tarball was packed again", From: Veleros, Make: careless()},
		Case{Name: "healthy: beside a backup that is damaged", From: Ours, Make: func(b *Backup) error {
			return delete1(store.Contents)(&Backup{Dir: b.Dir, Name: OurEarlier})
		}},
	)
}

// both does one thing after the other.
func both(one, other func(*Backup) error) func(*Backup) error {
	return func(b *Backup) error { return errors.Join(one(b), other(b)) }
}

func fromKubernetes(version string) func(*Backup) error {
	return says(version, "metadata", "annotations", api.AnnotationSourceGitVersion)
}

// longAgo moves all times of the backup by the same span.
func longAgo(b *Backup) error {
	return b.metadata(func(m map[string]any) {
		status := child(m, "status")
		for _, field := range []string{"startTimestamp", "completionTimestamp", "expiration"} {
			status[field] = strings.Replace(status[field].(string), "2026", "2020", 1)
		}
	})
}

func asVelero110(b *Backup) error {
	var errs []error
	for _, k := range []Key{store.Results, store.ItemOperations, store.VolumeInfo} {
		errs = append(errs, os.Remove(b.path(k)))
	}
	return errors.Join(append(errs, b.metadata(func(m map[string]any) {
		delete(child(m, "status"), "hookStatus")
		delete(child(m, "spec"), "volumeGroupSnapshotLabelKey")
		delete(child(m, "spec"), "itemOperationTimeout")
	}))...)
}

func partiallyFailed(b *Backup) error {
	return errors.Join(
		b.metadata(func(m map[string]any) {
			child(m, "status")["phase"] = "PartiallyFailed"
			child(m, "status")["errors"] = 1
		}),
		rezip(b, store.Results, func(r object) object {
			r["errors"] = object{"namespaces": object{"notes": []any{"resource: /pods name: /gone error: /not found"}}}
			return r
		}),
	)
}
