package check

import (
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// companionsReadable: every other file decodes to the end, gzip's sum
// included, and is the JSON it should be.
func companionsReadable() Check {
	return Check{
		Name:  "companions_readable",
		reads: Input.companionNames,
		Find: func(in Input) []report.Finding {
			var found []report.Finding
			for _, name := range in.companionNames() {
				if f := in.Files[name]; f.Unreadable == nil && f.Fault != nil {
					found = append(found, report.Finding{Object: in.objectKey(name), Message: fmt.Sprintf("file cannot be read: %v", f.Fault)})
				}
			}
			return found
		},
	}
}

// companionNames are the files that have no check of their own.
func (in Input) companionNames() []string {
	var names []string
	for _, name := range in.names() {
		switch name {
		case store.MetadataFile, in.fileName(store.Manifest), in.fileName(store.Contents), in.fileName(store.Results):
		default:
			names = append(names, name)
		}
	}
	return names
}
