package backup

import (
	"crypto/rand"
	"io"

	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// sealed hands write a writer to w, one that encrypts if there are recipients.
func (j Job) sealed(w io.Writer, write func(io.Writer) error) error {
	if len(j.Recipients) == 0 {
		return write(w)
	}
	e, err := j.Recipients.Encrypt(w)
	if err != nil {
		return err
	}
	if err := write(e); err != nil {
		return err
	}
	return e.Close()
}

// seal makes the key of the digests of an encrypted backup.
func (r *record) seal(to seal.Recipients) error {
	if len(to) == 0 {
		return nil
	}
	r.key = make(manifest.Key, manifest.KeySize)
	_, _ = rand.Read(r.key) // never fails (crypto/rand)
	var err error
	r.wrappedKey, err = to.Wrap(r.key)
	return err
}

// contents is the key of the tarball in the location.
func (r *record) contents() string {
	if r.key != nil {
		return store.SealedContents(r.backup)
	}
	return store.Contents(r.backup)
}

// digest is what the manifest records of an item: of an encrypted one not even
// the size, by which guesses could be told apart.
func (r *record) digest(d manifest.Digest) manifest.Digest {
	if r.key == nil {
		return d
	}
	return manifest.Digest{SHA256: r.key.Digest(d.SHA256)}
}
