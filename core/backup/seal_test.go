package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/lifeboat-backup/lifeboat/core/catalog"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
)

func keys(t *testing.T) (seal.Identities, seal.Recipients) {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return seal.Identities{i}, seal.Recipients{i.Recipient()}
}

// everything is all bytes of a location, what is gzipped unpacked as well.
func everything(t *testing.T, s store.Store) string {
	t.Helper()
	var all strings.Builder
	for info, err := range s.List(t.Context(), "", true) {
		require.NoError(t, err)
		all.WriteString(info.Key)
		all.Write(content(t, s, info.Key))
		if strings.HasSuffix(info.Key, ".gz") {
			all.WriteString(unzipped(t, s, info.Key))
		}
	}
	return all.String()
}

func TestAnEncryptedBackupTellsNoContent(t *testing.T) {
	const secret = "correct horse battery staple"
	identities, recipients := keys(t)
	cluster := town().has("configmaps", "ConfigMap", "shop", "key", `,"data":{"k":"`+secret+`"}`)
	s := mem.New()
	j := job(s, cluster)
	j.Recipients = recipients
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.True(t, r.Complete())
	assert.Equal(t, api.EncryptionAge, r.Backup.Annotations[api.AnnotationEncryption])
	assert.Equal(t, int64(len(content(t, s, store.SealedContents("nightly")))), r.Stored)

	sealed, err := identities.Decrypt(bytes.NewReader(content(t, s, store.SealedContents("nightly"))))
	require.NoError(t, err)
	tarball, err := io.ReadAll(sealed)
	require.NoError(t, err)

	plain := mem.New()
	_, err = job(plain, cluster).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, content(t, plain, store.Contents("nightly")), tarball, "what is encrypted is the very tarball of a plain backup")

	m, err := catalog.ReadManifest(t.Context(), s, "nightly")
	require.NoError(t, err)
	key, err := catalog.DigestKey(m, identities)
	require.NoError(t, err)
	all, open := everything(t, s), everything(t, plain)
	assert.Contains(t, all, `"shop/key"`, "names can be read")
	n := 0
	for it, err := range archive.NewReader(bytes.NewReader(tarball), archive.Limits{}).Items() {
		require.NoError(t, err)
		sum := sumOf(it.Raw)
		raw, err := hex.DecodeString(sum)
		require.NoError(t, err)
		assert.Contains(t, open, sum)
		for _, told := range []string{string(it.Raw), sum, string(raw), base64.StdEncoding.EncodeToString(raw)} {
			assert.NotContains(t, all, told, it.Key)
		}
		assert.Equal(t, manifest.Item{Key: it.Key, Version: it.Version, Kind: it.Kind, Digest: manifest.Digest{SHA256: key.Digest(sum)}}, m.Items[n], "no size either")
		n++
	}
	assert.Len(t, m.Items, n)
	for _, told := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), string(key), hex.EncodeToString(key)} {
		assert.NotContains(t, all, told)
	}

	again := mem.New()
	j.Open = at(again)
	_, err = j.Run(t.Context())
	require.NoError(t, err)
	m2, err := catalog.ReadManifest(t.Context(), again, "nightly")
	require.NoError(t, err)
	assert.NotEqual(t, m.Items, m2.Items, "two backups do not tell what has changed between them")
	deleted, err := store.DeleteBackup(t.Context(), s, "nightly")
	require.NoError(t, err)
	assert.Equal(t, len(m.Files)+1, deleted)
}

func TestAnEncryptedBackupThatFailsLeavesNothing(t *testing.T) {
	_, recipients := keys(t)
	town := town()
	for i := range 20 { // more than age and gzip hold back
		noise := make([]byte, 16<<10)
		_, _ = rand.Read(noise)
		town.has("configmaps", "ConfigMap", "shop", fmt.Sprint("noise-", i), fmt.Sprintf(`,"data":{"k":%q}`, hex.EncodeToString(noise)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	run := func(s store.Store, c Cluster) error {
		j := job(s, c)
		j.Recipients = recipients
		_, err := j.Run(ctx)
		return err
	}
	calls := storetest.Calls(mem.New())
	require.NoError(t, run(calls, town))
	for n := range calls.Count(storetest.Put) {
		for _, when := range []storetest.When{storetest.Before, storetest.During, storetest.After} {
			s := mem.New()
			faulty := storetest.NewFaults(s, storetest.Fault{Method: storetest.Put, Nth: n + 1, When: when})
			assert.ErrorIs(t, run(faulty, town), storetest.ErrInjected)
			faulty.AssertAllFired(t)
			assert.Zero(t, len(everything(t, s)), "Put %d, %s", n+1, when)
		}
	}
	s := mem.New()
	assert.ErrorIs(t, run(s, &breaking{town, cancel}), context.Canceled)
	assert.Zero(t, len(everything(t, s)))
}

// breaking is a cluster whose backup is interrupted when the first objects have
// come.
type breaking struct {
	*fake
	interrupt func()
}

func (b *breaking) List(ctx context.Context, r item.Resource, o cluster.ListOptions, info *cluster.ListInfo) iter.Seq2[item.Item, error] {
	return func(yield func(item.Item, error) bool) {
		for it, err := range b.fake.List(ctx, r, o, info) {
			if !yield(it, err) {
				return
			}
		}
		if r.Name == "configmaps" {
			b.interrupt()
			yield(item.Item{}, ctx.Err())
		}
	}
}

func TestTheKeyOfTheDigestsNeedsTheIdentity(t *testing.T) {
	identities, recipients := keys(t)
	stranger, _ := keys(t)
	s := mem.New()
	j := job(s, town())
	j.Recipients = recipients
	_, err := j.Run(t.Context())
	require.NoError(t, err)
	m, err := catalog.ReadManifest(t.Context(), s, "nightly")
	require.NoError(t, err)
	_, err = catalog.DigestKey(m, nil)
	assert.ErrorIs(t, err, seal.ErrNoIdentity)
	_, err = catalog.DigestKey(m, stranger)
	assert.ErrorIs(t, err, seal.ErrWrongIdentity)
	m.DigestKey, err = recipients.Wrap([]byte("short"))
	require.NoError(t, err)
	_, err = catalog.DigestKey(m, identities)
	assert.ErrorContains(t, err, "its length is wrong")
}

func TestABackupEncryptedInAWayWeDoNotKnowIsSaidToBe(t *testing.T) {
	identities, _ := keys(t)
	b := velerov1.Backup{}
	b.Name = "b"
	require.NoError(t, catalog.CheckReadable(b, nil))
	b.Annotations = map[string]string{api.AnnotationEncryption: "rot13"}
	assert.EqualError(t, catalog.CheckReadable(b, identities), `backup b is encrypted by "rot13", which this version does not know`)
	b.Annotations[api.AnnotationEncryption] = api.EncryptionAge
	assert.EqualError(t, catalog.CheckReadable(b, nil), "backup b cannot be read: it is encrypted and no identity was given (--identity FILE)")
	assert.NoError(t, catalog.CheckReadable(b, identities))
}
