package location_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

func TestParseReadsWhatTheUserMeant(t *testing.T) {
	for raw, want := range map[string]location.Spec{
		"file:///var/backups":               {Scheme: "file", Path: "/var/backups"},
		"file:///var/backups/prod/":         {Scheme: "file", Path: "/var/backups/prod"},
		"file:///with%20space/and%3Fmark":   {Scheme: "file", Path: "/with space/and?mark"},
		"s3://bucket":                       {Scheme: "s3", Bucket: "bucket"},
		"s3://bucket/":                      {Scheme: "s3", Bucket: "bucket"},
		"s3://my.bucket-1/prod/eu/":         {Scheme: "s3", Bucket: "my.bucket-1", Prefix: "prod/eu"},
		"s3://bucket/p?region=eu-central-1": {Scheme: "s3", Bucket: "bucket", Prefix: "p", Region: "eu-central-1"},
		"s3://bucket?path-style=true":       {Scheme: "s3", Bucket: "bucket", PathStyle: true},
		"s3://bucket/p?endpoint=http://127.0.0.1:9000": {
			Scheme: "s3", Bucket: "bucket", Prefix: "p", Endpoint: "http://127.0.0.1:9000", PathStyle: true,
		},
		"s3://bucket/p?endpoint=https%3A%2F%2Fs3.example%2F&path-style=false": {
			Scheme: "s3", Bucket: "bucket", Prefix: "p", Endpoint: "https://s3.example",
		},
	} {
		got, err := location.Parse(raw)
		if assert.NoError(t, err, raw) {
			assert.Equal(t, want, got, raw)
		}
	}
}

func TestParseRefusesWithTheRightForm(t *testing.T) {
	for _, tt := range []struct{ name, raw, want string }{
		{"empty", "", "empty; write file:///var/backups/prod or s3://my-bucket/prod?region=eu-west-1"},
		{"a path", "/var/backups", "does not begin with file:// or s3://"},
		{"a relative path", "backups", "does not begin with file:// or s3://"},
		{"another scheme", "gs://bucket/prefix", `unknown scheme "gs"`},
		{"memory is for tests", "mem://", `unknown scheme "mem"`},
		{"upper case scheme", "S3://bucket", `unknown scheme "S3"`},
		{"no slashes", "file:var/backups", "file: must be followed by //"},
		{"one slash", "file:/var/backups", "file: must be followed by //"},
		{"file with a host", "file://backups/prod", "write it with three slashes"},
		{"file without a folder", "file://", "it has no folder"},
		{"file in the root", "file:///", "it has no folder"},
		{"file with a parameter", "file:///backups?region=x", "a file location has no parameters"},
		{"file that climbs", "file:///backups/../etc", `"." or ".."`},
		{"file that climbs in disguise", "file:///backups/%2e%2e/etc", `"." or ".."`},
		{"file with a control character", "file:///back%00ups", "control characters"},
		{"no bucket", "s3:///prefix", "it has no bucket"},
		{"nothing but the scheme", "s3://", "it has no bucket"},
		{"bucket in capitals", "s3://Bucket/p", `bucket "Bucket" is not a valid bucket name`},
		{"bucket too short", "s3://ab", "is not a valid bucket name"},
		{"bucket with a port", "s3://bucket:9000/p", "a bucket has no port"},
		{"prefix that climbs", "s3://bucket/a/../b", "its prefix is invalid"},
		{"prefix that climbs in disguise", "s3://bucket/%2e%2e/b", "its prefix is invalid"},
		{"prefix with an empty segment", "s3://bucket/a//b", "its prefix is invalid"},
		{"unknown parameter", "s3://bucket/p?regoin=eu-west-1", `unknown parameter "regoin" (known: region, endpoint, path-style)`},
		{"parameter twice", "s3://bucket?region=a&region=b", "parameter region needs one value"},
		{"parameter without a value", "s3://bucket?region=", "parameter region needs one value"},
		{"path-style is not a bool", "s3://bucket?path-style=1", "path-style must be true or false"},
		{"endpoint without a scheme", "s3://bucket?endpoint=minio:9000", "the endpoint is not http://host:port"},
		{"endpoint without a host", "s3://bucket?endpoint=http://", "the endpoint is not http://host:port"},
		{"endpoint with a path", "s3://bucket?endpoint=http://minio/s3", "more than a host and a port"},
		{"malformed escape", "s3://bucket/%zz", "malformed URL"},
		{"malformed parameter", "s3://bucket?region=%zz", "are malformed"},
		{"semicolons", "s3://bucket?region=a;path-style=true", "are malformed"},
		{"fragment", "s3://bucket/a#b", "%23"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := location.Parse(tt.raw)
			require.ErrorIs(t, err, location.ErrInvalid)
			assert.ErrorContains(t, err, tt.want)
			assert.Zero(t, u)
		})
	}
}

