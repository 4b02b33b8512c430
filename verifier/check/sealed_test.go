package check_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func newIdentity(t testing.TB) (seal.Identities, seal.Recipients) {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return seal.Identities{i}, seal.Recipients{i.Recipient()}
}

// sealedBucket is ourBucket with the backup encrypted.
func sealedBucket(t testing.TB, to seal.Recipients) bucket {
	t.Helper()
	b := ourBucket(t)
	m := b.manifest(t, ours)
	key := manifest.Key(bytes.Repeat([]byte{7}, manifest.KeySize))
	var err error
	m.DigestKey, err = to.Wrap(key)
	require.NoError(t, err)
	for i := range m.Items {
		m.Items[i].Digest = manifest.Digest{SHA256: key.Digest(m.Items[i].SHA256)}
	}
	b.sealContents(t, to, b[store.Contents(ours)])
	delete(b, store.Contents(ours))
	var metadata velerov1.Backup
	require.NoError(t, json.Unmarshal(b[store.Metadata(ours)], &metadata))
	metadata.Annotations[api.AnnotationEncryption] = api.EncryptionAge
	b[store.Metadata(ours)], err = json.Marshal(metadata)
	require.NoError(t, err)
	b.digestFiles(t, m)
	return b
}

func (b bucket) sealContents(t testing.TB, to seal.Recipients, tarball []byte) {
	t.Helper()
	var out bytes.Buffer
	w, err := to.Encrypt(&out)
	require.NoError(t, err)
	_, err = w.Write(tarball)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	b[store.SealedContents(ours)] = out.Bytes()
}

