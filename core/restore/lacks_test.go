package restore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/results"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// TestABackupThatLacksObjectsSaysSo prepares a backup that recorded errors when it
// was made.
func TestABackupThatLacksObjectsSaysSo(t *testing.T) {
	s := written(t, false, configMap("a"))
	require.NoError(t, s.Delete(t.Context(), store.Metadata("b")))
	put(t, s, store.Metadata("b"), fmt.Appendf(nil, `{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"b"},"status":{"phase":"PartiallyFailed","errors":4}}`))
	const text = "backup b is PartiallyFailed and may lack objects: it recorded 4 errors when it was made"

	p, err := job(s, newTarget()).Prepare(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{text}, p.Warnings, "a backup without a list of errors")

	var r results.Results
	r.Errors.Velero = []string{"one"}
	r.Errors.Add("", "two")
	r.Errors.Add("shop", "three")
	r.Errors.Add("shop", "four")
	content, err := results.Encode(r)
	require.NoError(t, err)
	z, err := results.Compress(content)
	require.NoError(t, err)
	put(t, s, store.Results("b"), z.Bytes())
	var warned []string
	j := job(s, newTarget())
	j.Warn = func(w string) { warned = append(warned, w) }
	p, err = j.Prepare(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{text + ": one; two; three; and 1 more (backups/b/b-results.gz lists all)"}, p.Warnings)
	assert.Equal(t, p.Warnings, warned)
	assert.Equal(t, p.Warnings, p.File().Warnings)

	ok, err := job(written(t, false, configMap("a")), newTarget()).Prepare(t.Context())
	require.NoError(t, err)
	assert.Empty(t, ok.Warnings)
}
