// Package kopia reads the data of volumes from kopia repositories, as Velero writes
// them (Velero v1.18.1, kopia v0.22.3). No other package imports kopia.
//
// A repository is a folder kopia/<namespace>/ of a location. It is read through
// store.Store: there is no second client of S3, and nothing secret is written to disk.
package kopia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/format"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// StaticPassword is the password of a repository that Velero created when no other
// was set (Velero v1.18.1, pkg/repository/keys). It protects nothing.
const StaticPassword = "static-passw0rd"

var (
	// ErrNoRepository is returned if a location has no repository of a namespace, or
	// one whose creation was not finished.
	ErrNoRepository = errors.New("no repository")
	// ErrPassword is returned if the password is not that of the repository.
	ErrPassword = errors.New("the password is not that of the repository")
	// ErrNoSnapshot is returned if a repository has no snapshot of an id.
	ErrNoSnapshot = errors.New("no such snapshot in the repository")
	// ErrIncomplete is returned for a snapshot whose writing was not finished.
	ErrIncomplete = errors.New("the snapshot is incomplete")
)

// Repository is an open repository. It is for reading, and can be used by several
// goroutines.
type Repository struct {
	repo    repo.DirectRepository
	storage *storage
	// namespace is that of the volumes in it.
	namespace string

	list   sync.Once
	sizes  map[blob.ID]int64 // of packs
	listed error
}

// Open opens the repository of the volumes of a namespace.
func Open(ctx context.Context, s store.Store, namespace, password string) (*Repository, error) {
	from := &storage{store: s, prefix: store.KopiaPrefix(namespace)}
	r, err := open(ctx, from, password)
	switch {
	case err == nil:
		return &Repository{repo: r, storage: from, namespace: namespace}, nil
	case from.failure() != nil:
		err = fmt.Errorf("%w: %w", ErrUnreachable, from.failure())
	case errors.Is(err, blob.ErrBlobNotFound), errors.Is(err, repo.ErrRepositoryNotInitialized):
		err = ErrNoRepository
	case errors.Is(err, repo.ErrInvalidPassword):
		err = ErrPassword
	}
	return nil, fmt.Errorf("open repository %s of %s: %w", store.KopiaPrefix(namespace), s, err)
}

func open(ctx context.Context, s *storage, password string) (opened repo.DirectRepository, err error) {
	defer recovered(&err)
	if err := existing(ctx, s); err != nil {
		return nil, err
	}
	config, release, err := configuration(s)
	if err != nil {
		return nil, err
	}
	defer release()
	r, err := repo.Open(ctx, config, password, &repo.Options{
		DisableRepositoryLog: true, // it would write
		DoNotWaitForUpgrade:  true, // it would wait without a limit
		OnFatalError:         func(error) {},
	})
	if err != nil {
		return nil, err
	}
	direct, ok := r.(repo.DirectRepository)
	if !ok {
		return nil, errors.Join(errors.New("not a repository in a location"), r.Close(ctx))
	}
	return direct, nil
}

// existing fails if there is no repository. kopia itself answers a missing file with
// several errors.
func existing(ctx context.Context, s *storage) error {
	_, err := s.GetMetadata(ctx, format.KopiaRepositoryBlobID)
	if err != nil && !errors.Is(err, blob.ErrBlobNotFound) && !errors.Is(err, store.ErrInvalidKey) {
		return s.fail(err)
	}
	return err
}

// configuration is the path of the configuration that kopia opens a repository from,
// until release is called. It holds no secret.
func configuration(s *storage) (path string, release func(), err error) {
	options, forget := handle(s)
	raw, err := json.Marshal(repo.LocalConfig{
		Storage: &blob.ConnectionInfo{Type: storageType, Config: options},
		// Velero's user and host. ReadOnly makes kopia refuse to write.
		ClientOptions: repo.ClientOptions{Hostname: "default", Username: "default", ReadOnly: true},
	})
	remove := func() {}
	if err == nil {
		path, remove, err = temporary(raw)
	}
	if err != nil {
		forget()
		return "", nil, fmt.Errorf("write kopia's configuration: %w", err)
	}
	return path, func() { forget(); remove() }, nil
}

// temporary makes a file that can be opened by a path. It is a pipe where the system
// has /dev/fd, so that a process that is killed leaves nothing.
func temporary(content []byte) (path string, remove func(), err error) {
	if path, remove, err = piped(content); err == nil {
		return path, remove, nil
	}
	dir, err := os.MkdirTemp("", "lifeboat-kopia-")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "repository.config")
	return path, func() { _ = os.RemoveAll(dir) }, os.WriteFile(path, content, 0o600)
}

// piped puts content, which is smaller than the buffer of a pipe, into a pipe.
func piped(content []byte) (path string, remove func(), err error) {
	out, in, err := os.Pipe()
	if err != nil {
		return "", nil, err
	}
	path = fmt.Sprintf("/dev/fd/%d", out.Fd())
	_, err = os.Stat(path)
	if err == nil {
		_, err = in.Write(content)
	}
	if err = errors.Join(err, in.Close()); err != nil {
		_ = out.Close()
		return "", nil, err
	}
	return path, func() { _ = out.Close() }, nil
}

// Close gives the repository back.
func (r *Repository) Close(ctx context.Context) error { return r.repo.Close(ctx) }

// Snapshot is one volume at one time.
type Snapshot struct {
	ID string
	// Source is what was saved, as kopia names it: snapshot-pod-volume/kopia/…
	Source string
	// Root is the directory of the volume. Its name is not part of any path.
	Root Entry
	// Files and Bytes are what the snapshot records about itself.
	Files, Bytes int64
}

// Snapshot reads the description of a snapshot by the id that a PodVolumeBackup or a
// DataUpload records. A snapshot that is incomplete is ErrIncomplete.
func (r *Repository) Snapshot(ctx context.Context, id string) (_ *Snapshot, err error) {
	defer recovered(&err)
	defer func() {
		if err != nil {
			err = fmt.Errorf("snapshot %s in repository %s: %w", id, store.KopiaPrefix(r.namespace), err)
		}
	}()
	m, err := snapshot.LoadSnapshot(ctx, r.repo, manifest.ID(id))
	switch {
	case errors.Is(err, manifest.ErrNotFound), errors.Is(err, snapshot.ErrSnapshotNotFound):
		return nil, ErrNoSnapshot
	case err != nil:
		return nil, err
	case m.IncompleteReason != "":
		return nil, fmt.Errorf("%w: %s", ErrIncomplete, m.IncompleteReason)
	case m.RootEntry == nil:
		return nil, fmt.Errorf("%w: it has no root", ErrIncomplete)
	}
	// The name of the root is that of the mount, and no part of a path.
	out := &Snapshot{ID: id, Source: strings.TrimPrefix(m.Source.Path, "/"), Root: newEntry(m.RootEntry)}
	if sum := m.RootEntry.DirSummary; sum != nil {
		out.Files, out.Bytes = sum.TotalFileCount, sum.TotalFileSize
	}
	return out, nil
}

// recovered turns a panic of kopia's, which a damaged repository may cause, into an
// error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the repository cannot be read: %v", p)
	}
}
