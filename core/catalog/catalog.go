// Package catalog reads what a location holds: its backups, one backup's
// metadata, its manifest and its items. Everything that reads a backup goes
// through it, so that all programs accept the same files.
//
// It only reads. The content of a location is untrusted: every read is limited.
package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// MaxMetadata and MaxMetadataValues limit velero-backup.json, in bytes and in
// JSON values. Velero's files have a few kB: etcd rejects a Backup over 1.5 MiB.
const (
	MaxMetadata       = 10 << 20
	MaxMetadataValues = 200_000
)

// MaxResourceList and MaxResourceListValues limit the list of items,
// decompressed, in bytes and in JSON values. The list of a million items, as
// many as an archive may hold, has 60 MB.
const (
	MaxResourceList       = 128 << 20
	MaxResourceListValues = 1_500_000
)

var metadataLimits = jsonbound.Limits{Bytes: MaxMetadata, Values: MaxMetadataValues}

// largestElement is the size in bytes of the largest struct of which a Backup has a
// list, BackupResourceHookSpec.
const largestElement = 168

// readers is how many velero-backup.json files are read at once.
const readers = 32

var (
	// ErrNoBackup reports that the location holds no backup of that name.
	ErrNoBackup = errors.New("no such backup")
	// ErrDamaged reports that velero-backup.json is malformed or over a limit.
	// Reading it again gives the same error.
	ErrDamaged = errors.New("damaged")
)

// Entry is one folder below backups/.
type Entry struct {
	Name   string
	Backup velerov1.Backup
	// MetadataSHA256 is the digest of velero-backup.json, hex. It differs
	// between backups that had the same name one after another.
	MetadataSHA256 string
	// Err is why the folder holds no backup. It wraps ErrNoBackup when
	// velero-backup.json is missing, ErrDamaged when it is malformed.
	Err error
}

// Started is when the backup began, the zero time when that is unknown.
func (e Entry) Started() time.Time {
	if t := e.Backup.Status.StartTimestamp; t != nil {
		return t.Time
	}
	return e.Backup.CreationTimestamp.Time
}

// List reads all backups of a location, newest first. Folders without a backup
// are listed with the reason. It makes one List, and one Get per folder, several
// at once: only velero-backup.json has a backup's phase and times. Newest costs
// less.
func List(ctx context.Context, s store.Store) ([]Entry, error) {
	names, err := folders(ctx, s)
	if err != nil {
		return nil, err
	}
	out, err := readAll(ctx, s, names, func(e Entry) Entry { return e })
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return b.Started().Compare(a.Started()) })
	return out, nil
}

// Each is List for daemons: it keeps of each backup only what keep makes of it, in
// the order of the names. The spec of a backup can have megabytes.
func Each[T any](ctx context.Context, s store.Store, keep func(Entry) T) ([]T, error) {
	names, err := folders(ctx, s)
	if err != nil {
		return nil, err
	}
	return readAll(ctx, s, names, keep)
}

// readAll reads the named backups, several at once, and returns what keep makes of
// them in the order of the names. The error is that of ctx.
func readAll[T any](ctx context.Context, s store.Store, names []string, keep func(Entry) T) ([]T, error) {
	out := make([]T, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, name := range names {
		g.Go(func() error {
			out[i] = keep(ReadEntry(ctx, s, name))
			return ctx.Err()
		})
	}
	return out, g.Wait()
}

// folders are the names of the folders below backups/, in order.
func folders(ctx context.Context, s store.Store) ([]string, error) {
	var names []string
	for info, err := range s.List(ctx, store.BackupsPrefix, false) {
		if err != nil {
			return nil, fmt.Errorf("list backups of %s: %w", s, err)
		}
		if !info.IsPrefix() {
			continue
		}
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(info.Key, store.BackupsPrefix), "/"))
	}
	return names, nil
}

// ReadEntry reads one backup's velero-backup.json, and its digest.
func ReadEntry(ctx context.Context, s store.Store, name string) Entry {
	e := Entry{Name: name}
	e.Backup, e.MetadataSHA256, e.Err = read(ctx, s, name)
	return e
}

// Read reads one backup's velero-backup.json. The error wraps ErrNoBackup when
// there is no such backup, ErrDamaged when the file is malformed.
func Read(ctx context.Context, s store.Store, name string) (velerov1.Backup, error) {
	b, _, err := read(ctx, s, name)
	return b, err
}

func read(ctx context.Context, s store.Store, name string) (b velerov1.Backup, sum string, err error) {
	var none velerov1.Backup
	if err := store.CheckName(name); err != nil {
		return none, "", fmt.Errorf("backup %w", err)
	}
	r, err := s.Get(ctx, store.Metadata(name))
	if errors.Is(err, store.ErrNotFound) {
		return none, "", fmt.Errorf("%w: %s in %s (lifeboat backup get lists them): %w", ErrNoBackup, name, s, err)
	}
	if err != nil {
		return none, "", fmt.Errorf("read backup %s: %w", name, err)
	}
	defer r.Close()
	hash := sha256.New()
	err = jsonbound.Memory.Decode(ctx, io.TeeReader(r, hash), metadataLimits, largestElement, func(raw []byte) (err error) {
		b, err = decode(raw)
		return err
	})
	if errors.Is(err, jsonbound.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err == nil {
		err = Check(b, name)
	}
	if errors.Is(err, ErrDamaged) {
		return none, hex.EncodeToString(hash.Sum(nil)), fmt.Errorf("read backup %s: %s is %w", name, store.MetadataFile, err)
	}
	if err != nil {
		return none, "", fmt.Errorf("read backup %s: %s: %w", name, store.MetadataFile, err)
	}
	return b, hex.EncodeToString(hash.Sum(nil)), nil
}

// Decode reads a velero-backup.json to its end. The error wraps ErrDamaged when
// the bytes are at fault, otherwise it is that of r.
func Decode(r io.Reader) (velerov1.Backup, error) {
	raw, err := io.ReadAll(jsonbound.NewReader(r, metadataLimits))
	if errors.Is(err, jsonbound.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return velerov1.Backup{}, err
	}
	return decode(raw)
}

func decode(raw []byte) (velerov1.Backup, error) {
	var b velerov1.Backup
	if err := json.Unmarshal(raw, &b); err != nil {
		return velerov1.Backup{}, fmt.Errorf("%w: decode JSON: %w", ErrDamaged, jsonbound.Short(err))
	}
	return b, nil
}

// Check returns an error that wraps ErrDamaged when what was decoded is not the
// backup of that name.
func Check(b velerov1.Backup, name string) error {
	if b.Kind != "Backup" || b.APIVersion != velerov1.APIVersion || b.Name != name {
		return fmt.Errorf("%w: it holds %.80s %.80s %.80q", ErrDamaged, b.APIVersion, b.Kind, b.Name)
	}
	return nil
}

// ReadManifest reads a backup's manifest. The error wraps store.ErrNotFound when
// it has none, as backups made by Velero.
func ReadManifest(ctx context.Context, s store.Store, name string) (manifest.Manifest, error) {
	r, err := s.Get(ctx, store.Manifest(name))
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("read the manifest of %s: %w", name, err)
	}
	defer r.Close()
	m, err := manifest.Decode(r)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("read the manifest of %s: %w", name, err)
	}
	if m.Backup != name {
		return manifest.Manifest{}, fmt.Errorf("the manifest of %s is for backup %q", name, m.Backup)
	}
	return m, nil
}
