//go:build e2e

package s3_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/test/rig"
)

// uploads are the ids of the uploads in parts that were begun and neither
// completed nor aborted. No listing of objects shows them.
func uploads(t *testing.T, server rig.S3Server) []string {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(server.Region))
	require.NoError(t, err)
	client := awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		o.BaseEndpoint, o.UsePathStyle = &server.Endpoint, true
	})
	out, err := client.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: &server.Bucket})
	require.NoError(t, err)
	var ids []string
	for _, u := range out.Uploads {
		ids = append(ids, aws.ToString(u.UploadId))
	}
	return ids
}
