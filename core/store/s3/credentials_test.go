package s3_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store/s3"
)

func TestMissingCredentialsAreAnErrorOfOpen(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err := s3.Open(t.Context(), s3.Options{Bucket: "bucket"})
	assert.ErrorContains(t, err, "open location s3://bucket: no usable AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run with a role")
}

// Outside of an instance, the address of its metadata service may swallow
// what is sent to it.
func TestAMetadataServiceThatDoesNotAnswerIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, in the kernel, and says nothing
	require.NoError(t, err)
	defer l.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+l.Addr().String())
	start := time.Now()
	_, err = s3.Open(t.Context(), s3.Options{Bucket: "bucket"})
	assert.ErrorContains(t, err, "no usable AWS credentials")
	assert.Less(t, time.Since(start), 15*time.Second)
}

func TestTheURLOfABucketHoldsWhatFindsIt(t *testing.T) {
	for want, o := range map[string]s3.Options{
		"s3://b":      {Bucket: "b"},
		"s3://b/p/q":  {Bucket: "b", Prefix: "p/q"},
		"s3://b/a%25": {Bucket: "b", Prefix: "a%"},
		"s3://b?endpoint=http%3A%2F%2Fh%3A1&region=r":        {Bucket: "b", Region: "r", Endpoint: "http://h:1", PathStyle: true},
		"s3://b/p?endpoint=https%3A%2F%2Fh&path-style=false": {Bucket: "b", Prefix: "p", Endpoint: "https://h"},
		"s3://b?path-style=true&region=eu-west-1":            {Bucket: "b", Region: "eu-west-1", PathStyle: true},
	} {
		assert.Equal(t, want, o.String())
	}
}
