package check

import (
	"maps"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// filesPresent: every file the backup must have is there. A manifest names
// them. Without one, Velero's version decides: it wrote more files with time,
// and a file is missed only when something else in the backup proves that the
// version which made it writes that file. The log is never missed: Velero
// goes on when it cannot be uploaded.
func filesPresent() Check {
	return Check{
		Name:  "files_present",
		reads: func(in Input) []string { return []string{store.MetadataFile, in.fileName(store.Manifest)} },
		Find: func(in Input) []report.Finding {
			var found []report.Finding
			missing := func(name, why string) {
				found = append(found, report.Finding{Object: in.objectKey(name), Message: name + " is missing: " + why})
			}
			for name, why := range in.expected() {
				if _, exists := in.Files[name]; !exists {
					missing(name, why)
				}
			}
			return found
		},
	}
}

// expected names the files that must be there, each with what proves it.
func (in Input) expected() map[string]string {
	want := map[string]string{}
	if in.ours() {
		want[in.fileName(store.Manifest)] = "velero-backup.json records that it was written"
		if in.Manifest != nil {
			for name := range in.Manifest.Files {
				want[name] = "the manifest lists it"
			}
		}
	} else {
		maps.Copy(want, in.companions())
	}
	if in.contentsExpected() {
		want[in.fileName(store.Contents)] = "it holds the objects"
	}
	want[store.MetadataFile] = "without it the backup does not exist for Velero or Lifeboat"
	return want
}

// era is a version of Velero from which on more files were written (Velero's
// releases, PutBackup in pkg/persistence/object_store.go).
type era int

const (
	eraFormat11   era = iota + 1 // v1.4: status.formatVersion 1.1.0
	eraOperations                // v1.11: results, item operations
	eraVolumeInfo                // v1.13: volume info
)

// companions are the files Velero wrote beside the tarball, as far as that can
// be proven.
func (in Input) companions() map[string]string {
	if !in.succeeded() {
		return nil // who stops half-way or fails may leave anything
	}
	since, proof := in.era()
	want := map[string]string{}
	add := func(from era, keys ...func(string) string) {
		for _, k := range keys {
			if since >= from {
				want[in.fileName(k)] = "Velero wrote it, as " + proof + " shows"
			}
		}
	}
	add(eraFormat11, store.PodVolumeBackups, store.VolumeSnapshots, store.ResourceList)
	add(eraOperations, store.Results, store.ItemOperations)
	add(eraVolumeInfo, store.VolumeInfo)
	return want
}

// era reports from which version on Velero wrote the backup, and what shows it:
// the files that are there, and fields of the metadata that came with a version.
func (in Input) era() (era, string) {
	m := in.Metadata
	switch {
	case in.has(store.VolumeInfo):
		return eraVolumeInfo, in.fileName(store.VolumeInfo)
	case m.Status.HookStatus != nil:
		return eraVolumeInfo, "status.hookStatus"
	case m.Spec.VolumeGroupSnapshotLabelKey != "":
		return eraVolumeInfo, "spec.volumeGroupSnapshotLabelKey"
	case in.has(store.Results):
		return eraOperations, in.fileName(store.Results)
	case in.has(store.ItemOperations):
		return eraOperations, in.fileName(store.ItemOperations)
	case m.Spec.ItemOperationTimeout.Duration != 0:
		return eraOperations, "spec.itemOperationTimeout"
	case m.Status.FormatVersion != "":
		return eraFormat11, "status.formatVersion"
	}
	return 0, ""
}
