// Package location opens the place where backups are kept. A Spec identifies it
// and is written as a URL (file:///dir/prefix or s3://bucket/prefix) or made of a
// BackupStorageLocation and its Secrets.
//
// It is beside package store because store holds the interface that the kinds of
// store implement and import; only a package above both can know all kinds.
// Commands and controllers name a location by a Spec, and a new kind is added
// here and nowhere else.
package location

import (
	"context"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/core/store/s3"
)

// Options of Open.
type Options struct {
	// Create lets Open create the directory of a file URL. A writer sets it. A
	// reader does not, because a mistyped path must not look like a location
	// without backups. Buckets are never created.
	Create bool
}

// Open opens the location of a URL (see Parse). For a bucket it fetches
// credentials and does not send a request yet.
func Open(ctx context.Context, rawURL string, o Options) (store.Store, error) {
	s, err := Parse(rawURL)
	if err != nil {
		return nil, err
	}
	return s.Open(ctx, o)
}

// Open opens the location. For a bucket it fetches credentials, unless the Spec
// has them, and does not send a request yet.
func (s Spec) Open(ctx context.Context, o Options) (store.Store, error) {
	if s.Scheme == SchemeFile {
		// Not returned directly: a nil *fs.Store is not a nil store.Store.
		f, err := fs.Open(s.Path, o.Create)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	b, err := s3.Open(ctx, s.bucket())
	if err != nil {
		return nil, err
	}
	return b, nil
}
