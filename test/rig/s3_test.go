package rig

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheURLOfAServerNamesBucketAndEndpoint(t *testing.T) {
	s := S3Server{Endpoint: "http://127.0.0.1:1234", Bucket: "b", Region: "r", AccessKey: "key", SecretKey: "secret"}
	assert.Equal(t, "s3://b/prod/eu?endpoint=http%3A%2F%2F127.0.0.1%3A1234&region=r", s.URL("prod/eu"))
}

func TestAToolThatIsNotBuiltFailsWithTheCommandThatBuildsIt(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "tools"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "tools", "versions.mk"), []byte("# x\nSOME_VERSION := v1.2.3\n"), 0o600))
	t.Chdir(root)

	_, err := toolPath("some", "SOME_VERSION")
	assert.ErrorContains(t, err, "some v1.2.3 is not built: ")
	assert.ErrorContains(t, err, "(run `make tools`, or")

	require.NoError(t, os.MkdirAll(filepath.Join(root, ".cache", "tools"), 0o700))
	want := filepath.Join(root, ".cache", "tools", "some-v1.2.3")
	require.NoError(t, os.WriteFile(want, nil, 0o700))
	got, err := toolPath("some", "SOME_VERSION")
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestTheVersionsOfToolsAreNamedWhereTheRigLooks(t *testing.T) {
	versions, err := os.ReadFile(filepath.Join(repoRoot(t), "tools", "versions.mk"))
	require.NoError(t, err)
	assert.Regexp(t, regexp.MustCompile(`(?m)^VERSITYGW_VERSION := v\d+\.\d+\.\d+$`), string(versions))
}
