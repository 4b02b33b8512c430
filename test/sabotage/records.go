package sabotage

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// object is JSON without a type, so that what is not changed stays as it was.
type object = map[string]any

// says changes one field of velero-backup.json, and the manifest with it; nil
// removes it.
func says(value any, path ...string) func(*Backup) error {
	return resealed(func(b *Backup) error {
		return b.metadata(func(m map[string]any) {
			in := child(m, path[:len(path)-1]...)
			if last := path[len(path)-1]; value == nil {
				delete(in, last)
			} else {
				in[last] = value
			}
		})
	})
}

// retold changes what a companion file says, and the manifest with it.
func retold[T any](k Key, change func(T) T) func(*Backup) error {
	return resealed(func(b *Backup) error { return rezip(b, k, change) })
}

// first changes the first of a list of records.
func first(change func(object)) func([]object) []object {
	return func(list []object) []object {
		change(list[0])
		return list
	}
}

// lying changes the manifest, and nothing that it describes.
func lying(change func(*manifest.Manifest)) func(*Backup) error {
	return func(b *Backup) error {
		return b.lie(func(m *manifest.Manifest) error { change(m); return nil })
	}
}

// operation is an asynchronous operation as Velero records it.
func operation(phase string) object {
	return object{
		"spec":   object{"backupName": Veleros.name(), "operationID": "op-1", "resourceIdentifier": object{"Resource": "persistentvolumeclaims", "Namespace": "notes", "Name": "notes"}},
		"status": object{"phase": phase},
	}
}

func ofMetadata(s Source, message string) Expectation {
	return seenBy(report.LevelIntegrity, "metadata_valid", s.key(store.Metadata), message)
}

func ofCounts(s Source, message string) Expectation {
	return seenBy(report.LevelIntegrity, "counts_agree", s.key(store.Metadata), message)
}

func ofList(object, message string) Expectation {
	return seenBy(report.LevelIntegrity, "resource_list_agrees", object, message)
}

func ofResults(s Source, message string) Expectation {
	return seenBy(report.LevelIntegrity, "results_readable", s.key(store.Results), message)
}

func ofVolumes(object, message string) Expectation {
	return seenBy(report.LevelIntegrity, "volume_records_consistent", object, message)
}

func ofOperations(message string) Expectation {
	return seenBy(report.LevelIntegrity, "operations_agree", Veleros.key(store.ItemOperations), message)
}

func ofManifest(message string) Expectation {
	return seenBy(report.LevelIntegrity, "manifest_consistent", Ours.key(store.Manifest), message)
}

// records are lies about a backup whose objects are as they were.
func records() []Case {
	return slices.Concat(statuses(), lists(), volumeRecords(), operations(), manifests(), exchanged())
}

// statuses are lies of velero-backup.json, or that it gives away.
func statuses() []Case {
	var all []Case
	for _, s := range []Source{Ours, Veleros} {
		all = append(all,
			Case{"the backup was left InProgress", s, says("InProgress", "status", "phase"), nil, ofMetadata(s, "left in phase InProgress")},
			Case{"the backup is being deleted", s, says("Deleting", "status", "phase"), nil, ofMetadata(s, "phase Deleting")},
			Case{"the backup has failed", s, says("Failed", "status", "phase"), nil, ofMetadata(s, "phase Failed")},
			Case{"the phase is not a phase of a Backup", s, says("Splendid", "status", "phase"), nil, ofMetadata(s, `phase "Splendid" is not a phase`)},
			Case{"the backup is Completed and never ended", s, says(nil, "status", "completionTimestamp"), nil, ofMetadata(s, "without a start time")},
			Case{"the backup ended before it started", s, says("2020-01-01T00:00:00Z", "status", "completionTimestamp"), nil, ofMetadata(s, "before it started")},
			Case{"the backup expires before its time", s, says("2020-01-01T00:00:00Z", "status", "expiration"), nil, ofMetadata(s, "expires at 2020-01-01")},
			Case{"velero-backup.json is another backup's", s, says("another", "metadata", "name"), nil, ofMetadata(s, `object is backup "another"`)},
			Case{"velero-backup.json is no Backup", s, says("Restore", "kind"), nil, ofMetadata(s, "want a Backup")},
			Case{"the format is of a version to come", s, says("2.0.0", "status", "formatVersion"), nil, ofMetadata(s, "format version")},
			Case{"the backup counts more items than it holds", s, says(9999, "status", "progress", "itemsBackedUp"), nil, ofCounts(s, "9999 items")},
			Case{"the backup is Completed, and not all items were backed up", s, says(9999, "status", "progress", "totalItems"), nil, ofCounts(s, "of 9999 items")},
			Case{"the backup counts errors that its results do not list", s, says(3, "status", "errors"), nil, ofResults(s, "the backup counts 3")},
			Case{"the results list an error that the backup does not count", s, retold(store.Results, func(r object) object {
				r["errors"] = object{"cluster": []any{"one"}}
				return r
			}), nil, ofResults(s, "results list 1 errors")},
		)
	}
	return all
}

