package check

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/catalog"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// maxBad bounds the faulty entries of the tarball that are kept, and maxBadPath
// what is kept of the path of each.
const (
	maxBad     = 10 * MaxFindings
	maxBadPath = 8 << 10
)

// maxFiles bounds the objects below a backup's folder: Velero writes a dozen.
const maxFiles = report.MaxFiles

// Gather reads a backup from a location: each file once, as a stream, with its
// SHA-256 taken on the way. Memory grows with the index of items alone.
//
// A file the store cannot deliver is an Unreadable of the Input, not an error
// here; neither is a tarball that the identities cannot decrypt. Errors are: catalog.ErrNoBackup, a name that cannot be a backup's, a listing
// that fails, and the end of ctx.
func Gather(ctx context.Context, s store.Store, backup string, o IntegrityOptions) (Input, error) {
	if err := store.CheckName(backup); err != nil {
		return Input{}, err
	}
	listed, err := list(ctx, s, backup)
	if err != nil {
		return Input{}, err
	}
	if len(listed) == 0 {
		return Input{}, fmt.Errorf("backup %s in %s: %w", backup, s, catalog.ErrNoBackup)
	}
	g := gatherer{store: s, limits: o.Limits, identities: o.Identities, in: Input{Backup: backup, Files: map[string]File{}}}
	for _, info := range listed {
		name := strings.TrimPrefix(info.Key, store.BackupPrefix(backup))
		f := g.file(ctx, name)
		f.Listed = info
		g.in.Files[name] = f
		if err := ctx.Err(); err != nil {
			return Input{}, fmt.Errorf("read backup %s: %w", backup, err)
		}
	}
	g.encryption()
	if g.in.unusable(g.in.names()) == "" { // of a damaged backup nothing is restored
		g.in.Volumes, err = gatherVolumes(ctx, s, volume.DataOf(g.in.VolumeInfos, g.in.PodVolumeBackups), o.Volumes)
		if err != nil {
			return Input{}, fmt.Errorf("read the volumes of backup %s: %w", backup, err)
		}
	}
	return g.in, nil
}

// encryption decides what depends on several files.
func (g *gatherer) encryption() {
	in := &g.in
	sealed := in.has(store.SealedContents) && !in.has(store.Contents)
	if in.Metadata != nil {
		sealed = in.Metadata.Annotations[api.AnnotationEncryption] != ""
	}
	in.Encrypted = sealed
	if in.Manifest != nil {
		in.DigestKey.Key, in.DigestKey.Err = catalog.DigestKey(*in.Manifest, g.identities)
	}
}

func list(ctx context.Context, s store.Store, backup string) ([]store.Info, error) {
	var files []store.Info
	for info, err := range s.List(ctx, store.BackupPrefix(backup), true) {
		if err != nil {
			return nil, fmt.Errorf("list backup %s in %s: %w", backup, s, err)
		}
		if len(files) == maxFiles {
			return nil, fmt.Errorf("list backup %s in %s: more than %d files", backup, s, maxFiles)
		}
		files = append(files, info)
	}
	return files, nil
}

type gatherer struct {
	store      store.Store
	limits     archive.Limits
	identities seal.Identities
	in         Input
}

func (g *gatherer) file(ctx context.Context, name string) File {
	r, err := g.store.Get(ctx, g.in.objectKey(name))
	if err != nil {
		return File{Unreadable: err}
	}
	defer r.Close()
	in := &source{r: r, sum: sha256.New()}
	fault := g.consume(name, in)
	io.Copy(io.Discard, in) //nolint:errcheck // in keeps the error
	if in.err != nil {
		return File{Unreadable: in.err}
	}
	f := File{Size: in.size, SHA256: hex.EncodeToString(in.sum.Sum(nil)), Fault: fault}
	if errors.Is(fault, seal.ErrNoIdentity) || errors.Is(fault, seal.ErrWrongIdentity) {
		f.Fault, f.Undecrypted = nil, fault
	}
	return f
}

