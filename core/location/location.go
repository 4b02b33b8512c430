// Package location opens the place where backups live from the URL a user
// wrote: file:///dir/prefix or s3://bucket/prefix.
//
// It stands beside package store because store holds the interface that the
// kinds of store implement and import; only a package above both can know all
// kinds. Nothing else does: commands and controllers name a location by its
// URL, and a new kind is added here and nowhere else.
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
	u, err := Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if u.Scheme == SchemeFile {
		// Not returned directly: a nil *fs.Store is no nil store.Store.
		s, err := fs.Open(u.Path, o.Create)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := s3.Open(ctx, u.bucket())
	if err != nil {
		return nil, err
	}
	return s, nil
}
