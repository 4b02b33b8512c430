// Package s3 tests the store in a bucket against a real S3 server (versitygw).
// The tests have the build tag e2e.
package s3
