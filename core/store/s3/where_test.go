package s3

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCredentialsInAnEndpointAreNotShown(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://minio:9000": "http://minio:9000", "https://user:hunter2@minio:9000": "https://minio:9000", "https://hunter2@minio": "https://minio",
		"http://u:hunter2@%zz": "the configured endpoint",
	} {
		assert.Equal(t, want, withoutUser(endpoint))
	}
}
