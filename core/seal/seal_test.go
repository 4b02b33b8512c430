package seal_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/seal"
)

// pair is a new identity and its recipient, as texts.
func pair(t *testing.T) (identity, recipient string) {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return i.String(), i.Recipient().String()
}

func identities(t *testing.T, text string) seal.Identities {
	t.Helper()
	i, err := seal.ParseIdentities(strings.NewReader(text))
	require.NoError(t, err)
	return i
}

func recipients(t *testing.T, text string) seal.Recipients {
	t.Helper()
	r, err := seal.ParseRecipients(strings.NewReader(text))
	require.NoError(t, err)
	require.NoError(t, r.Check())
	return r
}

func encrypted(t *testing.T, to seal.Recipients, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := to.Encrypt(&out)
	require.NoError(t, err)
	_, err = w.Write(plain)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func decrypt(i seal.Identities, sealed io.Reader) ([]byte, error) {
	r, err := i.Decrypt(sealed)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// plain is more than two of age's chunks.
var plain = bytes.Repeat([]byte("0123456789abcdef"), 10_000)

func TestEachRecipientAloneCanDecrypt(t *testing.T) {
	one, to1 := pair(t)
	two, to2 := pair(t)
	sealed := encrypted(t, recipients(t, "# of the team\n"+to1+"\n\n"+to2+"\n"), plain)
	for _, i := range []string{one, two, "# created: today\n" + one + "\n"} {
		out, err := decrypt(identities(t, i), bytes.NewReader(sealed))
		require.NoError(t, err)
		assert.Equal(t, plain, out)
	}
	other, _ := pair(t)
	out, err := decrypt(identities(t, other+"\n"+two), bytes.NewReader(sealed))
	require.NoError(t, err)
	assert.Equal(t, plain, out)
}

func TestPostQuantumRecipientsAreRecipientsToo(t *testing.T) {
	i, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	sealed := encrypted(t, recipients(t, i.Recipient().String()), plain)
	out, err := decrypt(identities(t, i.String()), bytes.NewReader(sealed))
	require.NoError(t, err)
	assert.Equal(t, plain, out)

	_, to := pair(t)
	mixed, err := seal.ParseRecipients(strings.NewReader(i.Recipient().String() + "\n" + to))
	require.NoError(t, err)
	assert.ErrorContains(t, mixed.Check(), "incompatible")
}

func TestTheWrongIdentityIsNoDamage(t *testing.T) {
	_, to := pair(t)
	other, _ := pair(t)
	sealed := encrypted(t, recipients(t, to), plain)
	_, err := decrypt(identities(t, other), bytes.NewReader(sealed))
	assert.ErrorIs(t, err, seal.ErrWrongIdentity)
	assert.NotErrorIs(t, err, seal.ErrDamaged)
	_, err = decrypt(nil, bytes.NewReader(sealed))
	assert.ErrorIs(t, err, seal.ErrNoIdentity)
}

func TestDamageIsSeenWhereverItIs(t *testing.T) {
	identity, to := pair(t)
	i := identities(t, identity)
	sealed := encrypted(t, recipients(t, to), plain)
	for at := 0; at < len(sealed); at += 1 + at/7 {
		flipped := bytes.Clone(sealed)
		flipped[at] ^= 4
		_, err := decrypt(i, bytes.NewReader(flipped))
		// A recipient's stanza that was altered is one of another recipient.
		assert.True(t, errors.Is(err, seal.ErrDamaged) || at < 200 && errors.Is(err, seal.ErrWrongIdentity), "byte %d: %v", at, err)
		_, err = decrypt(i, bytes.NewReader(sealed[:at]))
		assert.ErrorIs(t, err, seal.ErrDamaged, "cut at %d", at)
	}
	_, err := decrypt(i, bytes.NewReader(append(bytes.Clone(sealed), 0)))
	assert.ErrorIs(t, err, seal.ErrDamaged, "a byte was added")
}

func TestAStoreThatBreaksOffIsNoDamage(t *testing.T) {
	identity, to := pair(t)
	sealed := encrypted(t, recipients(t, to), plain)
	gone := errors.New("connection reset")
	for _, at := range []int{0, 50, 300, 70_000, len(sealed)} {
		_, err := decrypt(identities(t, identity), io.MultiReader(bytes.NewReader(sealed[:at]), iotest.ErrReader(gone)))
		assert.ErrorIs(t, err, gone, "after %d bytes", at)
		assert.NotErrorIs(t, err, seal.ErrDamaged)
	}
}

func TestNoErrorRepeatsASecret(t *testing.T) {
	identity, to := pair(t)
	for _, text := range []string{identity, strings.ToLower(identity), to + "\n" + identity} {
		_, err := seal.ParseRecipients(strings.NewReader(text))
		assert.ErrorContains(t, err, "it is an identity, which is secret")
		assert.NotContains(t, strings.ToUpper(err.Error()), identity[:30])
	}
	_, err := seal.ParseIdentities(strings.NewReader(identity[:40]))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), identity[:30])
}

func TestFilesThatHoldNoKeysAreRefused(t *testing.T) {
	_, to := pair(t)
	for text, want := range map[string]string{
		"":                             "no identities found",
		"# nothing":                    "no identities found",
		to:                             "unknown identity type",
		"age-encryption.org/v1\n-> X":  "it is encrypted itself",
		"-----BEGIN AGE ENCRYPTED FIL": "it is encrypted itself",
		strings.Repeat("#", 1<<20+1):   "larger than 1048576 bytes",
	} {
		_, err := seal.ParseIdentities(strings.NewReader(text))
		assert.ErrorContains(t, err, want)
	}
	for text, want := range map[string]string{
		"": "no recipients found", "age1nonsense": "malformed recipient", "team@example.com": "unknown recipient type",
	} {
		_, err := seal.ParseRecipients(strings.NewReader(text))
		assert.ErrorContains(t, err, want, text)
	}
}

func TestAShortSecretIsWrappedAndUnwrapped(t *testing.T) {
	identity, to := pair(t)
	wrapped, err := recipients(t, to).Wrap([]byte("secret"))
	require.NoError(t, err)
	assert.NotContains(t, string(wrapped), "secret")
	secret, err := identities(t, identity).Unwrap(wrapped)
	require.NoError(t, err)
	assert.Equal(t, "secret", string(secret))
	_, err = identities(t, identity).Unwrap(encrypted(t, recipients(t, to), plain))
	assert.ErrorIs(t, err, seal.ErrDamaged, "too long")
	_, err = identities(t, identity).Unwrap(wrapped[:len(wrapped)-1])
	assert.ErrorIs(t, err, seal.ErrDamaged)
}

func BenchmarkEncrypt(b *testing.B) {
	i, err := age.GenerateX25519Identity()
	require.NoError(b, err)
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	b.SetBytes(int64(len(chunk)))
	w, err := seal.Recipients{i.Recipient()}.Encrypt(io.Discard)
	require.NoError(b, err)
	for b.Loop() {
		_, err := w.Write(chunk)
		require.NoError(b, err)
	}
}
