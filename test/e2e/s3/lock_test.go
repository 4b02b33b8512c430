//go:build e2e

package s3_test

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

// admin is whoever set the bucket up.
func admin(t *testing.T, server rig.S3Server) *awss3.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(server.Region))
	require.NoError(t, err)
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		o.BaseEndpoint, o.UsePathStyle = &server.Endpoint, true
	})
}

// locked is a bucket whose objects must not be deleted for a day.
func locked(t *testing.T, server rig.S3Server) rig.S3Server {
	t.Helper()
	server.Bucket = "lifeboat-locked"
	c := admin(t, server)
	_, err := c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &server.Bucket, ObjectLockEnabledForBucket: aws.Bool(true)})
	require.NoError(t, err)
	_, err = c.PutObjectLockConfiguration(t.Context(), &awss3.PutObjectLockConfigurationInput{
		Bucket: &server.Bucket,
		ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled,
			Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(1)}},
		},
	})
	require.NoError(t, err)
	return server
}

func writeBackup(t *testing.T, s store.Store, name string) {
	t.Helper()
	w, err := store.Begin(t.Context(), s, name)
	require.NoError(t, err)
	_, _, err = w.Put(t.Context(), store.Contents(name), random(10<<20)) // in parts
	require.NoError(t, err)
	_, _, err = w.Put(t.Context(), store.Results(name), random(10))
	require.NoError(t, err)
	require.NoError(t, w.Commit(t.Context(), []byte(`{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"`+name+`"}}`)))
}

// A server without versions refuses what the lock forbids; one with versions,
// as AWS, hides it.
func TestABackupInALockedBucketIsWrittenAndNotDeletedByHalf(t *testing.T) {
	server := locked(t, rig.S3(t))
	s := open(t, server.URL("prod"))
	writeBackup(t, s, "nightly")
	before := keys(t, s)

	n, err := store.DeleteBackup(t.Context(), s, "nightly")
	require.Error(t, err)
	assert.Zero(t, n)
	for _, part := range []string{
		"delete backup nightly: its commit marker could not be deleted, so nothing else was: delete backups/nightly/velero-backup.json: ",
		"access to bucket lifeboat-locked denied at " + server.Endpoint,
		"; or a lock of the bucket (object lock, legal hold, retention) holds the object until its time is over",
	} {
		assert.ErrorContains(t, err, part)
	}
	assert.Equal(t, before, keys(t, s))

	out, code := lifeboat(t, "backup", "delete", "nightly", "--location", server.URL("prod"))
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "error: delete backup nightly: its commit marker could not be deleted, so nothing else was")
	assert.Equal(t, 1, strings.Count(out, "\n"), "one line: %s", out)
	assert.Equal(t, before, keys(t, s))
	out, code = lifeboat(t, "backup", "get", "--location", server.URL("prod"))
	assert.Zero(t, code)
	assert.Contains(t, out, "nightly")

	assert.ErrorIs(t, s.Put(t.Context(), store.Results("nightly"), strings.NewReader("x")), store.ErrExists, "and nothing is written twice")
}

func TestABackupThatFailsInALockedBucketLeavesWhatNobodyTakesForOne(t *testing.T) {
	server := locked(t, rig.S3(t))
	s := open(t, server.URL("prod"))
	w, err := store.Begin(t.Context(), s, "nightly")
	require.NoError(t, err)
	_, _, err = w.Put(t.Context(), store.Contents("nightly"), random(10<<20))
	require.NoError(t, err)
	err = w.Abort(t.Context())
	assert.ErrorContains(t, err, "abort backup nightly: delete backups/nightly/nightly.tar.gz: access to bucket lifeboat-locked denied")
	assert.ErrorContains(t, err, "a lock of the bucket")

	out, code := lifeboat(t, "backup", "get", "--location", server.URL("prod"))
	assert.Zero(t, code)
	assert.Contains(t, out, "note: skipped 1 incomplete backup: nightly")
	_, err = store.Begin(t.Context(), s, "nightly")
	assert.ErrorIs(t, err, store.ErrExists)
	assert.ErrorContains(t, err, "choose another name")
	writeBackup(t, s, "nightly-2")
}

func TestABucketWithVersionsHidesADeletedBackupAndKeepsIt(t *testing.T) {
	server := locked(t, rig.VersionedS3(t))
	s := open(t, server.URL("prod"))
	writeBackup(t, s, "nightly")
	n, err := store.DeleteBackup(t.Context(), s, "nightly")
	require.NoError(t, err, "a deletion only hides")
	assert.Equal(t, 3, n)
	assert.Empty(t, keys(t, s))

	versions, err := admin(t, server).ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{Bucket: &server.Bucket})
	require.NoError(t, err)
	assert.Len(t, versions.Versions, 3, "all of it is there, and can be brought back")
	assert.Len(t, versions.DeleteMarkers, 3)
	writeBackup(t, s, "nightly-2")
}

// The lock of servers that answer as AWS's IAM does, by a proxy.
func TestABucketThatRefusesEveryDeletionIsAsGood(t *testing.T) {
	server := rig.S3(t)
	proxied := server
	proxied.Endpoint = rig.AnsweringProxy(t, server.Endpoint, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete || r.URL.Query().Has("uploadId") {
			return false
		}
		refuse(w, http.StatusForbidden, "AccessDenied", "Access Denied because object protected by object lock.")
		return true
	})
	s := open(t, proxied.URL("prod"))
	writeBackup(t, s, "nightly")
	before := keys(t, s)
	_, err := store.DeleteBackup(t.Context(), s, "nightly")
	assert.ErrorContains(t, err, "(AccessDenied: Access Denied because object protected by object lock.); or a lock of the bucket")
	assert.Equal(t, before, keys(t, s))
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<?xml version="1.0"?><Error><Code>`+code+`</Code><Message>`+message+`</Message></Error>`)
}

// lifeboat runs the program and returns all it says.
func lifeboat(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.Command(rig.Program(t, "lifeboat"), args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