// digestFiles makes the manifest that of the files as they are.
func (b bucket) digestFiles(t testing.TB, m manifest.Manifest) {
	t.Helper()
	delete(b, store.Manifest(ours))
	m.Files = map[string]manifest.Digest{}
	for key, content := range b {
		sum := sha256.Sum256(content)
		m.Files[strings.TrimPrefix(key, store.BackupPrefix(ours))] = manifest.Digest{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	}
	b.setManifest(t, m)
}

// verifySealed decides about the backup with the identities.
func verifySealed(t testing.TB, b bucket, with seal.Identities) ([]report.Check, []report.Finding) {
	t.Helper()
	in, err := check.Gather(t.Context(), b.store(t), ours, check.IntegrityOptions{Identities: with})
	require.NoError(t, err)
	return check.Decide(in)
}

func withVerdict(checks []report.Check, v report.Verdict) (names []string, messages string) {
	for _, c := range checks {
		if c.Verdict == v {
			names = append(names, c.Name)
			messages += c.Message + "\n"
		}
	}
	return names, messages
}

// needContents are the checks that look into the tarball.
var needContents = []string{"archive_readable", "items_digests", "resource_list_agrees", "counts_agree", "volume_records_consistent"}

func TestAnEncryptedBackupPassesWithItsIdentity(t *testing.T) {
	with, to := newIdentity(t)
	checks, findings := verifySealed(t, sealedBucket(t, to), with)
	assert.Empty(t, findings)
	assert.Equal(t, report.Passed, check.Verdict(checks, findings))
	names, _ := withVerdict(checks, report.Passed)
	assert.Subset(t, names, append([]string{"files_digests", "manifest_consistent"}, needContents...), "nothing is left out")
}

func TestWithoutTheIdentityTheFilesAreCheckedAndTheItemsAreNot(t *testing.T) {
	_, to := newIdentity(t)
	stranger, _ := newIdentity(t)
	b := sealedBucket(t, to)
	for want, with := range map[string]seal.Identities{"no identity was given (--identity FILE)": nil, "to other recipients than the identities given": stranger} {
		checks, findings := verifySealed(t, b, with)
		assert.Empty(t, findings)
		assert.Equal(t, report.Error, check.Verdict(checks, findings), "what was not looked at is never passed")
		names, messages := withVerdict(checks, report.Error)
		assert.Equal(t, needContents, names)
		assert.Equal(t, len(needContents), strings.Count(messages, want), messages)
		names, _ = withVerdict(checks, report.Passed)
		assert.Subset(t, names, []string{"files_present", "files_digests", "manifest_consistent"})
	}
}

func TestSabotageOfAnEncryptedBackupIsFound(t *testing.T) {
	with, to := newIdentity(t)
	sound := sealedBucket(t, to)
	entries := ourBucket(t).entries(t, ours)
	const sealedKey = "backups/" + ours + "/" + ours + "-lifeboat-contents.tar.gz.age"
	require.Contains(t, sound, sealedKey)
	alter := func(e *archivetest.Entry) {
		e.Body = bytes.Replace(e.Body, []byte("certificate"), []byte("certifiable"), 1)
	}
	const certificate = "resources/configmaps/namespaces/shop/kube-root-ca.crt.json"
	forged := archivetest.Build(t, archivetest.Replace(archivetest.Replace(entries, certificate, alter),
		strings.Replace(certificate, "configmaps/", "configmaps/v1-preferredversion/", 1), alter)...)
	change := func(f func([]byte) []byte) func(*testing.T, bucket) {
		return func(_ *testing.T, b bucket) { b[sealedKey] = f(bytes.Clone(b[sealedKey])) }
	}
	for name, c := range map[string]struct {
		do            func(*testing.T, bucket)
		with, without []string // the checks that fail, by whether there is an identity
	}{
		"a bit of its content was flipped": {change(func(b []byte) []byte { b[len(b)-30] ^= 1; return b }),
			[]string{"files_digests", "archive_readable"}, []string{"files_digests"}},
		"a bit of its header was flipped": {change(func(b []byte) []byte { b[3] ^= 1; return b }),
			[]string{"files_digests", "archive_readable"}, []string{"files_digests"}},
		"what names the recipient was altered": {change(func(b []byte) []byte { b[60] = 'A' + (b[60]-'A'+1)%26; return b }),
			[]string{"files_digests"}, []string{"files_digests"}},
		"it was cut": {change(func(b []byte) []byte { return b[:len(b)-30] }),
			[]string{"files_digests", "archive_readable"}, []string{"files_digests"}},
		"it is empty": {change(func([]byte) []byte { return nil }),
			[]string{"files_digests", "archive_readable"}, []string{"files_digests"}},
		"something was appended": {change(func(b []byte) []byte { return append(b, 'x') }),
			[]string{"files_digests", "archive_readable"}, []string{"files_digests"}},
		"it is gone": {func(_ *testing.T, b bucket) { delete(b, sealedKey) },
			[]string{"files_present"}, []string{"files_present"}},
		"somebody encrypted other items to the recipient": {func(t *testing.T, b bucket) { b.sealContents(t, to, forged) },
			[]string{"files_digests", "items_digests"}, []string{"files_digests"}},
		"and made the manifest agree, but for the key they do not have": {func(t *testing.T, b bucket) {
			m := b.manifest(t, ours)
			b.sealContents(t, to, forged)
			b.digestFiles(t, m)
		}, []string{"items_digests"}, nil},
		"the key of the digests was cut": {func(t *testing.T, b bucket) {
			m := b.manifest(t, ours)
			m.DigestKey = m.DigestKey[:len(m.DigestKey)-1]
			b.setManifest(t, m)
		}, []string{"items_digests"}, nil},
		"the key of the digests is gone": {func(t *testing.T, b bucket) {
			m := b.manifest(t, ours)
			m.DigestKey = nil
			b.setManifest(t, m)
		}, []string{"manifest_consistent", "items_digests"}, []string{"manifest_consistent"}},
		"a plain tarball was laid beside it": {func(t *testing.T, b bucket) { b[store.Contents(ours)] = forged },
			[]string{"files_digests", "items_digests"}, []string{"files_digests"}},
		"the metadata says that it is plain": {func(t *testing.T, b bucket) {
			b[store.Metadata(ours)] = bytes.Replace(b[store.Metadata(ours)], []byte(api.AnnotationEncryption), []byte("lifeboat.dev/other"), 1)
		}, []string{"files_present", "manifest_consistent", "files_digests"}, []string{"files_present", "manifest_consistent", "files_digests"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := sound.clone()
			c.do(t, b)
			checks, findings := verifySealed(t, b, with)
			assert.Equal(t, c.with, failedChecks(checks), "%+v", findings)
			assert.Equal(t, report.Failed, check.Verdict(checks, findings))
			checks, findings = verifySealed(t, b, nil)
			assert.Equal(t, c.without, failedChecks(checks), "%+v", findings)
			assert.NotEqual(t, report.Passed, check.Verdict(checks, findings))
		})
	}
}

func TestAKeyOfTheDigestsThatIsLostIsOneFinding(t *testing.T) {
	with, to := newIdentity(t)
	b := sealedBucket(t, to)
	m := b.manifest(t, ours)
	m.DigestKey = m.DigestKey[:len(m.DigestKey)-1]
	b.setManifest(t, m)
	_, findings := verifySealed(t, b, with)
	require.Len(t, findings, 1)
	assert.Equal(t, store.Manifest(ours), findings[0].Object)
	assert.Contains(t, findings[0].Message, "the key of the digests of backup "+ours)
}

func TestAnEncryptedBackupWithoutMetadataIsStillReadAsOne(t *testing.T) {
	with, to := newIdentity(t)
	b := sealedBucket(t, to)
	delete(b, store.Metadata(ours))
	checks, findings := verifySealed(t, b, with)
	assert.Equal(t, []string{"files_present"}, failedChecks(checks), "%+v", findings)
}
