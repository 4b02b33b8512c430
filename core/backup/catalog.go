package backup

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

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Bounds on velero-backup.json, in bytes and in values of JSON. Velero's are of
// a few kB; etcd refuses a Backup over 1.5 MiB.
const (
	maxMetadata       = 10 << 20
	maxMetadataValues = 200_000
)

// readers is how many velero-backup.json are read at once by List.
const readers = 32

// ErrNoBackup says that the location holds no backup of that name.
var ErrNoBackup = errors.New("no such backup")

// ErrDamaged says that a velero-backup.json makes no sense; reading it again will
// not change that.
var ErrDamaged = errors.New("damaged")

// Listed is one folder below backups/.
type Listed struct {
	Name   string
	Backup velerov1.Backup
	// MetadataSHA256 is that of velero-backup.json, hex: it tells backups apart
	// that had a name one after another.
	MetadataSHA256 string
	// Err says why the folder is no backup: velero-backup.json is missing
	// (wraps store.ErrNotFound) or cannot be read.
	Err error
}

// Started is when the backup began, the zero time when that is not known.
func (l Listed) Started() time.Time {
	if t := l.Backup.Status.StartTimestamp; t != nil {
		return t.Time
	}
	return l.Backup.CreationTimestamp.Time
}

// List reads all backups of a location, newest first. Folders that are no
// backup are listed with the reason. It makes one List, and one Get per backup,
// several at once: a backup's phase and times stand nowhere else.
func List(ctx context.Context, s store.Store) ([]Listed, error) {
	names, err := folders(ctx, s)
	if err != nil {
		return nil, err
	}
	out := make([]Listed, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, name := range names {
		g.Go(func() error {
			out[i].Name = name
			out[i].Backup, out[i].MetadataSHA256, out[i].Err = read(ctx, s, name)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b Listed) int { return b.Started().Compare(a.Started()) })
	return out, nil
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

// Read reads one backup's velero-backup.json. The error wraps ErrNoBackup when
// there is no such backup.
func Read(ctx context.Context, s store.Store, name string) (velerov1.Backup, error) {
	b, _, err := read(ctx, s, name)
	return b, err
}

// read is Read, and the SHA-256 of what was read.
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
	raw, err := io.ReadAll(jsonbound.NewReader(r, jsonbound.Limits{Bytes: maxMetadata, Values: maxMetadataValues}))
	if errors.Is(err, jsonbound.ErrTooLarge) {
		return none, "", fmt.Errorf("read backup %s: %s is %w: %w", name, store.MetadataFile, ErrDamaged, err)
	}
	if err != nil {
		return none, "", fmt.Errorf("read backup %s: %s: %w", name, store.MetadataFile, err)
	}
	digest := sha256.Sum256(raw)
	b, err = decodeBackup(name, raw)
	return b, hex.EncodeToString(digest[:]), err
}

// decodeBackup decodes the velero-backup.json in the folder of that name.
func decodeBackup(name string, raw []byte) (velerov1.Backup, error) {
	var none, b velerov1.Backup
	if err := json.Unmarshal(raw, &b); err != nil {
		return none, fmt.Errorf("read backup %s: %s is %w: %w", name, store.MetadataFile, ErrDamaged, err)
	}
	if b.Kind != "Backup" || b.APIVersion != velerov1.APIVersion || b.Name != name {
		return none, fmt.Errorf("read backup %s: %s is %w: it holds %s %s %q", name, store.MetadataFile, ErrDamaged, b.APIVersion, b.Kind, b.Name)
	}
	return b, nil
}

// ReadManifest reads a backup's manifest; an error that wraps
// store.ErrNotFound says that it has none, as backups made by Velero have
// none.
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
		return manifest.Manifest{}, fmt.Errorf("the manifest of %s is that of backup %q", name, m.Backup)
	}
	return m, nil
}

// Bounds on the list of items, decompressed, in bytes and in values of JSON: a
// million items, as an archive may hold, have 60 MB.
const (
	maxResourceList       = 256 << 20
	maxResourceListValues = 1_500_000
)

// Items lists the items of a backup as "apiVersion/Kind namespace/name", in
// order: from its manifest or, for a backup made by Velero (the zero
// manifest), from its resource list.
func Items(ctx context.Context, s store.Store, name string, m manifest.Manifest) ([]string, error) {
	var out []string
	for _, it := range m.Items {
		i := item.Item{Key: it.Key, Version: it.Version}
		out = append(out, i.APIVersion()+"/"+it.Kind+" "+strings.TrimPrefix(it.Namespace+"/"+it.Name, "/"))
	}
	if m.Schema != "" {
		slices.Sort(out)
		return out, nil
	}
	r, err := s.Get(ctx, store.ResourceList(name))
	if err != nil {
		return nil, fmt.Errorf("read the resource list of %s: %w", name, err)
	}
	defer r.Close()
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("read the resource list of %s: %w", name, err)
	}
	var kinds map[string][]string
	if err := json.NewDecoder(jsonbound.NewReader(z, jsonbound.Limits{Bytes: maxResourceList, Values: maxResourceListValues})).Decode(&kinds); err != nil {
		return nil, fmt.Errorf("read the resource list of %s: %w", name, err)
	}
	for kind, names := range kinds {
		for _, n := range names {
			out = append(out, kind+" "+n)
		}
	}
	slices.Sort(out)
	return out, nil
}
