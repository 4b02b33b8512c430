//go:build e2e

package s3_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

func TestABackupStorageLocationWithItsSecretIsTheBucketOfTheURL(t *testing.T) {
	server := rig.S3(t)
	byURL := open(t, server.URL("prod"))
	require.NoError(t, byURL.Put(t.Context(), "backups/a/x", strings.NewReader("x")))

	// The location's keys count, not those of the process.
	t.Setenv("AWS_ACCESS_KEY_ID", "unknown")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	secret := corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "cloud-credentials"},
		Data:       map[string][]byte{"cloud": []byte("[minio]\naws_access_key_id=" + server.AccessKey + "\naws_secret_access_key=" + server.SecretKey + "\n")},
	}
	object := velerov1.BackupStorageLocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "default"},
		Spec: velerov1.BackupStorageLocationSpec{
			Provider:      "aws",
			ObjectStorage: &velerov1.ObjectStorageLocation{Bucket: server.Bucket, Prefix: "prod"},
			Config:        map[string]string{"region": "us-east-1", "s3Url": server.Endpoint, "s3ForcePathStyle": "true", "profile": "minio"},
			Credential:    &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "cloud-credentials"}, Key: "cloud"},
		},
	}
	spec, err := location.FromBackupStorageLocation(object, secret)
	require.NoError(t, err)
	byObject, err := spec.Open(t.Context(), location.Options{})
	require.NoError(t, err)
	require.NoError(t, byObject.Put(t.Context(), "backups/b/x", strings.NewReader("y")))
	want := []string{"backups/a/x", "backups/b/x"}
	assert.Equal(t, want, keys(t, byObject))

	secret.Data["cloud"] = []byte("[minio]\naws_access_key_id=" + server.AccessKey + "\naws_secret_access_key=another\n")
	spec, err = location.FromBackupStorageLocation(object, secret)
	require.NoError(t, err)
	wrong, err := spec.Open(t.Context(), location.Options{})
	require.NoError(t, err)
	_, err = wrong.Get(t.Context(), "backups/a/x")
	assert.ErrorContains(t, err, "does not accept the secret key")
	assert.NotContains(t, err.Error(), "another")

	assert.Equal(t, want, keys(t, byURL), "opened with the keys of the process as they were")
}
