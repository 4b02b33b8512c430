package check_test

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const dataCheck = "volume_data_readable"

// blobs calls change with each blob of the repository whose name begins so.
func blobs(b bucket, prefix string, change func(key string)) {
	for key := range b.clone() {
		if strings.HasPrefix(key, store.KopiaPrefix("notes")) && strings.HasPrefix(path.Base(key), prefix) {
			change(key)
		}
	}
}

func TestWhatIsWrongWithTheDataOfAVolumeIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		damage func(b bucket)
		share  float64
		want   string
	}{
		"a pack is missing":                 {func(b bucket) { blobs(b, "p", func(key string) { delete(b, key) }) }, 0, "pack p"},
		"a pack is cut short":               {func(b bucket) { blobs(b, "p", func(key string) { b[key] = b[key][:100] }) }, 0, "pack p"},
		"the packs of metadata are missing": {func(b bucket) { blobs(b, "q", func(key string) { delete(b, key) }) }, 0, "not found"},
		"the repository is missing":         {func(b bucket) { blobs(b, "", func(key string) { delete(b, key) }) }, 0, "no repository"},
		"the index is missing":              {func(b bucket) { blobs(b, "x", func(key string) { delete(b, key) }) }, 0, "no such snapshot"},
		"the snapshot id is unknown": {func(b bucket) {
			for _, key := range []string{store.VolumeInfo(veleros), store.PodVolumeBackups(veleros)} {
				b.edit(t, key, "7866ab99d8e5151f66ed5241d65ea594", "0066ab99d8e5151f66ed5241d65ea594")
			}
		}, 0, "no such snapshot"},
		"the snapshot is that of another volume": {func(b bucket) {
			b.edit(t, store.PodVolumeBackups(veleros), `"velero.io/pvc-name":"notes"`, `"velero.io/pvc-name":"other"`)
		}, 0, "is that of another volume"},
		"a byte of a file is flipped": {func(b bucket) { blobs(b, "p", func(key string) { b[key] = flipped(b[key]) }) }, 1, "/a/"},
	} {
		t.Run(name, func(t *testing.T) {
			b := velerosBucket(t).clone()
			tc.damage(b)
			r, err := check.Integrity(t.Context(), b.store(t), veleros, check.IntegrityOptions{Volumes: check.VolumeOptions{Share: tc.share}})
			require.NoError(t, err)
			assert.Equal(t, report.Failed, r.Verdict())
			require.NotEmpty(t, r.Findings)
			assert.Equal(t, dataCheck, r.Findings[0].Check)
			assert.Contains(t, r.Findings[0].Message, tc.want)
		})
	}
}

func flipped(b []byte) []byte {
	out := append([]byte{}, b...)
	out[len(out)/2] ^= 1
	return out
}

func TestAWrongPasswordIsInconclusive(t *testing.T) {
	r, err := check.Integrity(t.Context(), velerosBucket(t).store(t), veleros, check.IntegrityOptions{Volumes: check.VolumeOptions{Password: "wrong"}})
	require.NoError(t, err)
	assert.Equal(t, report.Error, r.Verdict(), "the backup may be good")
	for _, c := range r.Checks {
		if c.Name == dataCheck {
			assert.Equal(t, report.Error, c.Verdict)
			assert.Contains(t, c.Message, "--repo-password-file")
		}
	}
}
