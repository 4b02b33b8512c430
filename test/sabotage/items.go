package sabotage

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// reentered changes the entries of the tar, which may then be what no Writer
// writes.
func reentered(change func([]archivetest.Entry) []archivetest.Entry) func(*Backup) error {
	return func(b *Backup) error {
		c, err := b.contents()
		if err != nil {
			return err
		}
		packed, err := entries(change(archivetest.Entries(c.Items...)))
		if err != nil {
			return err
		}
		return b.write(store.Contents, packed)
	}
}

// again appends the entry of an item once more.
func again(k item.Key) func([]archivetest.Entry) []archivetest.Entry {
	return func(all []archivetest.Entry) []archivetest.Entry {
		i := slices.IndexFunc(all, func(e archivetest.Entry) bool { return e.Path == archive.ItemPath(k) })
		return append(all, all[i])
	}
}

// body changes the text of an item, in both of its entries.
func body(k item.Key, version string, change func([]byte) []byte) func([]archivetest.Entry) []archivetest.Entry {
	return func(all []archivetest.Entry) []archivetest.Entry {
		for i, e := range all {
			if e.Path == archive.ItemPath(k) || e.Path == archive.CopyPath(k, version) {
				all[i].Body = change(bytes.Clone(e.Body))
			}
		}
		return all
	}
}

// AlterSecret gives the first Secret of a backup another value, and says which
// that was. The archive stays whole, and nothing else is changed.
func AlterSecret(b *Backup) (item.Key, error) {
	c, err := b.contents()
	if err != nil {
		return item.Key{}, err
	}
	for _, it := range c.Items {
		if it.Key.GroupResource() == "secrets" {
			return it.Key, careless(set(it.Key.String(), object{"password": "c2Fib3RhZ2U="}, "data"))(b)
		}
	}
	return item.Key{}, fmt.Errorf("backup %s holds no Secret", b.Name)
}

// items are changes of the tarball by an author who does not know, or cannot
// change, what else refers to it.
func items() []Case {
	ofItem := func(object, message string) Expectation {
		return seenBy(report.LevelIntegrity, "items_digests", object, message)
	}
	refused := func(object, message string) Expectation {
		return seenBy(report.LevelIntegrity, "archive_readable", object, message)
	}
	ofList := func(object, message string) Expectation {
		return seenBy(report.LevelIntegrity, "resource_list_agrees", object, message)
	}
	settings := item.Key{Resource: "configmaps", Namespace: "notes", Name: "settings"}
	return []Case{
		{"the first Secret has another value", Ours, func(b *Backup) error { _, err := AlterSecret(b); return err }, nil,
			ofItem("secrets boatyard/credentials", "the manifest lists")},
		{"a Secret has another value", Ours, careless(set("secrets boatyard/credentials", "c2Fib3RhZ2U=", "data", "password")), nil,
			ofItem("secrets boatyard/credentials", "the manifest lists")},
		{"a Secret has another value of the same length", Ours, careless(set("secrets boatyard/credentials", "a2VlbGhhdWs=", "data", "password")), nil,
			ofItem("secrets boatyard/credentials", "the manifest lists")},
		{"two Secrets have each other's data", Ours, careless(swap("secrets boatyard/credentials", "secrets boatyard/token")), nil,
			ofItem("secrets boatyard/token", "the manifest lists")},
		{"a ConfigMap is missing", Ours, careless(remove("configmaps boatyard/settings")), nil, ofItem("configmaps boatyard/settings", "missing from the tarball")},
		{"the namespace is missing", Ours, careless(remove("namespaces boatyard")), nil, ofItem("namespaces boatyard", "missing from the tarball")},
		{"the namespace is missing", Veleros, careless(remove("namespaces notes")), nil, ofList("v1/Namespace notes", "missing from the tarball")},
		{"a Secret is missing", Veleros, careless(remove("secrets notes/token")), nil, ofList("v1/Secret notes/token", "missing from the tarball")},
		{"a claim is missing", Veleros, careless(remove("persistentvolumeclaims notes/notes")), nil,
			seenBy(report.LevelIntegrity, "volume_records_consistent", "persistentvolumes pv-notes", "does not hold persistentvolumeclaims notes/notes")},
		{"there is an object that was never backed up", Ours, careless(add("configmaps", "{apiVersion: v1, kind: ConfigMap, metadata: {name: stowaway, namespace: boatyard}}")), nil,
			ofItem("configmaps boatyard/stowaway", "does not list")},
		{"there is an object that was never backed up", Veleros, careless(add("configmaps", "{apiVersion: v1, kind: ConfigMap, metadata: {name: stowaway, namespace: notes}}")), nil,
			ofList("v1/ConfigMap notes/stowaway", "does not name this item")},
		{"an object has another API version than it was backed up with", Ours, careless(set("boats.fleet.example.com boatyard/gig", "fleet.example.com/v1beta1", "apiVersion")), nil,
			ofItem("boats.fleet.example.com boatyard/gig", "the manifest lists")},
		{"a Secret is there twice", Veleros, reentered(again(item.Key{Resource: "secrets", Namespace: "notes", Name: "token"})), nil, refused("secrets notes/token", "there twice")},
		{"a ConfigMap is there twice", Ours, reentered(again(item.Key{Resource: "configmaps", Namespace: "boatyard", Name: "settings"})), nil, refused("configmaps boatyard/settings", "there twice")},
		{"the text of an object is cut", Veleros, reentered(body(settings, "v1", half)), nil, refused("configmaps notes/settings", "JSON")},
		{"an object claims another identity", Veleros, reentered(body(settings, "v1", func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(`"name":"settings"`), []byte(`"name":"other"`))
		})), nil, refused("configmaps notes/settings", "does not match its path")},
	}
}

// hostile begins the names of what Hostile returns.
const hostile = "hostile archive: "

// Hostile are archives that were made to do harm, or damaged in ways that no
// copy of a backup is; each replaces Velero's tarball. They count
// apart from the corpus: they are no backups.
func Hostile(t testing.TB) []Case {
	var all []Case
	for _, h := range archivetest.Cases(t) {
		all = append(all, Case{
			Name: hostile + h.Name, From: Veleros,
			Make: func(b *Backup) error { return b.write(store.Contents, h.Archive) },
			Want: seenBy(report.LevelIntegrity, "archive_readable", "", ""), // the archive, or the item that is refused
		})
	}
	return all
}
