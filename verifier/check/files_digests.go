package check

import (
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// filesDigests: every file is, byte for byte, the one the manifest was made
// of, and there is no other. (A file that is not there is for files_present.)
func filesDigests() Check {
	return Check{
		Name:  "files_digests",
		asks:  Input.ours,
		needs: needs(store.Manifest),
		reads: Input.names,
		Find: func(in Input) []report.Finding {
			var found []report.Finding
			for _, name := range in.names() {
				if name == in.fileName(store.Manifest) || in.Files[name].Unreadable != nil {
					continue
				}
				if wrong := in.compareFile(name); wrong != "" {
					found = append(found, report.Finding{Object: in.objectKey(name), Message: wrong})
				}
			}
			return found
		},
	}
}

// compareFile reports how a file differs from what the manifest lists, or "".
func (in Input) compareFile(name string) string {
	is := in.Files[name]
	want, listed := in.Manifest.Files[name]
	switch {
	case !listed:
		return "the manifest does not list this file"
	case is.Size != want.Size:
		return fmt.Sprintf("file has %d bytes, the manifest lists %d", is.Size, want.Size)
	case is.SHA256 != want.SHA256:
		return fmt.Sprintf("file was changed: its SHA-256 is %s, the manifest lists %s", is.SHA256, want.SHA256)
	}
	return ""
}