func TestParseNeverRepeatsCredentials(t *testing.T) {
	for _, raw := range []string{
		"s3://AKIASECRET:hunter2@bucket/p",
		"s3://AKIASECRET:hun/ter2@bucket/p",
		"s3://AKIASECRET:hunter2@bucket:x/p%zz",
		"s3://bucket/p?endpoint=https://AKIASECRET:hunter2@minio:9000",
		"s3://bucket/p?secret_key=hunter2",
		"file://AKIASECRET:hunter2@host/p",
	} {
		_, err := location.Parse(raw)
		require.Error(t, err, raw)
		for _, secret := range []string{"AKIASECRET", "hunter2", "ter2"} {
			assert.NotContains(t, err.Error(), secret, raw)
		}
	}
}

func TestOpenMakesADirectoryOnlyForWriting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	_, err := location.Open(t.Context(), "file://"+dir, location.Options{})
	assert.ErrorContains(t, err, "file://"+dir)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.NoDirExists(t, dir)

	s, err := location.Open(t.Context(), "file://"+dir, location.Options{Create: true})
	require.NoError(t, err)
	assert.Equal(t, "file://"+dir, s.String())
	require.NoError(t, s.Put(t.Context(), "backups/a/x", strings.NewReader("x")))
	assert.FileExists(t, filepath.Join(dir, "backups/a/x"))

	again, err := location.Open(t.Context(), "file://"+dir, location.Options{})
	require.NoError(t, err)
	_, err = again.Get(t.Context(), "backups/a/y")
	assert.ErrorIs(t, err, store.ErrNotFound)
}

func TestOpenNamesABucketWithoutCallingIt(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIASECRET")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	raw := "s3://bucket/prod?endpoint=http%3A%2F%2F127.0.0.1%3A1&region=eu-west-1"
	s, err := location.Open(t.Context(), raw, location.Options{Create: true})
	require.NoError(t, err)
	assert.Equal(t, raw, s.String())
}

func TestOpenGivesNoHalfStoreWithAnError(t *testing.T) {
	for _, raw := range []string{"nonsense", "file:///does/not/exist"} {
		s, err := location.Open(t.Context(), raw, location.Options{})
		assert.Error(t, err)
		assert.Nil(t, s)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"file:///var/backups", "file:///a%20b/%2e%2e", "s3://bucket/prefix?region=eu-west-1&endpoint=https://h:1&path-style=false",
		"s3://bucket", "s3://k:s@bucket", "s3://bucket/a//b", "s3://b..c/%2F", "file://", "", "s3://bucket/%25?path-style=true",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := location.Parse(raw)
		if err != nil {
			assert.ErrorIs(t, err, location.ErrInvalid)
			assert.Zero(t, u)
			return
		}
		again, err := location.Parse(u.String())
		require.NoError(t, err, "what Parse accepts, it accepts as it prints it: %q", u.String())
		assert.Equal(t, u, again)
		switch u.Scheme {
		case location.SchemeFile:
			assert.True(t, filepath.IsAbs(u.Path) && filepath.Clean(u.Path) == u.Path && u.Path != "/", "%q", u.Path)
		case location.SchemeS3:
			assert.NotEmpty(t, u.Bucket)
			if u.Prefix != "" {
				assert.NoError(t, store.CheckKey(u.Prefix))
			}
		default:
			t.Errorf("scheme %q", u.Scheme)
		}
	})
}
