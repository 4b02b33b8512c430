package s3

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Protection asks the bucket how it protects its objects, by two requests that
// need s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration.
func (s *Store) Protection(ctx context.Context) (store.Protection, error) {
	versioning, err := s.client.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: &s.options.Bucket})
	if err != nil {
		return store.Protection{}, fmt.Errorf("get the versioning of bucket %s: %w", s.options.Bucket, s.explain(ctx, err))
	}
	p := store.Protection{Versioning: versioning.Status == types.BucketVersioningStatusEnabled}
	lock, err := s.client.GetObjectLockConfiguration(ctx, &awss3.GetObjectLockConfigurationInput{Bucket: &s.options.Bucket})
	if code(err) == "ObjectLockConfigurationNotFoundError" {
		return p, nil
	}
	if err != nil {
		return store.Protection{}, fmt.Errorf("get the object lock configuration of bucket %s: %w", s.options.Bucket, s.explain(ctx, err))
	}
	c := lock.ObjectLockConfiguration
	if c == nil {
		return p, nil
	}
	p.Lock = c.ObjectLockEnabled == types.ObjectLockEnabledEnabled
	if c.Rule != nil && c.Rule.DefaultRetention != nil {
		r := c.Rule.DefaultRetention
		const day = 24 * time.Hour
		p.Mode = string(r.Mode)
		p.Retention = day * time.Duration(aws.ToInt32(r.Days)+365*aws.ToInt32(r.Years))
	}
	return p, nil
}

// RetainedUntil returns until when object lock keeps an object, or the zero time
// when it does not. A legal hold, which has no end, is not looked at. One
// request, which needs s3:GetObjectRetention.
func (s *Store) RetainedUntil(ctx context.Context, key string) (time.Time, error) {
	if err := check(ctx, key); err != nil {
		return time.Time{}, fmt.Errorf("get the retention: %w", err)
	}
	out, err := s.client.GetObjectRetention(ctx, &awss3.GetObjectRetentionInput{Bucket: &s.options.Bucket, Key: s.key(key)})
	switch code(err) {
	case "NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError":
		return time.Time{}, nil
	case "InvalidRequest": // what S3 answers for a bucket without object lock
		if strings.Contains(err.Error(), "missing Object Lock Configuration") {
			return time.Time{}, nil
		}
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("get the retention of %s: %w", key, s.explain(ctx, err))
	}
	if out.Retention == nil {
		return time.Time{}, nil
	}
	return aws.ToTime(out.Retention.RetainUntilDate), nil
}
