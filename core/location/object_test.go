package location_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store/s3"
)

const cloud = `# made by velero install
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key=hunter2

[offsite]
aws_access_key_id=AKIAOFFSITE
aws_secret_access_key=hunter3 # rotated
aws_session_token=token4
region=eu-north-1
`

func secretOf(cloud string) corev1.Secret {
	return corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "keys"}, Data: map[string][]byte{"cloud": []byte(cloud)}}
}

// object is a BackupStorageLocation with a configuration.
func object(config map[string]string) velerov1.BackupStorageLocation {
	return velerov1.BackupStorageLocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "default"},
		Spec: velerov1.BackupStorageLocationSpec{
			Provider: "aws", Config: config,
			ObjectStorage: &velerov1.ObjectStorageLocation{Bucket: "bucket", Prefix: "/prod/"},
			Credential:    &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}, Key: "cloud"},
		},
	}
}

func TestABackupStorageLocationIsALocation(t *testing.T) {
	got, err := location.FromBackupStorageLocation(object(map[string]string{
		"region": "minio", "s3Url": "http://minio.velero:9000/", "s3ForcePathStyle": "true", "insecureSkipTLSVerify": "true",
		"checksumAlgorithm": "", "publicUrl": "https://minio.example", "enableSharedConfig": "true",
	}), corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "other"}}, secretOf(cloud))
	require.NoError(t, err)
	assert.Equal(t, location.Spec{
		Scheme: "s3", Bucket: "bucket", Prefix: "prod", Region: "minio", Endpoint: "http://minio.velero:9000", PathStyle: true, Insecure: true,
		Credentials: s3.Credentials{AccessKeyID: "AKIADEFAULT", SecretAccessKey: "hunter2"},
	}, got)
	assert.Equal(t, "s3://bucket/prod?endpoint=http%3A%2F%2Fminio.velero%3A9000&region=minio", got.String())

	got, err = location.FromBackupStorageLocation(object(map[string]string{"profile": "offsite"}), secretOf(cloud))
	require.NoError(t, err)
	assert.Equal(t, s3.Credentials{AccessKeyID: "AKIAOFFSITE", SecretAccessKey: "hunter3", SessionToken: "token4"}, got.Credentials)
	assert.Equal(t, "eu-north-1", got.Region, "the profile's, if the configuration names none")

	l := object(map[string]string{"profile": "node"})
	l.Spec.Credential = nil
	got, err = location.FromBackupStorageLocation(l)
	require.NoError(t, err)
	assert.True(t, got.Credentials.IsZero())
	assert.Equal(t, "node", got.Profile, "of the files that the SDK reads")
}

func TestABackupStorageLocationNamesWhatIsWrongWithIt(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*velerov1.BackupStorageLocation)
		want   string
	}{
		"provider":          {func(l *velerov1.BackupStorageLocation) { l.Spec.Provider = "gcp" }, `spec.provider: "gcp" is not supported`},
		"no storage":        {func(l *velerov1.BackupStorageLocation) { l.Spec.ObjectStorage = nil }, "spec.objectStorage: required"},
		"bucket":            {func(l *velerov1.BackupStorageLocation) { l.Spec.ObjectStorage.Bucket = "a/b" }, `spec.objectStorage.bucket: bucket "a/b" is not a valid bucket name`},
		"prefix":            {func(l *velerov1.BackupStorageLocation) { l.Spec.ObjectStorage.Prefix = "a/../b" }, "spec.objectStorage.prefix: "},
		"CA":                {func(l *velerov1.BackupStorageLocation) { l.Spec.ObjectStorage.CACert = []byte("x") }, "spec.objectStorage.caCert: not a certificate in PEM form"},
		"no Secret":         {func(l *velerov1.BackupStorageLocation) { l.Spec.Credential.Name = "gone" }, "spec.credential: secret velero/gone not found"},
		"another namespace": {func(l *velerov1.BackupStorageLocation) { l.Namespace = "other" }, "spec.credential: secret other/keys not found"},
		"no key":            {func(l *velerov1.BackupStorageLocation) { l.Spec.Credential.Key = "aws" }, `spec.credential: secret velero/keys has no key "aws"`},
		"CA reference": {func(l *velerov1.BackupStorageLocation) {
			l.Spec.ObjectStorage.CACertRef = &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "ca"}, Key: "ca.crt"}
		}, "spec.objectStorage.caCertRef: secret velero/ca not found"},
		"unknown key":     {set("regoin", "x"), "spec.config.regoin: unknown (known: caCert, checksumAlgorithm,"},
		"a verb in a key": {set("%d%s", "x"), "spec.config.%d%s: unknown"},
		"encryption":      {set("kmsKeyId", "x"), "spec.config.kmsKeyId: not supported"},
		"region":          {set("region", "a b"), `spec.config.region: "a b" is not a valid region`},
		"endpoint":        {set("s3Url", "minio:9000"), "spec.config.s3Url: the endpoint is not http://host:port"},
		"bool":            {set("s3ForcePathStyle", "maybe"), `spec.config.s3ForcePathStyle: "maybe" is not true or false`},
		"checksum":        {set("checksumAlgorithm", "MD5"), `spec.config.checksumAlgorithm: "MD5" is not one of`},
		"profile":         {set("profile", "gone"), `spec.credential: secret velero/keys, key "cloud": no profile "gone"`},
	} {
		l := object(nil)
		c.change(&l)
		got, err := location.FromBackupStorageLocation(l, secretOf(cloud))
		require.ErrorIs(t, err, location.ErrInvalid, name)
		assert.ErrorContains(t, err, c.want, name)
		assert.ErrorContains(t, err, "BackupStorageLocation "+l.Namespace+"/default: ")
		assert.Zero(t, got)
	}
}

