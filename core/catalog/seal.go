package catalog

import (
	"errors"
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/seal"
)

// Encrypted reports whether a backup's tarball is encrypted.
func Encrypted(b velerov1.Backup) bool { return b.Annotations[api.AnnotationEncryption] != "" }

// CheckReadable returns why the identities cannot decrypt a backup, as far as
// its metadata shows.
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

// DigestKey decrypts the key of a manifest's digests. It is nil for a manifest
// of a backup that is not encrypted.
func DigestKey(m manifest.Manifest, identities seal.Identities) (manifest.Key, error) {
	if len(m.DigestKey) == 0 {
		return nil, nil
	}
	key, err := identities.Unwrap(m.DigestKey)
	if err == nil && len(key) != manifest.KeySize {
		err = errors.New("its length is wrong")
	}
	if err != nil {
		return nil, fmt.Errorf("the key of the digests of backup %s: %w", m.Backup, err)
	}
	return key, nil
}
