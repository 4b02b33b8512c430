//go:build e2e

package drill

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// ageKey writes a new identity to a file and returns its recipient.
func ageKey(t *testing.T) (file, recipient string) {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(i.String()+"\n"), 0o600))
	return file, i.Recipient().String()
}

func kubeconfigFile(t *testing.T, kubeconfig []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, kubeconfig, 0o600))
	return path
}

// secretsOf are all texts by which a reader could find or confirm what the
// items of an unencrypted backup hold.
func secretsOf(t *testing.T, dir, backup string) (secrets map[string]string, items int) {
	t.Helper()
	secrets = map[string]string{}
	in := bytes.NewReader(contents(t, dir, store.Contents(backup)))
	for it, err := range archive.NewReader(in, archive.Limits{}).Items() {
		require.NoError(t, err)
		items++
		name := it.Key.String()
		sum := sha256.Sum256(it.Raw)
		secrets[string(it.Raw)] = name
		secrets[string(sum[:])] = name + ", SHA-256"
		secrets[hex.EncodeToString(sum[:])] = name + ", SHA-256 in hex"
		secrets[base64.StdEncoding.EncodeToString(sum[:])] = name + ", SHA-256 in base64"
		if it.Key.Resource != "secrets" {
			continue
		}
		var o struct{ Data map[string][]byte }
		require.NoError(t, json.Unmarshal(it.Raw, &o))
		for k, v := range o.Data {
			if len(v) >= 12 { // shorter ones are names, or may stand anywhere by chance
				secrets[string(v)] = name + ", value of " + k
				secrets[base64.StdEncoding.EncodeToString(v)] = name + ", base64 of " + k
			}
		}
	}
	return secrets, items
}

// everything is every byte below a folder, gzipped files unpacked as well.
func everything(t *testing.T, dir string) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, path := range entries(t, dir) {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			require.NoError(t, err)
			continue
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		all.Write(b)
		if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
			_, err = io.Copy(&all, z)
			require.NoError(t, err)
		}
	}
	return all.Bytes()
}

