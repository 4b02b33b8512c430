package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifeboat-backup/lifeboat/test/rig"
)

// startS3 starts an S3 server that serves until its Stop.
func (l *lab) startS3(ctx context.Context) (rig.S3Server, error) {
	dir := filepath.Join(l.dir, "s3")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return rig.S3Server{}, err
	}
	s, err := rig.StartS3(ctx, dir)
	if err != nil {
		return rig.S3Server{}, fmt.Errorf("%w (-no-s3 measures without it)", err)
	}
	return s, nil
}
