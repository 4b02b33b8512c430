package check

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Input is all that is known about one backup. What could not be read is nil, and
// its File says why.
type Input struct {
	Backup string
	// Files are the objects below the backup's folder, by name below it.
	Files map[string]File

	// Encrypted means that the tarball is encrypted, by the metadata or, without
	// them, by the name of the file.
	Encrypted bool

	Metadata         *velerov1.Backup
	Manifest         *manifest.Manifest
	DigestKey        DigestKey
	Archive          Archive
	ResourceList     map[string][]string // "apps/v1/Deployment" -> "namespace/name"
	VolumeInfos      []volume.Info
	Snapshots        []volume.Snapshot
	PodVolumeBackups []velerov1.PodVolumeBackup
	Operations       []Operation
	Results          Results
	// Volumes are those whose data is in a repository.
	Volumes []VolumeData
}

// File is one object of the backup. Size is in bytes, SHA256 in lower-case hex.
type File struct {
	Size   int64
	SHA256 string
	// Listed is the file as the listing shows it.
	Listed store.Info
	// Unreadable says why the store could not deliver the file: nothing is known
	// about it then.
	Unreadable error
	// Fault says what is wrong with the file in the store.
	Fault error
	// Undecrypted says why an encrypted file could not be decrypted: the right
	// identity is missing. The file may be good.
	Undecrypted error
}

// DigestKey is the key of the digests of items in the manifest of an encrypted
// backup.
type DigestKey struct {
	Key manifest.Key
	Err error // why it could not be decrypted
}

// Archive is what the tarball holds.
type Archive struct {
	Items []Item
	// Versions are objects at versions that are not the preferred one.
	Versions []Item
	// Claims name the claim each PersistentVolume is bound to.
	Claims map[string]item.Key
	// Bad are the faulty entries, at most maxBad of them; BadCount is all.
	Bad      []*archive.EntryError
	BadCount int
	Stats    archive.Stats
}

// Item is one object of the tarball.
type Item struct {
	item.Key
	Version string
	Kind    string
	Size    int64
	SHA256  [sha256.Size]byte
}

// Operation is what is needed of one asynchronous operation in
// <backup>-itemoperations.json.gz (Velero v1.18.1, pkg/itemoperation).
type Operation struct {
	Spec struct {
		ResourceIdentifier ResourceIdentifier `json:"resourceIdentifier"`
		// PostOperationItems are added to the tarball when the operation is done.
		PostOperationItems []ResourceIdentifier `json:"postOperationItems"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

// ResourceIdentifier names an object. Its JSON has Go's field names.
type ResourceIdentifier struct {
	Group, Resource, Namespace, Name string
}

func (r ResourceIdentifier) key() item.Key {
	return item.Key{Group: r.Group, Resource: r.Resource, Namespace: r.Namespace, Name: r.Name}
}

// Results is <backup>-results.gz (Velero v1.18.1, pkg/util/results).
type Results struct {
	Errors   Result `json:"errors"`
	Warnings Result `json:"warnings"`
}

// Result lists messages by what they are about.
type Result struct {
	Velero     []string            `json:"velero"`
	Cluster    []string            `json:"cluster"`
	Namespaces map[string][]string `json:"namespaces"`
}

func (r Result) count() int {
	n := len(r.Velero) + len(r.Cluster)
	for _, m := range r.Namespaces {
		n += len(m)
	}
	return n
}

// fileName turns a key of package store's layout into a name below the folder.
// Of the two that the tarball can have it is the one this backup goes by.
func (in Input) fileName(key func(backup string) string) string {
	k := key(in.Backup)
	if in.Encrypted && k == store.Contents(in.Backup) {
		k = store.SealedContents(in.Backup)
	}
	return strings.TrimPrefix(k, store.BackupPrefix(in.Backup))
}

// objectKey is how findings call a file.
func (in Input) objectKey(name string) string { return store.BackupPrefix(in.Backup) + name }

func (in Input) names() []string { return slices.Sorted(maps.Keys(in.Files)) }

func (in Input) has(key func(string) string) bool {
	_, exists := in.Files[in.fileName(key)]
	return exists
}

// unusable reports which of the files a check cannot do without it has to do
// without, or "".
func (in Input) unusable(names []string) string {
	for _, n := range names {
		switch f, exists := in.Files[n]; {
		case !exists:
			return n + " is missing"
		case f.Unreadable != nil:
			return fmt.Sprintf("%s could not be read: %v", n, f.Unreadable)
		case f.Fault != nil:
			return n + " is damaged"
		case f.Undecrypted != nil:
			return fmt.Sprintf("%s: %v", n, f.Undecrypted)
		}
	}
	return ""
}

func (in Input) unreadable(names []string) string {
	for _, n := range names {
		if f := in.Files[n]; f.Unreadable != nil {
			return fmt.Sprintf("%s could not be read: %v", n, f.Unreadable)
		}
	}
	return ""
}

// ours reports whether Lifeboat wrote the backup: a manifest is there, or the
// metadata records that there was one.
func (in Input) ours() bool {
	return in.has(store.Manifest) || in.Metadata != nil && in.Metadata.Annotations[api.AnnotationManifest] != ""
}

func (in Input) phase() velerov1.BackupPhase {
	if in.Metadata == nil {
		return ""
	}
	return in.Metadata.Status.Phase
}

// succeeded reports whether the backup records that it ended with
// something to restore.
func (in Input) succeeded() bool {
	return in.phase().Restorable()
}

// contentsExpected reports whether the backup got as far as to have contents:
// one that failed or never started has none.
func (in Input) contentsExpected() bool {
	return in.phase() != velerov1.BackupPhaseFailed && in.phase() != velerov1.BackupPhaseFailedValidation
}

// needs makes a list of files out of keys.
func needs(keys ...func(string) string) func(Input) []string {
	return func(in Input) []string {
		names := make([]string, len(keys))
		for i, k := range keys {
			names[i] = in.fileName(k)
		}
		return names
	}
}

// present makes a list of those keys whose files are there.
func (in Input) present(keys ...func(string) string) []string {
	var names []string
	for _, k := range keys {
		if in.has(k) {
			names = append(names, in.fileName(k))
		}
	}
	return names
}

// Digest is the SHA-256 of a file by its key in package store's layout, "" for
// one that is not there or was not read.
func (in Input) Digest(key func(backup string) string) string {
	return in.Files[in.fileName(key)].SHA256
}

// contents is the key of the tarball: it has another name when it is encrypted.
func (in Input) contents() func(backup string) string {
	if in.Encrypted {
		return store.SealedContents
	}
	return store.Contents
}

// listing is the files by name, with the digests of those that were read.
func (in Input) listing() []report.File {
	out := make([]report.File, 0, len(in.Files))
	for _, name := range in.names() {
		f := in.Files[name]
		file := report.NewFile(name, f.Listed.Size, f.Listed.Modified, f.Listed.ETag)
		file.SHA256 = f.SHA256
		out = append(out, file)
	}
	return out
}
