//go:build e2e

package controlplane_test

import (
	"slices"

	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/backup"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/collect"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
)

func TestABackupRestoredIntoAnEmptyClusterIsEqual(t *testing.T) {
	_, from := sourceCluster(t)
	to := emptyCluster(t)
	s := mem.New()

	made, err := backupJob("whole", s, from, filter.Filter{}).Run(t.Context())
	require.NoError(t, err)
	require.True(t, made.Complete(), "%v", made.Errors)
	written, err := backup.ReadManifest(t.Context(), s, "whole")
	require.NoError(t, err)

	first, err := restoreJob("first", "whole", s, to).Run(t.Context())
	require.NoError(t, err)
	assert.Empty(t, outcomes(first.Changes, apply.Failed))
	assertAccounted(t, written.Items, first.Changes)
	t.Logf("%d items: %d created, %d updated, %d unchanged, %d skipped", len(first.Changes), first.Changes.Count(apply.Created),
		first.Changes.Count(apply.Updated), first.Changes.Count(apply.Unchanged), first.Changes.Count(apply.Skipped))
	t.Logf("skipped: %v", reasons(first.Changes, apply.Skipped))
	assertEqualClusters(t, from, to, first.Changes)

	second, err := restoreJob("second", "whole", s, to).Run(t.Context())
	require.NoError(t, err)
	for _, c := range second.Changes {
		assert.Contains(t, []apply.Outcome{apply.Unchanged, apply.Skipped}, c.Outcome, "%s: %s", c.Key, c.Reason)
	}
	for _, c := range first.Changes {
		if c.Outcome == apply.Created {
			assert.Equal(t, apply.Unchanged, changeOf(second.Changes, c.Key).Outcome, "%s: %s", c.Key, changeOf(second.Changes, c.Key).Reason)
		}
	}
}

// reasons counts the changes of an outcome by their reason.
func reasons(cs apply.ChangeSet, o apply.Outcome) map[string]int {
	out := map[string]int{}
	for _, c := range cs {
		if c.Outcome == o {
			out[c.Reason]++
		}
	}
	return out
}

func outcomes(cs apply.ChangeSet, o apply.Outcome) []string {
	var out []string
	for _, c := range cs {
		if c.Outcome == o {
			out = append(out, c.Key.String()+": "+c.Reason)
		}
	}
	return out
}

func changeOf(cs apply.ChangeSet, k item.Key) apply.Change {
	i := slices.IndexFunc(cs, func(c apply.Change) bool { return c.Key == k })
	if i < 0 {
		return apply.Change{Key: k, Outcome: "absent"}
	}
	return cs[i]
}

// assertAccounted holds that every item of the backup has exactly one end, with
// a reason, and that nothing else was done but namespaces made.
func assertAccounted(t *testing.T, items []manifest.Item, cs apply.ChangeSet) {
	t.Helper()
	ends := map[item.Key]int{}
	for _, c := range cs {
		ends[c.Key]++
		assert.NotEmpty(t, c.Reason, c.Key)
		assert.Contains(t, []apply.Outcome{apply.Created, apply.Updated, apply.Unchanged, apply.Skipped, apply.Failed}, c.Outcome, c.Key)
	}
	for _, it := range items {
		assert.Equal(t, 1, ends[it.Key], it.Key)
		delete(ends, it.Key)
	}
	for k := range ends {
		assert.Equal(t, "namespaces", k.GroupResource(), k)
	}
}

// snapshot is every object of a cluster.
func snapshot(t *testing.T, c *cluster.Client) map[item.Key]item.Item {
	t.Helper()
	all, err := collect.Begin(t.Context(), c, filter.Filter{})
	require.NoError(t, err)
	out := map[item.Key]item.Item{}
	for it, err := range all.Items(t.Context()) {
		require.NoError(t, err)
		out[it.Key] = it
	}
	require.Empty(t, all.Problems())
	return out
}

// assertEqualClusters compares every object that the restore says is there
// with the one it was backed up from.
func assertEqualClusters(t *testing.T, from, to *cluster.Client, cs apply.ChangeSet) {
	t.Helper()
	want, got := snapshot(t, from), snapshot(t, to)
	for _, c := range cs {
		switch c.Outcome {
		case apply.Created, apply.Unchanged, apply.Updated:
		default:
			continue
		}
		a, b := want[c.Key], got[c.Key]
		if !assert.NotEmpty(t, a.Raw, "%s is not in the source", c.Key) || !assert.NotEmpty(t, b.Raw, "%s was %s and is not there", c.Key, c.Outcome) {
			continue
		}
		differences, err := plan.Diff(a, b)
		require.NoError(t, err)
		assert.Empty(t, differences, c.Key)
	}
}
