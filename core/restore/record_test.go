package restore

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

func unzipped(t *testing.T, s store.Store, key string) string {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err, key)
	defer r.Close()
	z, err := gzip.NewReader(r)
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(b)
}

func TestARestoreIsRecordedInVelerosForm(t *testing.T) {
	s := written(t, true, configMap("a"), configMap("b"), configMap("c"))
	c := newTarget()
	differs := configMap("b")
	differs.Raw = []byte(strings.ReplaceAll(string(differs.Raw), `"k":"b"`, `"k":"mine"`))
	c.objects[differs.Key] = differs
	c.create = func(k item.Key) error {
		if k.Name == "c" {
			return errors.New("refused")
		}
		return nil
	}
	j := job(s, c)
	j.Record = true
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.False(t, r.Complete())
	assert.Empty(t, r.Warnings)

	assert.JSONEq(t, `{"errors":{"namespaces":{"shop":["configmaps shop/c: refused"]}},
		"warnings":{"namespaces":{"shop":["configmaps shop/b: exists and differs from the backup; left alone"]}}}`, unzipped(t, s, store.RestoreResults(j.Name)))
	assert.JSONEq(t, `{"v1/Namespace":["shop(created)"],"v1/ConfigMap":["shop/a(created)","shop/b(failed)","shop/c(failed)"]}`, unzipped(t, s, store.RestoreResourceList(j.Name)))
	assert.Equal(t, "[]\n", unzipped(t, s, store.RestoreItemOperations(j.Name)))
	assert.Equal(t, "[]\n", unzipped(t, s, store.RestoreVolumeInfo(j.Name)))
	log := unzipped(t, s, store.RestoreLog(j.Name))
	assert.Contains(t, log, `level=error msg="configmaps shop/c: refused" restore=velero/`+j.Name+"\n")
	assert.Contains(t, log, `level=info msg="2 created, 0 updated, 0 unchanged, 1 skipped, 1 failed"`)
}

func TestARestoreOfANameThatIsRecordedIsDoneWithAWarning(t *testing.T) {
	s := written(t, true, configMap("a"))
	j := job(s, newTarget())
	j.Record = true
	_, err := j.Run(t.Context())
	require.NoError(t, err)
	before := unzipped(t, s, store.RestoreLog(j.Name))

	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.True(t, r.Complete())
	require.Len(t, r.Warnings, 1)
	assert.Contains(t, r.Warnings[0], "the record of restore "+j.Name+" was not written to ")
	assert.Contains(t, r.Warnings[0], "exists (choose another name)")
	assert.Equal(t, before, unzipped(t, s, store.RestoreLog(j.Name)))
}

// readOnly is a location that nothing may be written to.
type readOnly struct{ store.Store }

func (readOnly) Put(context.Context, string, io.Reader) error { return errors.New("access denied") }

func TestAReadOnlyLocationDoesNotFailARestore(t *testing.T) {
	c := newTarget()
	j := job(readOnly{written(t, true, configMap("a"))}, c)
	j.Record = true
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, apply.Created, r.Changes[0].Outcome)
	require.Len(t, r.Warnings, 1)
	assert.Contains(t, r.Warnings[0], "access denied")
}

func TestARestoreThatEndsEarlyIsRecorded(t *testing.T) {
	s := written(t, true, configMap("a"))
	c := newTarget()
	ctx, cancel := context.WithCancel(t.Context())
	c.create = func(item.Key) error { cancel(); return ctx.Err() }
	j := job(s, c)
	j.Record = true
	_, err := j.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Contains(t, unzipped(t, s, store.RestoreResults(j.Name)), "is not complete")
}

func TestARestoreThatDoesNotAskForItIsNotRecorded(t *testing.T) {
	s := written(t, true, configMap("a"))
	_, err := job(s, newTarget()).Run(t.Context())
	require.NoError(t, err)
	for info, err := range s.List(t.Context(), store.RestoresPrefix, true) {
		require.NoError(t, err)
		t.Errorf("%s was written", info.Key)
	}
}
