package catalog

import (
	"context"
	"fmt"
	"io"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Readable is a store in which the tarball of the backup can be read under its
// usual key, also when it is encrypted.
func Readable(s store.Store, b velerov1.Backup, identities seal.Identities) store.Store {
	if !Encrypted(b) {
		return s
	}
	return readable{Store: s, backup: b.Name, identities: identities}
}

type readable struct {
	store.Store
	backup     string
	identities seal.Identities
}

func (r readable) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if key != store.Contents(r.backup) {
		return r.Store.Get(ctx, key)
	}
	sealed, err := r.Store.Get(ctx, store.SealedContents(r.backup))
	if err != nil {
		return nil, err
	}
	plain, err := r.identities.Decrypt(sealed)
	if err != nil {
		_ = sealed.Close() // it was only read
		return nil, fmt.Errorf("%s: %w", store.SealedContents(r.backup), err)
	}
	return struct {
		io.Reader
		io.Closer
	}{plain, sealed}, nil
}
