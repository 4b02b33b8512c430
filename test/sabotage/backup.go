package sabotage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Backup is one backup in a location that is a folder. What is done to it may
// break it in any way; the folder should be a copy.
type Backup struct {
	Dir  string
	Name string
}

// Key makes a key of package store's layout one of this backup.
type Key = func(backup string) string

// Copy copies the location of a backup to a new folder.
func (b *Backup) Copy(dir string) (*Backup, error) {
	if err := os.CopyFS(dir, os.DirFS(b.Dir)); err != nil {
		return nil, fmt.Errorf("copy the location: %w", err)
	}
	return &Backup{Dir: dir, Name: b.Name}, nil
}

func (b *Backup) path(k Key) string { return filepath.Join(b.Dir, filepath.FromSlash(k(b.Name))) }

func (b *Backup) read(k Key) ([]byte, error) { return os.ReadFile(b.path(k)) }

func (b *Backup) write(k Key, content []byte) error { return os.WriteFile(b.path(k), content, 0o600) }

// has reports whether the file is there.
func (b *Backup) has(k Key) bool {
	_, err := os.Stat(b.path(k))
	return err == nil
}

// change replaces the content of a file.
func (b *Backup) change(k Key, by func([]byte) []byte) error {
	content, err := b.read(k)
	if err != nil {
		return err
	}
	changed := by(bytes.Clone(content))
	if bytes.Equal(changed, content) {
		return fmt.Errorf("%s is as it was", k(b.Name))
	}
	return b.write(k, changed)
}

// zipped reads and writes a gzipped JSON file.
func (b *Backup) unzip(k Key, into any) error {
	content, err := b.read(k)
	if err != nil {
		return err
	}
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return err
	}
	return json.NewDecoder(z).Decode(into)
}

func (b *Backup) zip(k Key, from any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	packed, err := pack(text)
	if err != nil {
		return err
	}
	return b.write(k, packed)
}

func pack(text []byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// rezip changes what a gzipped JSON file says.
func rezip[T any](b *Backup, k Key, change func(T) T) error {
	var v T
	if err := b.unzip(k, &v); err != nil {
		return err
	}
	return b.zip(k, change(v))
}

// metadata changes velero-backup.json.
func (b *Backup) metadata(change func(map[string]any)) error {
	content, err := b.read(store.Metadata)
	if err != nil {
		return err
	}
	var m map[string]any
	if err := json.Unmarshal(content, &m); err != nil {
		return err
	}
	change(m)
	if content, err = json.Marshal(m); err != nil {
		return err
	}
	return b.write(store.Metadata, content)
}

// reseal makes the manifest, if there is one, agree with the files and with
// these items, as if they had been written so.
func (b *Backup) reseal(items []manifest.Item) error {
	if !b.has(store.Manifest) {
		return nil
	}
	return b.lie(func(m *manifest.Manifest) error {
		if items != nil {
			m.Items = items
		}
		names, err := b.files()
		if err != nil {
			return err
		}
		m.Files = map[string]manifest.Digest{}
		for _, name := range names {
			if name == below(b.Name, store.Manifest) {
				continue
			}
			content, err := os.ReadFile(filepath.Join(b.folder(), name))
			if err != nil {
				return err
			}
			m.Files[name] = digest(content)
		}
		return nil
	})
}

// lie changes the manifest, whatever the files say.
func (b *Backup) lie(change func(*manifest.Manifest) error) error {
	content, err := b.read(store.Manifest)
	if err != nil {
		return err
	}
	m, err := manifest.Decode(bytes.NewReader(content))
	if err != nil {
		return err
	}
	if err := change(&m); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := m.Encode(&out); err != nil {
		return err
	}
	return b.write(store.Manifest, out.Bytes())
}

func (b *Backup) folder() string {
	return filepath.Join(b.Dir, filepath.FromSlash(store.BackupPrefix(b.Name)))
}

// files are the names below the folder of the backup.
func (b *Backup) files() ([]string, error) {
	entries, err := os.ReadDir(b.folder())
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// below is a key as a name below the folder of the backup.
func below(backup string, k Key) string {
	return strings.TrimPrefix(k(backup), store.BackupPrefix(backup))
}

func digest(content []byte) manifest.Digest {
	sum := sha256.Sum256(content)
	return manifest.Digest{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

// untar is the tarball without gzip.
func (b *Backup) untar() ([]byte, error) {
	content, err := b.read(store.Contents)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
