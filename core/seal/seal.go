// Package seal encrypts what a location must not hold in plain text, with age
// (https://age-encryption.org/v1): to recipients, who are public keys, so that
// whoever makes backups cannot read them.
//
// Encryption streams in chunks of 64 KiB. Every chunk is authenticated before
// it is handed on, and so are the order and the end of the chunks. Who wrote a
// file is not proven: recipients are public.
package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// Recipients are those who can decrypt; each of them can alone. The zero value
// is no recipient, and that nothing is encrypted.
type Recipients []age.Recipient

// Identities are secret keys of recipients.
type Identities []age.Identity

var (
	// ErrNoIdentity says that something is encrypted and no identity was given.
	ErrNoIdentity = errors.New("it is encrypted and no identity was given (--identity FILE)")
	// ErrWrongIdentity says that none of the identities is a recipient's.
	ErrWrongIdentity = errors.New("it is encrypted to other recipients than the identities given (--identity FILE)")
	// ErrDamaged says that what was encrypted was altered or cut off since.
	ErrDamaged = errors.New("the encrypted file is damaged or was altered")
)

// maxKeys bounds a file of recipients or identities, in bytes.
const maxKeys = 1 << 20

// secretPrefix begins every identity of age.
const secretPrefix = "AGE-SECRET-KEY-"

// ParseRecipients reads age recipients, one a line; empty lines and those that
// begin with # are ignored.
func ParseRecipients(r io.Reader) (Recipients, error) {
	text, err := readKeys(r)
	if err != nil {
		return nil, err
	}
	if strings.Contains(strings.ToUpper(text), secretPrefix) {
		// age would repeat it in its error.
		return nil, errors.New("it is an identity, which is secret, and not a recipient (age-keygen -y makes the recipient of it)")
	}
	list, err := age.ParseRecipients(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	return list, nil
}

// ParseIdentities reads age identities, one a line, as age-keygen writes them.
// No error repeats any of them.
func ParseIdentities(r io.Reader) (Identities, error) {
	text, err := readKeys(r)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(text, "age-encryption.org/") || strings.HasPrefix(text, "-----BEGIN AGE") {
		return nil, errors.New("it is encrypted itself; decrypt it first (age -d)")
	}
	list, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	return list, nil
}

func readKeys(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeys+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxKeys {
		return "", fmt.Errorf("it is larger than %d bytes", maxKeys)
	}
	return string(text), nil
}

// Check says why nothing can be encrypted to these recipients together, such
// as to post-quantum and other ones.
func (r Recipients) Check() error {
	if len(r) == 0 {
		return nil
	}
	_, err := age.Encrypt(io.Discard, r...)
	return err
}

// Encrypt returns a writer whose Close writes the end of the encrypted file;
// it does not close w.
func (r Recipients) Encrypt(w io.Writer) (io.WriteCloser, error) {
	e, err := age.Encrypt(w, r...)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return e, nil
}

// Decrypt returns a reader of what was encrypted. Its errors, and those of
// that reader, are ErrNoIdentity, ErrWrongIdentity, ErrDamaged, wrapped, or
// those of r as they are.
func (i Identities) Decrypt(r io.Reader) (io.Reader, error) {
	if len(i) == 0 {
		return nil, ErrNoIdentity
	}
	src := &source{r: r}
	plain, err := age.Decrypt(src, i...)
	var noMatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &noMatch):
		return nil, ErrWrongIdentity
	case err != nil:
		return nil, src.fault(err)
	}
	return &decrypted{src: src, plain: plain}, nil
}

// decrypted distinguishes errors of the source from damage of what it holds.
type decrypted struct {
	src   *source
	plain io.Reader
}

func (d *decrypted) Read(p []byte) (int, error) {
	n, err := d.plain.Read(p)
	if err != nil && err != io.EOF {
		err = d.src.fault(err)
	}
	return n, err
}

// source remembers why reading failed: age takes a stream that breaks off for
// one that was cut.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (s *source) fault(err error) error {
	if s.err != nil {
		return s.err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// maxSecret bounds what Wrap and Unwrap handle, in bytes.
const maxSecret = 1 << 10

// Wrap encrypts a short secret.
func (r Recipients) Wrap(secret []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := r.Encrypt(&out)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(secret); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return out.Bytes(), nil
}

// Unwrap decrypts what Wrap encrypted, with the errors of Decrypt.
func (i Identities) Unwrap(wrapped []byte) ([]byte, error) {
	r, err := i.Decrypt(bytes.NewReader(wrapped))
	if err != nil {
		return nil, err
	}
	secret, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	if err != nil {
		return nil, err
	}
	if len(secret) > maxSecret {
		return nil, fmt.Errorf("%w: the secret is longer than %d bytes", ErrDamaged, maxSecret)
	}
	return secret, nil
}