func lists() []Case {
	return []Case{
		{"the resource list names an item that is not there", Veleros, retold(store.ResourceList, func(l map[string][]string) map[string][]string {
			l["v1/ConfigMap"] = append(l["v1/ConfigMap"], "notes/gone")
			return l
		}), nil, ofList("v1/ConfigMap notes/gone", "missing from the tarball")},
		{"the resource list does not name an item", Veleros, retold(store.ResourceList, func(l map[string][]string) map[string][]string {
			delete(l, "v1/Secret")
			return l
		}), nil, ofList("v1/Secret notes/token", "does not name this item")},
		{"the resource list names an item that is not there, and the manifest agrees", Ours, retold(store.ResourceList, func(l map[string][]string) map[string][]string {
			l["v1/ConfigMap"] = append(l["v1/ConfigMap"], "boatyard/gone")
			return l
		}), nil, ofList("v1/ConfigMap boatyard/gone", "missing from the tarball")},
	}
}

func volumeRecords() []Case {
	return []Case{
		{"a bound volume has no record", Veleros, retold(store.VolumeInfo, func([]object) []object { return []object{} }), nil, ofVolumes("persistentvolumes pv-notes", "no record says")},
		{"a bound volume has no record", Ours, retold(store.VolumeInfo, func([]object) []object { return []object{} }), nil, ofVolumes("persistentvolumes pv-ledger", "no record says")},
		{"the data of a volume has no snapshot ID", Veleros, retold(store.VolumeInfo, first(func(v object) { delete(child(v, "pvbInfo"), "snapshotHandle") })), nil,
			ofVolumes("persistentvolumes pv-notes", "without the ID of its snapshot")},
		{"the record of a volume names another snapshot than its pod volume", Veleros, retold(store.VolumeInfo, first(func(v object) { child(v, "pvbInfo")["snapshotHandle"] = "0badcafe" })), nil,
			ofVolumes("persistentvolumes pv-notes", "no PodVolumeBackup")},
		{"the record of a volume says that saving it failed", Veleros, retold(store.VolumeInfo, first(func(v object) { v["result"] = "failed" })), nil, ofVolumes("persistentvolumes pv-notes", "failed")},
		{"a volume was saved by an unknown method", Veleros, retold(store.VolumeInfo, first(func(v object) { v["backupMethod"] = "Carbon" })), nil, ofVolumes("persistentvolumes pv-notes", "unknown method")},
		{"a volume is recorded that the tarball does not hold", Veleros, retold(store.VolumeInfo, func(l []object) []object {
			return append(l, object{"pvName": "pv-gone", "pvcName": "gone", "pvcNamespace": "notes", "skipped": true})
		}), nil, ofVolumes("persistentvolumes pv-gone", "does not hold")},
		{"a pod volume was not saved to its end", Veleros, retold(store.PodVolumeBackups, first(func(p object) { child(p, "status")["phase"] = "InProgress" })), nil,
			ofVolumes("podvolumebackups.velero.io velero/notes-1h-20261122084242-nvv96", `phase "InProgress"`)},
		{"a pod volume is of another backup", Veleros, retold(store.PodVolumeBackups, first(func(p object) { child(p, "metadata", "labels")["velero.io/backup-uid"] = "another" })), nil,
			ofVolumes("podvolumebackups.velero.io velero/notes-1h-20261122084242-nvv96", "UID")},
		{"a native snapshot is of another backup", Veleros, retold(store.VolumeSnapshots, func([]object) []object {
			return []object{{"spec": object{"backupName": "another", "persistentVolumeName": "pv-notes"}, "status": object{"phase": "Completed", "providerSnapshotID": "snap-1"}}}
		}), nil, ofVolumes("persistentvolumes pv-notes", `belongs to backup "another"`)},
	}
}

