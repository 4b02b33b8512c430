package rig

import (
	"fmt"
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

	rec := &fatal{TB: t}
	assert.PanicsWithValue(t, rec, func() { tool(rec, "some", "SOME_VERSION") })
	assert.Regexp(t, "^some v1.2.3 is not built .*: run `make tools`", rec.text)

	require.NoError(t, os.MkdirAll(filepath.Join(root, ".cache", "tools"), 0o700))
	want := filepath.Join(root, ".cache", "tools", "some-v1.2.3")
	require.NoError(t, os.WriteFile(want, nil, 0o700))
	assert.Equal(t, want, tool(t, "some", "SOME_VERSION"))
}

func TestTheVersionsOfToolsAreNamedWhereTheRigLooks(t *testing.T) {
	versions, err := os.ReadFile(filepath.Join(repoRoot(t), "tools", "versions.mk"))
	require.NoError(t, err)
	assert.Regexp(t, regexp.MustCompile(`(?m)^VERSITYGW_VERSION := v\d+\.\d+\.\d+$`), string(versions))
}

// fatal takes the end of a test that is to fail.
type fatal struct {
	testing.TB
	text string
}

func (f *fatal) Helper() {}

func (f *fatal) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	panic(f)
}
