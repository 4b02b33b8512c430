//go:build e2e

package controlplane_test

import (
	"bytes"
	"context"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// damaged is a store with one object that differs from what was put.
type damaged struct {
	store.Store
	key     string
	content []byte
}

func (d damaged) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if key != d.key {
		return d.Store.Get(ctx, key)
	}
	return io.NopCloser(bytes.NewReader(d.content)), nil
}

// leastDamages is the number of damages the loop has had.
const leastDamages = 10_000

// Every byte of a backup is accounted for: one that changes, or all that a file
// lacks from some byte on, is found by verify. Nothing reads the head of the
// manifest's gzip, so there, and there only, a bit may change unnoticed: then
// all the digests in it are as they were.
func TestEveryFlippedBitAndEveryCutOfABackupIsFoundByVerify(t *testing.T) {
	_, c := sourceCluster(t)
	s := mem.New()
	_, err := backupJob("b", s, c, filter.Filter{IncludedNamespaces: []string{"guarded"}, IncludedResources: []string{"configmaps"}}).Run(t.Context())
	require.NoError(t, err)
	want, err := catalog.ReadManifest(t.Context(), s, "b")
	require.NoError(t, err)

	type damage struct {
		label string
		in    damaged
	}
	damages := make(chan damage)
	var g sync.WaitGroup
	harmless := make([]int, 2)
	for i := range harmless {
		g.Go(func() {
			for d := range damages {
				r, err := check.Integrity(t.Context(), d.in, "b", check.IntegrityOptions{})
				if !assert.NoError(t, err, d.label) || r.Verdict() == report.Failed {
					continue
				}
				harmless[i]++
				assert.Equal(t, store.Manifest("b"), d.in.key, d.label)
				got, err := catalog.ReadManifest(t.Context(), d.in, "b")
				assert.NoError(t, err, d.label)
				assert.Equal(t, want, got, d.label)
			}
		})
	}
	points, taken := 0, part.Of(t)
	for _, key := range keys(t, s) {
		r, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		for n := range content {
			points += 2
			if !taken.Takes(n) {
				continue
			}
			flipped := bytes.Clone(content)
			flipped[n] ^= 1 << (n % 8)
			damages <- damage{fmt.Sprintf("%s: byte %d flipped", key, n), damaged{s, key, flipped}}
			damages <- damage{fmt.Sprintf("%s: cut after %d bytes", key, n), damaged{s, key, content[:n]}}
		}
	}
	close(damages)
	g.Wait()
	t.Logf("%d damages, part %s taken, %d of them harmless, 0 bad", points, taken, harmless[0]+harmless[1])
	assert.GreaterOrEqual(t, points, leastDamages)
	assert.Less(t, harmless[0]+harmless[1], 20)
}