func set(key, value string) func(*velerov1.BackupStorageLocation) {
	return func(l *velerov1.BackupStorageLocation) { l.Spec.Config = map[string]string{key: value} }
}

func TestCredentialsAreNeverShown(t *testing.T) {
	for _, file := range []string{
		"AKIASECRET:hunter2", "[default", "[default]\nhunter2", "aws_secret_access_key=hunter2", "[hunter2]", "[default]\naws_secret_access_key=hunter2",
		"[default]\nrole_arn=hunter2", "[default]\ncredential_process=hunter2", "",
	} {
		_, err := location.FromBackupStorageLocation(object(nil), secretOf(file))
		require.Error(t, err, file)
		assert.NotContains(t, err.Error(), "hunter2")
		assert.NotContains(t, err.Error(), "AKIASECRET")
	}
	s, err := location.FromBackupStorageLocation(object(nil), secretOf(cloud))
	require.NoError(t, err)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	for _, shown := range []string{s.String(), fmt.Sprintf("%v %+v %#v", s, s, s), fmt.Sprintf("%v %#v", &s, &s), fmt.Sprintf("%+v %#v", s.Credentials, s.Credentials), string(text)} {
		assert.NotContains(t, shown, "hunter2")
		assert.NotContains(t, shown, "AKIADEFAULT")
	}
}

func FuzzCredentials(f *testing.F) {
	f.Add(cloud)
	f.Add("[a]\n[default]\r\n aws_access_key_id=a\naws_secret_access_key=b ;c")
	f.Fuzz(func(t *testing.T, file string) {
		s, err := location.FromBackupStorageLocation(object(nil), secretOf(file))
		if err != nil {
			assert.Zero(t, s)
			return
		}
		assert.NotEmpty(t, s.Credentials.AccessKeyID)
		assert.NotEmpty(t, s.Credentials.SecretAccessKey)
	})
}

// A server with a certificate of its own authority, and keys that no chain has.
func TestALocationOpensWithItsOwnKeysAndAuthority(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHESERVER")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Authorization"))
		fmt.Fprint(w, `<ListBucketResult><Contents><Key>prod/backups/a/x</Key><Size>1</Size></Contents></ListBucketResult>`)
	}))
	defer server.Close()
	server.Config.ErrorLog = nil
	l := object(map[string]string{"s3Url": server.URL, "s3ForcePathStyle": "true"})
	list := func() (keys []string, err error) {
		spec, err := location.FromBackupStorageLocation(l, secretOf(cloud))
		require.NoError(t, err)
		s, err := spec.Open(t.Context(), location.Options{})
		require.NoError(t, err)
		for info, err := range s.List(t.Context(), "", true) {
			if err != nil {
				return nil, err
			}
			keys = append(keys, info.Key)
		}
		return keys, nil
	}
	_, err := list()
	assert.ErrorContains(t, err, "caCert")
	assert.Empty(t, asked)

	l.Spec.ObjectStorage.CACert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	keys, err := list()
	require.NoError(t, err)
	assert.Equal(t, []string{"backups/a/x"}, keys)
	require.NotEmpty(t, asked)
	assert.True(t, strings.HasPrefix(asked[0], "/bucket "), asked[0])
	assert.Contains(t, asked[0], "Credential=AKIADEFAULT/")

	l.Spec.ObjectStorage.CACert = nil
	l.Spec.Config["insecureSkipTLSVerify"] = "true"
	_, err = list()
	assert.NoError(t, err)
}
