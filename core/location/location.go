// Package location opens the place where backups live. A Spec says which place;
// it is written as a URL (file:///dir/prefix or s3://bucket/prefix) or made of a
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

// Options say what Open may do.
type Options struct {
	// Create lets Open make the directory of a file URL when it is missing.
	// What writes the first backup into a location sets it; what reads does
	// not, since a mistyped path must not look like a location without
	// backups. Buckets are never made.
	Create bool
}

// Open opens the location that rawURL names; Parse says which are valid. For a
// bucket it fetches credentials and sends nothing to it yet.
func Open(ctx context.Context, rawURL string, o Options) (store.Store, error) {
	s, err := Parse(rawURL)
	if err != nil {
		return nil, err
	}
	return s.Open(ctx, o)
}

// Open opens the location. For a bucket it fetches credentials, unless the Spec
// has them, and sends nothing to it yet.
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
