package restore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
)

// foreign puts a backup without a manifest into a store, as Velero would: the good
// items a and b, and the entries after them.
func foreign(t *testing.T, entries ...archivetest.Entry) store.Store {
	t.Helper()
	s := mem.New()
	all := append(archivetest.Entries(configMap("a"), configMap("b")), entries...)
	put(t, s, store.Contents("b"), archivetest.Build(t, all...))
	put(t, s, store.Metadata("b"), []byte(`{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"b"},"status":{"phase":"Completed"}}`))
	return s
}

func failures(changes apply.ChangeSet) []string {
	var out []string
	for _, c := range changes {
		if c.Outcome == apply.Failed {
			out = append(out, c.Key.String()+": "+c.Reason)
		}
	}
	return out
}

func TestAnEntryThatMustBeRefusedRefusesThatItemAlone(t *testing.T) {
	at := func(name string) string { return archive.ItemPath(configMap(name).Key) }
	bad := func(path, body string) archivetest.Entry { return archivetest.File(path, body) }
	for name, c := range map[string]struct {
		entry archivetest.Entry
		want  string
	}{
		"not JSON":               {bad(at("x"), "{"), "configmaps shop/x: refused in the archive: invalid JSON"},
		"too deep":               {bad(at("x"), `{"a":`+strings.Repeat("[", 10_000)), "configmaps shop/x: refused in the archive: invalid JSON: nested more than 10000 deep"},
		"another object":         {bad(at("x"), string(configMap("y").Raw)), "configmaps shop/x: refused in the archive: object does not match its path"},
		"a metadata of no map":   {bad(at("x"), `{"apiVersion":"v1","kind":"ConfigMap","metadata":[]}`), "configmaps shop/x: refused in the archive: invalid JSON"},
		"a link":                 {archivetest.Entry{Path: at("x"), Type: '2', Link: "/etc/passwd"}, "configmaps shop/x: refused in the archive: entry not allowed: symbolic link"},
		"too large":              {bad(at("x"), strings.Repeat(" ", 17<<20)), "configmaps shop/x: refused in the archive: over the limit"},
		"a path that climbs":     {bad("resources/../../x.json", "{}"), "entry resources/../../x.json: path not allowed"},
		"an absolute path":       {bad("/etc/x.json", "{}"), "entry /etc/x.json: path not allowed"},
		"the same item twice":    {bad(at("b"), string(configMap("b").Raw)), "configmaps shop/b: refused in the archive: there twice"},
		"a copy without an item": {bad(archive.CopyPath(configMap("x").Key, "v1"), "{}"), "configmaps shop/x: refused in the archive: copies differ"},
	} {
		t.Run(name, func(t *testing.T) {
			to := newTarget()
			r, err := job(foreign(t, c.entry), to).Run(t.Context())
			require.NoError(t, err)
			failed := failures(r.Changes)
			require.Len(t, failed, 1)
			assert.Contains(t, failed[0], c.want)
			assert.False(t, r.Complete(), "status 3")
			assert.Contains(t, to.objects, configMap("a").Key, "the others are restored")
			if name == "the same item twice" {
				assert.NotContains(t, to.objects, configMap("b").Key, "which of the two is right is unknown")
			} else {
				assert.Contains(t, to.objects, configMap("b").Key)
			}
		})
	}
}

func TestARefusedItemOutsideTheFilterFailsNothing(t *testing.T) {
	other := item.Key{Resource: "configmaps", Namespace: "elsewhere", Name: "x"}
	j := job(foreign(t, archivetest.File(archive.ItemPath(other), "{")), newTarget())
	j.Options.Filter = filter.Filter{IncludedNamespaces: []string{"shop"}}
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.True(t, r.Complete(), "%v", failures(r.Changes))
	assert.Equal(t, 1, r.Changes.Count(apply.Skipped))
}

func TestRefusedEntriesAreNamedUpToABound(t *testing.T) {
	var entries []archivetest.Entry
	for i := range 1200 {
		entries = append(entries, archivetest.File(fmt.Sprintf("../%d", i), ""))
	}
	to := newTarget()
	r, err := job(foreign(t, entries...), to).Run(t.Context())
	require.NoError(t, err)
	failed := failures(r.Changes)
	assert.Len(t, failed, 1001)
	assert.Contains(t, strings.Join(failed, "\n"), "entry (200 more): refused in the archive")
	assert.Contains(t, to.objects, configMap("a").Key)
}

// What a cluster accepts as names is restored, and found again in later passes.
func TestNamesThatAreNoFileNamesAreRestored(t *testing.T) {
	to := newTarget()
	var items []item.Item
	for _, name := range []string{`CORP\alice`, "two\nlines", "a\x00b", strings.Repeat("l", 4200), "A", "a"} {
		it := archivetest.Object(item.Key{Resource: "configmaps", Namespace: "shop", Name: "x"}, "v1", "ConfigMap", "")
		u, err := it.Object()
		require.NoError(t, err)
		u.SetName(name)
		it, err = item.FromObject(u, "configmaps")
		require.NoError(t, err)
		items = append(items, it)
	}
	for _, manifested := range []bool{true, false} {
		r, err := job(written(t, manifested, items...), to).Run(t.Context())
		require.NoError(t, err)
		assert.Empty(t, failures(r.Changes))
		for _, it := range items {
			assert.Contains(t, to.objects, it.Key)
		}
	}
}
