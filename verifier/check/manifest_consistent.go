package check

import (
	"fmt"
	"regexp"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

var sha256RE = regexp.MustCompile(`^[0-9a-f]{64}$`)

// manifestConsistent: the manifest can be read, is of this backup and makes
// sense in itself, so that the other checks may go by it.
func manifestConsistent() Check {
	return Check{
		Name:  "manifest_consistent",
		asks:  func(in Input) bool { return in.has(store.Manifest) },
		reads: needs(store.Manifest),
		Find: func(in Input) []report.Finding {
			name := in.fileName(store.Manifest)
			f := in.Files[name]
			if f.Unreadable != nil {
				return nil
			}
			if f.Fault != nil {
				return []report.Finding{{Object: in.objectKey(name), Message: fmt.Sprintf("manifest cannot be read: %v", f.Fault)}}
			}
			var found []report.Finding
			for _, message := range inspectManifest(in) {
				found = append(found, report.Finding{Object: in.objectKey(name), Message: message})
			}
			return found
		},
	}
}

func inspectManifest(in Input) (wrong []string) {
	m := in.Manifest
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if m.Schema != manifest.Schema {
		add("manifest has schema %q, want %q: written by a newer Lifeboat?", m.Schema, manifest.Schema)
		return wrong
	}
	if m.Backup != in.Backup {
		add("manifest belongs to backup %q", m.Backup)
	}
	if keyed := len(m.DigestKey) > 0; keyed != in.Encrypted {
		add("manifest does not belong to this backup: encrypted %t, digests with a key %t", in.Encrypted, keyed)
	}
	for _, must := range []string{store.MetadataFile, in.fileName(store.Contents)} {
		if _, listed := m.Files[must]; !listed {
			add("manifest does not list %s", must)
		}
	}
	for name, d := range m.Files {
		if !validDigest(d) {
			add("digest of file %s is not valid", name)
		}
	}
	seen := make(map[item.Key]struct{}, len(m.Items))
	for _, it := range m.Items {
		if _, twice := seen[it.Key]; twice {
			add("%s is listed twice", it.Key)
		}
		seen[it.Key] = struct{}{}
		if !validDigest(it.Digest) {
			add("digest of %s is not valid", it.Key)
		}
	}
	return wrong
}

func validDigest(d manifest.Digest) bool { return d.Size >= 0 && sha256RE.MatchString(d.SHA256) }