func operations() []Case {
	return []Case{
		{"the backup is Completed, and an operation of it is not", Veleros, func(b *Backup) error {
			return errors.Join(says(1, "status", "backupItemOperationsAttempted")(b), says(1, "status", "backupItemOperationsCompleted")(b),
				retold(store.ItemOperations, func([]object) []object { return []object{operation("InProgress")} })(b))
		}, nil, ofOperations("InProgress")},
		{"the backup counts operations that are not recorded", Veleros, says(2, "status", "backupItemOperationsAttempted"), nil, ofOperations("2")},
	}
}

func manifests() []Case {
	return []Case{
		{"the manifest has the digest of another file", Ours, lying(func(m *manifest.Manifest) {
			m.Files[below(OurBackup, store.Contents)] = m.Files[below(OurBackup, store.ResourceList)]
		}), nil, seenBy(report.LevelIntegrity, "files_digests", Ours.key(store.Contents), "the manifest lists")},
		{"the manifest has the digest of another item", Ours, lying(func(m *manifest.Manifest) {
			for i, it := range m.Items {
				if it.Key.String() == "secrets boatyard/credentials" {
					m.Items[i].Digest = m.Items[i+1].Digest
				}
			}
		}), nil, seenBy(report.LevelIntegrity, "items_digests", "secrets boatyard/credentials", "the manifest lists")},
		{"the manifest is another backup's", Ours, foreign(store.Manifest), nil, ofManifest(`manifest belongs to backup "boatyard-earlier"`)},
		{"the manifest lists an item twice", Ours, lying(func(m *manifest.Manifest) { m.Items = append(m.Items, m.Items[0]) }), nil, ofManifest("listed twice")},
		{"the manifest does not list the tarball", Ours, lying(func(m *manifest.Manifest) { delete(m.Files, below(OurBackup, store.Contents)) }), nil, ofManifest("does not list")},
		{"the manifest is of a schema to come", Ours, lying(func(m *manifest.Manifest) { m.Schema = "lifeboat.dev/manifest/v9" }), nil, ofManifest("schema")},
		{"the manifest lists a file that is not there", Ours, lying(func(m *manifest.Manifest) { m.Files["gone.json.gz"] = digest(nil) }), nil,
			seenBy(report.LevelIntegrity, "files_present", store.BackupPrefix(OurBackup)+"gone.json.gz", "the manifest lists it")},
	}
}

// exchanged are backups in the place of another, and one that is too old.
func exchanged() []Case {
	return []Case{
		{"the newest backup is older than the target allows", Veleros, longAgo, policy("  targets: {rpo: 24h}\n"), seenBy(report.LevelIntegrity, "rpo", "", "at most 24h")},
		{"all files are another backup's, under this one's names", Ours, usurp, nil, ofMetadata(Ours, `object is backup "boatyard-earlier"`)},
		{"the tarball is another backup's, and the manifest lists it", Ours, resealed(foreign(store.Contents)), nil,
			seenBy(report.LevelIntegrity, "items_digests", "configmaps boatyard/log", "")},
	}
}

// usurp is what renaming the folder of a backup in the bucket makes.
func usurp(b *Backup) error {
	if err := os.RemoveAll(b.folder()); err != nil {
		return err
	}
	earlier := Backup{Dir: b.Dir, Name: OurEarlier}
	if err := os.Rename(earlier.folder(), b.folder()); err != nil {
		return err
	}
	names, err := b.files()
	if err != nil {
		return err
	}
	for _, name := range names {
		to := strings.Replace(name, OurEarlier, OurBackup, 1)
		if err := os.Rename(filepath.Join(b.folder(), name), filepath.Join(b.folder(), to)); err != nil {
			return err
		}
	}
	return nil
}
