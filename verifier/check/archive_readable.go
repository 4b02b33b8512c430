package check

import (
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// archiveReadable: the tarball can be read to the end, and every entry is a
// sound object in its place. A tarball that is damaged as a whole gives one
// finding, whatever its entries look like: they are consequences.
func archiveReadable() Check {
	return Check{
		Name:  "archive_readable",
		asks:  func(in Input) bool { return in.has(store.Contents) },
		reads: needs(store.Contents),
		// A damaged tarball is what this check looks for, an encrypted one is
		// beyond it.
		needs: func(in Input) []string {
			if name := in.fileName(store.Contents); in.Files[name].Undecrypted != nil {
				return []string{name}
			}
			return nil
		},
		Find: func(in Input) []report.Finding {
			name := in.fileName(store.Contents)
			f := in.Files[name]
			if f.Unreadable != nil {
				return nil
			}
			if f.Fault != nil {
				return []report.Finding{{Object: in.objectKey(name), Message: fmt.Sprintf("%v; %d items could be read before", f.Fault, in.Archive.Stats.Items)}}
			}
			var found []report.Finding
			for _, bad := range in.Archive.Bad {
				found = append(found, report.Finding{Object: in.badObject(bad.Entry), Message: bad.Error()})
			}
			if over := in.Archive.BadCount - len(in.Archive.Bad); over > 0 {
				found = append(found, report.Finding{Object: in.objectKey(name), Message: fmt.Sprintf("and %d more faulty entries", over)})
			}
			if v := in.Archive.Stats.FormatVersion; v != "" && v[:1] != archive.FormatVersion[:1] {
				found = append(found, report.Finding{Object: in.objectKey(name), Message: fmt.Sprintf("format version %q is unknown", v)})
			}
			return found
		},
		note: func(in Input) string { return fmt.Sprintf("%d items", in.Archive.Stats.Items) },
	}
}

// badObject names what a faulty entry is about: the item, if its path says which,
// and otherwise the tarball.
func (in Input) badObject(entry string) string {
	if k, ok := archive.KeyOf(entry); ok {
		return k.String()
	}
	return in.objectKey(in.fileName(store.Contents))
}
