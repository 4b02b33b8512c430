package store

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The layout of a location is Velero's (output file format 1.1.0, Velero
// v1.18). Below a location's prefix Velero accepts only the folders backups,
// restores, restic, metadata, plugins and kopia; any other makes it mark the
// location Unavailable, so everything of our own lies in these.
const (
	BackupsPrefix  = "backups/"
	RestoresPrefix = "restores/"
	// DrillsPrefix holds the evidence of drills, DrillsPrefix/<backup>/<drill>.json,
	// with a page and a JUnit file beside each.
	DrillsPrefix = "metadata/lifeboat/drills/"
	// Probe is the key of an object that is written and deleted to see whether
	// that works.
	Probe = "metadata/lifeboat/probe"
	// LedgerPrefix holds the records of scheduled runs, a folder for each policy.
	LedgerPrefix = "metadata/lifeboat/ledger/"
	// RunsPrefix holds the ends of runs, a folder for each ledger. No policy can
	// have its name.
	RunsPrefix = LedgerPrefix + "_runs/"
)

// The files of a backup, as names below BackupPrefix(name). MetadataFile is
// the commit marker: a backup exists when it does, and it is written last.
const MetadataFile = "velero-backup.json"

// BackupPrefix is the folder of one backup, with a "/" at its end.
func BackupPrefix(name string) string { return BackupsPrefix + name + "/" }

// Metadata is the key of the Backup object, plain JSON.
func Metadata(backup string) string { return BackupPrefix(backup) + MetadataFile }

// Contents is the key of the gzipped tar with the objects.
func Contents(backup string) string { return file(backup, ".tar.gz") }

// SealedContents is the key of the gzipped tar of an encrypted backup, in place
// of Contents: whoever cannot decrypt finds no tarball, not a damaged one.
func SealedContents(backup string) string { return file(backup, "-lifeboat-contents.tar.gz.age") }

// Log is the key of the backup's log, gzipped text.
func Log(backup string) string { return file(backup, "-logs.gz") }

// Results is the key of the errors and warnings, gzipped JSON.
func Results(backup string) string { return file(backup, "-results.gz") }

// ResourceList is the key of the list of items per kind, gzipped JSON.
func ResourceList(backup string) string { return file(backup, "-resource-list.json.gz") }

// VolumeInfo is the key of the records of volumes, gzipped JSON.
func VolumeInfo(backup string) string { return file(backup, "-volumeinfo.json.gz") }

// VolumeSnapshots is the key of the native snapshots, gzipped JSON.
func VolumeSnapshots(backup string) string { return file(backup, "-volumesnapshots.json.gz") }

// PodVolumeBackups is the key of the file-system backups, gzipped JSON.
func PodVolumeBackups(backup string) string { return file(backup, "-podvolumebackups.json.gz") }

// ItemOperations is the key of the asynchronous operations, gzipped JSON.
func ItemOperations(backup string) string { return file(backup, "-itemoperations.json.gz") }

// Manifest is the key of Lifeboat's own file of digests, gzipped JSON.
func Manifest(backup string) string { return file(backup, "-lifeboat-manifest.json.gz") }

// The files about a restore, in the location of its backup. Only the records of
// volumes lack "restore-" in front (Velero v1.18.1,
// pkg/persistence/object_store_layout.go).

// RestoreLog is the key of a restore's log, gzipped text.
func RestoreLog(restore string) string { return restoreFile(restore, "-logs.gz") }

// RestoreResults is the key of the errors and warnings, gzipped JSON.
func RestoreResults(restore string) string { return restoreFile(restore, "-results.gz") }

// RestoreResourceList is the key of the list of items per kind, with what became
// of each, gzipped JSON.
func RestoreResourceList(restore string) string {
	return restoreFile(restore, "-resource-list.json.gz")
}

// RestoreItemOperations is the key of the asynchronous operations, gzipped JSON.
func RestoreItemOperations(restore string) string {
	return restoreFile(restore, "-itemoperations.json.gz")
}

// RestoreVolumeInfo is the key of the records of restored volumes, gzipped JSON.
func RestoreVolumeInfo(restore string) string {
	return RestorePrefix(restore) + restore + "-volumeinfo.json.gz"
}

// RestorePrefix is the folder of one restore, with a "/" at its end.
func RestorePrefix(restore string) string { return RestoresPrefix + restore + "/" }

func restoreFile(restore, suffix string) string {
	return RestorePrefix(restore) + "restore-" + restore + suffix
}

// Evidence is the key of one drill's report. A drill has happened when it does:
// it is written after the other forms of the report.
func Evidence(backup, drill string) string { return evidence(backup, drill, ".json") }

// EvidencePage is the key of one drill's report as HTML.
func EvidencePage(backup, drill string) string { return evidence(backup, drill, ".html") }

// EvidenceJUnit is the key of one drill's report as JUnit XML.
func EvidenceJUnit(backup, drill string) string { return evidence(backup, drill, ".xml") }

