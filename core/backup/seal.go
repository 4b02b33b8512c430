package backup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Encrypted reports whether a backup's tarball is encrypted.
func Encrypted(b velerov1.Backup) bool { return b.Annotations[api.AnnotationEncryption] != "" }

// CheckReadable says why the identities cannot decrypt a backup, as far as its
// metadata tells.
func CheckReadable(b velerov1.Backup, identities seal.Identities) error {
	switch how := b.Annotations[api.AnnotationEncryption]; {
	case how == "":
		return nil
	case how != api.EncryptionAge:
		return fmt.Errorf("backup %s is encrypted by %q, which this version does not know", b.Name, how)
	case len(identities) == 0:
		return fmt.Errorf("backup %s cannot be read: %w", b.Name, seal.ErrNoIdentity)
	}
	return nil
}

// DigestKey decrypts the key of a manifest's digests; it is nil for a manifest
// of a backup that is not encrypted.
func DigestKey(m manifest.Manifest, identities seal.Identities) (manifest.Key, error) {
	if len(m.DigestKey) == 0 {
		return nil, nil
	}
	key, err := identities.Unwrap(m.DigestKey)
	if err == nil && len(key) != manifest.KeySize {
		err = errors.New("it has another length")
	}
	if err != nil {
		return nil, fmt.Errorf("the key of the digests of backup %s: %w", m.Backup, err)
	}
	return key, nil
}

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

// digest is what the manifest says of an item: of an encrypted one not even
// the size, by which guesses could be told apart.
func (r *record) digest(d manifest.Digest) manifest.Digest {
	if r.key == nil {
		return d
	}
	return manifest.Digest{SHA256: r.key.Digest(d.SHA256)}
}
