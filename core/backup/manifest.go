package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// writeManifest writes the digests of all files, velero-backup.json included,
// which is known by now and written after it.
func (r *record) writeManifest(ctx context.Context, w *store.Writer, metadata []byte, now time.Time) error {
	sum := sha256.Sum256(metadata)
	m := manifest.Manifest{
		Schema: manifest.Schema, Backup: r.backup, Created: now.UTC(), DigestKey: r.wrappedKey, Resources: r.coverage, Items: r.items,
		Files: map[string]manifest.Digest{store.MetadataFile: {Size: int64(len(metadata)), SHA256: hex.EncodeToString(sum[:])}},
	}
	for key, digest := range r.files {
		m.Files[r.fileName(key)] = digest
	}
	pr, pw := io.Pipe()
	encoded := make(chan struct{})
	go func() {
		defer close(encoded)
		pw.CloseWithError(m.Encode(pw))
	}()
	_, _, err := w.Put(ctx, store.Manifest(r.backup), pr)
	pr.CloseWithError(errOr(err, io.ErrClosedPipe)) // frees an encoder that still writes
	<-encoded
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return nil
}