func evidence(backup, drill, suffix string) string {
	return DrillsPrefix + backup + "/" + drill + suffix
}

// SplitEvidence is the inverse of Evidence; ok is false for any other key.
func SplitEvidence(key string) (backup, drill string, ok bool) {
	rest, ok := strings.CutPrefix(key, DrillsPrefix)
	if !ok {
		return "", "", false
	}
	backup, file, _ := strings.Cut(rest, "/")
	drill, ok = strings.CutSuffix(file, ".json")
	return backup, drill, ok && backup != "" && drill != "" && !strings.Contains(drill, "/")
}

// Run is the key of the record of one run of a policy. The parts of it that
// come from outside (a policy's and a backup's name) pass CheckName.
func Run(policy, run string) string { return LedgerPrefix + policy + "/" + run + ".json" }

// Attempts is the prefix of the records of one backup's drills in a run.
func Attempts(policy, run, backup string) string {
	return LedgerPrefix + policy + "/" + run + "/" + backup + "/"
}

// RunsEpoch is the key of the record of when a ledger of runs began. The name of
// the ledger passes CheckName.
func RunsEpoch(ledger string) string { return RunsPrefix + ledger + "/epoch.json" }

// RunsBatch is the key of some runs, written on a day in the form 2006-01-02,
// gzipped JSON.
func RunsBatch(ledger, day, batch string) string {
	return RunsPrefix + ledger + "/" + day + "/" + batch + runsSuffix
}

// RunsSeal is the key of the runs of several batches of a day in one, gzipped
// JSON.
func RunsSeal(ledger, day string) string { return RunsBatch(ledger, day, RunsSealed) }

// RunsSealed is the name of a seal. Batches begin with a digit.
const RunsSealed = "sealed"

const runsSuffix = ".json.gz"

// SplitRuns is the inverse of RunsBatch and RunsSeal; ok is false for any other
// key.
func SplitRuns(key string) (ledger, day, batch string, ok bool) {
	rest, ok := strings.CutPrefix(key, RunsPrefix)
	if !ok {
		return "", "", "", false
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return "", "", "", false
	}
	batch, ok = strings.CutSuffix(parts[2], runsSuffix)
	_, err := time.Parse(time.DateOnly, parts[1])
	return parts[0], parts[1], batch, ok && err == nil && batch != ""
}

func file(backup, suffix string) string { return BackupPrefix(backup) + backup + suffix }

// nameRE is the form of a Kubernetes object name (RFC 1123 subdomain): a
// backup is named by its object of kind Backup.
var nameRE = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// maxNameLength leaves room for the suffixes of the files within the 255 bytes
// a file name may have.
const maxNameLength = 220

// CheckName says why a name cannot be a backup's, or nil.
func CheckName(name string) error {
	switch {
	case len(name) > maxNameLength:
		return fmt.Errorf("name %.40q… is %d characters long; at most %d are allowed", name, len(name), maxNameLength)
	case !nameRE.MatchString(name):
		return fmt.Errorf("name %q is not valid: lower case letters, digits, '-' and '.', starting and ending with a letter or digit", name)
	}
	return nil
}

// maxKeyLength and maxSegmentLength are in bytes: S3 allows 1024 for the
// location's prefix and the key together, file systems 255 for a file name.
const (
	maxKeyLength     = 900
	maxSegmentLength = 255
)

// CheckKey returns an error that wraps ErrInvalidKey for a key that could
// leave its location or that not every store can hold.
func CheckKey(key string) error {
	if why := unfit(key); why != "" {
		return fmt.Errorf("%w %.200q: %s", ErrInvalidKey, key, why)
	}
	return nil
}

// CheckPrefix returns an error that wraps ErrInvalidKey for a prefix no valid
// key starts with; "" is the prefix of all.
func CheckPrefix(prefix string) error {
	// Whatever follows, one more letter is the least that makes it a key.
	if why := unfit(prefix + "x"); why != "" {
		return fmt.Errorf("%w prefix %.200q: %s", ErrInvalidKey, prefix, why)
	}
	return nil
}

func unfit(key string) string {
	switch {
	case key == "":
		return "empty"
	case path.Clean("/"+key) != "/"+key:
		return `empty, "." or ".." segment`
	case strings.Contains(key, `\`):
		return "backslash"
	case !utf8.ValidString(key):
		return "not UTF-8"
	case strings.ContainsFunc(key, unicode.IsControl):
		return "control character"
	case len(key) > maxKeyLength:
		return fmt.Sprintf("longer than %d bytes", maxKeyLength)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if len(segment) > maxSegmentLength {
			return fmt.Sprintf("segment longer than %d bytes", maxSegmentLength)
		}
	}
	return ""
}

// KopiaPrefix is the folder of the kopia repository that holds the volumes of a
// namespace (Velero v1.18.1, pkg/repository/config).
func KopiaPrefix(namespace string) string { return "kopia/" + namespace + "/" }
