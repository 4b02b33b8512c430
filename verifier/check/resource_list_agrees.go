package check

import (
	"fmt"
	"strings"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// resourceListAgrees: the tarball holds what the resource list names, and the
// list names what the tarball holds.
//
// Velero lists an item before it writes it, so a PartiallyFailed backup may
// lack as many as it had errors. Items that asynchronous operations added
// afterwards are not in its list.
func resourceListAgrees() Check {
	return Check{
		Name: "resource_list_agrees",
		asks: func(in Input) bool { return in.has(store.ResourceList) },
		needs: func(in Input) []string {
			return append(needs(store.Metadata, store.ResourceList, store.Contents)(in), in.present(store.ItemOperations)...)
		},
		Find: func(in Input) []report.Finding {
			unlisted, unwritten := in.compareList()
			var found []report.Finding
			for _, e := range unlisted {
				found = append(found, report.Finding{Object: e.String(), Message: "the resource list does not name this item of the tarball"})
			}
			if len(unwritten) <= in.toleratedLosses() {
				return found
			}
			for _, e := range unwritten {
				found = append(found, report.Finding{Object: e.String(), Message: "item is missing from the tarball, the resource list names it"})
			}
			return found
		},
		note: func(in Input) string {
			if _, unwritten := in.compareList(); len(unwritten) > 0 {
				return fmt.Sprintf("%d items of the list are not in the tarball, the backup counts %d errors", len(unwritten), in.Metadata.Status.Errors)
			}
			return ""
		},
	}
}

// entry is an item as the resource list names it.
type entry struct {
	kind string // "apps/v1/Deployment"
	name string // "namespace/name", or "name"
}

func (e entry) String() string { return e.kind + " " + e.name }

func entryOf(it Item) entry {
	e := entry{kind: listKind(item.Item{Key: it.Key, Version: it.Version}.APIVersion() + "/" + it.Kind), name: it.Name}
	if it.Namespace != "" {
		e.name = it.Namespace + "/" + it.Name
	}
	return e
}

// listKind leaves the version of custom resource definitions out: a plugin of
// Velero may write them at another version than the one it lists.
func listKind(kind string) string {
	if group, rest, _ := strings.Cut(kind, "/"); group == "apiextensions.k8s.io" && strings.HasSuffix(rest, "/CustomResourceDefinition") {
		return group + "/CustomResourceDefinition"
	}
	return kind
}

func (in Input) compareList() (unlisted, unwritten []entry) {
	list := map[entry]bool{}
	for kind, names := range in.ResourceList {
		for _, name := range names {
			list[entry{listKind(kind), name}] = true
		}
	}
	later := in.addedLater()
	for _, items := range [][]Item{in.Archive.Items, in.Archive.Versions} {
		for _, it := range items {
			e := entryOf(it)
			if !list[e] && !later(it.Key) {
				unlisted = append(unlisted, e)
			}
			delete(list, e)
		}
	}
	for e := range list {
		unwritten = append(unwritten, e)
	}
	return unlisted, unwritten
}

// toleratedLosses is how many items may have been counted but not written.
func (in Input) toleratedLosses() int {
	if in.phase() == velerov1.BackupPhaseCompleted {
		return 0
	}
	return in.Metadata.Status.Errors
}

// addedLater reports for an item whether Velero may have put it into the
// tarball after it counted and listed the items: the results of asynchronous
// operations, and the snapshot objects that go with them (Velero v1.18.1,
// FinalizeBackup in pkg/backup/backup.go).
func (in Input) addedLater() func(item.Key) bool {
	added := map[item.Key]bool{}
	for _, o := range in.Operations {
		for _, id := range o.Spec.PostOperationItems {
			added[id.key()] = true
		}
	}
	return func(k item.Key) bool {
		return added[k] || len(in.Operations) > 0 && k.Group == "snapshot.storage.k8s.io"
	}
}