func TestAnEncryptedBackupTellsNoSecretAndIsProven(t *testing.T) {
	source := rig.ControlPlane(t)
	_, err := populate.Apply(t.Context(), source.Kubeconfig, populate.Options{})
	require.NoError(t, err)
	kubeconfig := kubeconfigFile(t, source.Kubeconfig)
	key, recipient := ageKey(t)
	wrong, _ := ageKey(t)
	server, plain := rig.S3(t), t.TempDir()
	location := server.URL("prod")
	bucket := filepath.Join(server.Dir, server.Bucket, "prod")
	lifeboat := func(code int, args ...string) outcome {
		t.Helper()
		o := run(t, t.Context(), "lifeboat", args...)
		require.Equal(t, code, o.code, o.stdout+o.stderr)
		return o
	}
	verifier := func(code int, args ...string) (outcome, report.Report) {
		t.Helper()
		o := run(t, t.Context(), "lifeboat-verifier", append([]string{"drill", "--latest", "-o", "json"}, args...)...)
		require.Equal(t, code, o.code, o.stdout+o.stderr)
		var rep report.Report
		if o.stdout != "" {
			require.NoError(t, json.Unmarshal([]byte(o.stdout), &rep))
		}
		return o, rep
	}
	lifeboat(0, "backup", "create", "b", "--location", "file://"+plain, "--kubeconfig", kubeconfig)
	lifeboat(0, "backup", "create", "b", "--location", location, "--kubeconfig", kubeconfig, "--encrypt-to", recipient)

	t.Run("it is verified, drilled and restored by its identity", func(t *testing.T) {
		lifeboat(0, "backup", "verify", "b", "--location", location, "--identity", key)
		_, rep := verifier(0, "--location", location, "--identity", key)
		assert.Equal(t, report.Passed, rep.Verdict)
		assert.Positive(t, rep.Items.Equal)
		assert.True(t, rep.Backup.Manifest)
		assert.Len(t, rep.Backup.ContentsSHA256, 64)

		target := kubeconfigFile(t, rig.ControlPlane(t).Kubeconfig)
		restore := []string{"--from-backup", "b", "--location", location, "--kubeconfig", target, "--identity", key}
		lifeboat(0, append([]string{"plan"}, restore...)...)
		lifeboat(0, append([]string{"restore", "create"}, restore...)...)
		again := lifeboat(0, append([]string{"plan"}, restore...)...)
		assert.Contains(t, again.stdout, "would create 0,", "all of it is there, and equal")
	})

	t.Run("without it the files can be verified and nothing else be done", func(t *testing.T) {
		before := len(evidenceOf(t, bucket))
		verified := lifeboat(1, "backup", "verify", "b", "--location", location)
		assert.Regexp(t, `files_digests +passed`, verified.stdout)
		assert.Regexp(t, `items_digests +error +not checked: .* no identity was given \(--identity FILE\)`, verified.stdout)
		refused, _ := verifier(1, "--location", location)
		assert.Contains(t, refused.stderr, "error: backup b cannot be read: it is encrypted and no identity was given (--identity FILE)")
		assert.Len(t, evidenceOf(t, bucket), before, "there was no drill")
		target := kubeconfigFile(t, source.Kubeconfig)
		for _, verb := range [][]string{{"plan"}, {"restore", "create"}} {
			o := lifeboat(1, append(verb, "--from-backup", "b", "--location", location, "--kubeconfig", target)...)
			assert.Contains(t, o.stderr, "(--identity FILE)")
			o = lifeboat(1, append(verb, "--from-backup", "b", "--location", location, "--kubeconfig", target, "--identity", wrong)...)
			assert.Contains(t, o.stderr, "encrypted to other recipients than the identities given")
			assert.Equal(t, 1, strings.Count(o.stderr, "\n"), "one error: %s", o.stderr)
		}
		_, rep := verifier(1, "--location", location, "--identity", wrong)
		assert.Equal(t, report.Error, rep.Verdict, "the backup is not to blame")
		assert.Empty(t, rep.Findings)
	})

	t.Run("damage refutes it", func(t *testing.T) {
		empty := kubeconfigFile(t, rig.ControlPlane(t).Kubeconfig)
		sealed := store.SealedContents("b")
		for name, damage := range map[string]func([]byte) []byte{
			"a flipped bit": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"a cut":         func(b []byte) []byte { return b[:len(b)/2] },
		} {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(bucket)))
			replace(t, dir, sealed, damage(contents(t, dir, sealed)))
			lifeboat(4, "backup", "verify", "b", "--location", "file://"+dir, "--identity", key)
			lifeboat(4, "backup", "verify", "b", "--location", "file://"+dir)
			_, rep := verifier(4, "--location", "file://"+dir, "--identity", key)
			assert.Equal(t, report.Failed, rep.Verdict, name)
			o := lifeboat(1, "restore", "create", "--from-backup", "b", "--location", "file://"+dir, "--kubeconfig", empty, "--identity", key)
			assert.Contains(t, o.stderr, "the encrypted file is damaged or was altered", name)
			assert.Contains(t, o.stderr, "nothing has been restored", name)
		}
	})

	// Last: the evidence of the drills is in the bucket too by now.
	secrets, items := secretsOf(t, plain, "b")
	all, open := everything(t, bucket), everything(t, plain)
	require.NotEmpty(t, evidenceOf(t, bucket))
	values := 0
	for secret, what := range secrets {
		if strings.Contains(what, "value of ") {
			values++
		}
		assert.False(t, bytes.Contains(all, []byte(secret)), "the bucket shows %s", what)
	}
	assert.Positive(t, values)
	assert.Greater(t, items, 100)
	for it, err := range archive.NewReader(bytes.NewReader(contents(t, plain, store.Contents("b"))), archive.Limits{}).Items() {
		require.NoError(t, err)
		sum := sha256.Sum256(it.Raw)
		require.True(t, bytes.Contains(open, []byte(hex.EncodeToString(sum[:]))), "an unencrypted one does: the search finds what is there")
	}
	assert.NoFileExists(t, filepath.Join(bucket, store.Contents("b")))
}