// consume reads what a file holds into the Input; the error says what is wrong
// with the file, unless the source has one of its own.
func (g *gatherer) consume(name string, r io.Reader) error {
	in := &g.in
	switch name {
	case store.MetadataFile:
		b, err := catalog.Decode(r)
		if err != nil {
			return err
		}
		in.Metadata = &b
		return nil
	case in.fileName(store.Manifest):
		var m manifest.Manifest
		if err := decodeGzip(r, jsonbound.Limits{Bytes: manifest.MaxSize, Values: manifest.MaxValues}, &m); err != nil {
			return err
		}
		in.Manifest = &m
		return nil
	case in.fileName(store.Contents):
		return g.archive(r)
	case in.fileName(store.SealedContents):
		plain, err := g.identities.Decrypt(r)
		if err != nil {
			return err
		}
		return g.archive(plain)
	case in.fileName(store.ResourceList):
		return decodeGzip(r, companion(), &in.ResourceList)
	case in.fileName(store.VolumeInfo):
		return decodeGzip(r, jsonbound.Limits{Bytes: volume.MaxRecordsSize, Values: volume.MaxRecordsValues}, &in.VolumeInfos)
	case in.fileName(store.VolumeSnapshots):
		return decodeGzip(r, companion(), &in.Snapshots)
	case in.fileName(store.PodVolumeBackups):
		return decodeGzip(r, companion(), &in.PodVolumeBackups)
	case in.fileName(store.ItemOperations):
		return decodeGzip(r, companion(), &in.Operations)
	case in.fileName(store.Results):
		return decodeGzip(r, companion(), &in.Results)
	}
	switch {
	case strings.HasSuffix(name, ".json.gz"):
		var any json.RawMessage
		return decodeGzip(r, companion(), &any)
	case strings.HasSuffix(name, ".gz"):
		return readGzip(r, maxLog)
	}
	return nil
}

func (g *gatherer) archive(in io.Reader) error {
	a := &g.in.Archive
	*a = Archive{Claims: map[string]item.Key{}}
	r := archive.NewReader(in, g.limits)
	r.OnBad = func(entry string, err error) error {
		a.addBad(entry, err)
		return nil
	}
	r.OnVersion = func(it item.Item) { a.Versions = append(a.Versions, digested(it)) }
	for it, err := range r.Items() {
		if err != nil {
			a.Stats = r.Stats()
			return err
		}
		a.Items = append(a.Items, digested(it))
		if it.Key.Group == "" && it.Key.Resource == "persistentvolumes" {
			if err := a.addClaim(it); err != nil {
				a.addBad(archive.ItemPath(it.Key), err)
			}
		}
	}
	a.Stats = r.Stats()
	return nil
}

func digested(it item.Item) Item {
	return Item{Key: it.Key, Version: it.Version, Kind: it.Kind, Size: int64(len(it.Raw)), SHA256: sha256.Sum256(it.Raw)}
}

func (a *Archive) addBad(entry string, err error) {
	if a.BadCount++; len(a.Bad) < maxBad {
		a.Bad = append(a.Bad, &archive.EntryError{Entry: strings.Clone(entry[:min(len(entry), maxBadPath)]), Err: err})
	}
}

func (a *Archive) addClaim(it item.Item) error {
	u, err := it.Object()
	if err != nil {
		return err
	}
	name, _, err1 := unstructured.NestedString(u.Object, "spec", "claimRef", "name")
	namespace, _, err2 := unstructured.NestedString(u.Object, "spec", "claimRef", "namespace")
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%w: %w", archive.ErrBadJSON, err)
	}
	if name != "" {
		a.Claims[it.Key.Name] = item.Key{Resource: "persistentvolumeclaims", Namespace: namespace, Name: name}
	}
	return nil
}

// source hashes and counts a file as it is read and keeps the store's errors
// apart from what is wrong with the bytes.
type source struct {
	r    io.Reader
	sum  hash.Hash
	size int64
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	s.size += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
