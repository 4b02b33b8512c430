package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// abortTimeout bounds Writer.Abort, which runs when the caller's own context
// may be over.
const abortTimeout = time.Minute

// Writer writes the files of one backup in the order that makes it safe to
// stop anywhere: everything else first, velero-backup.json last. Until that
// one is there, no reader takes the folder for a backup.
//
// Put may be called concurrently; Commit and Abort are called when no Put is
// running and end the writing.
type Writer struct {
	store  Store
	backup string

	mu     sync.Mutex
	files  map[string]written // by key: what Abort has to remove
	failed map[string]bool    // keys whose last Put failed: such a backup is not complete
	ended  bool
}

// written is what Put learnt about one file. When its Put failed after all bytes
// were handed over, the store may hold it nevertheless.
type written struct {
	size   int64
	sha256 string
	unsure bool
}

// Begin starts writing a backup. It writes nothing. The error wraps ErrExists
// when anything of that name is in the location already, be it a backup or
// what an interrupted one left behind.
func Begin(ctx context.Context, s Store, backup string) (*Writer, error) {
	if err := CheckName(backup); err != nil {
		return nil, fmt.Errorf("begin backup: %w", err)
	}
	for info, err := range s.List(ctx, BackupPrefix(backup), true) {
		if err != nil {
			return nil, fmt.Errorf("begin backup %s: %w", backup, err)
		}
		return nil, alreadyThere(ctx, s, backup, info.Key)
	}
	return &Writer{store: s, backup: backup, files: map[string]written{}, failed: map[string]bool{}}, nil
}

func alreadyThere(ctx context.Context, s Store, backup, found string) error {
	committed, err := Committed(ctx, s, backup)
	switch {
	case err != nil:
		return err
	case committed:
		return fmt.Errorf("backup %s in %s %w: choose another name, or delete that backup first", backup, s, ErrExists)
	}
	return fmt.Errorf("part of a backup %s (%s) in %s %w; it was interrupted or is still being written: choose another name, or delete it first",
		backup, found, s, ErrExists)
}

// Put streams one file and returns its size in bytes and its SHA-256 in hex,
// computed on the way. The key must be one of the backup's folder, as
// layout.go makes them, and not the commit marker's.
func (w *Writer) Put(ctx context.Context, key string, r io.Reader) (size int64, sha256hex string, err error) {
	if err := w.checkKey(key); err != nil {
		return 0, "", err
	}
	f, err := w.put(ctx, key, r)
	if err != nil {
		return 0, "", err
	}
	return f.size, f.sha256, nil
}

// Commit writes velero-backup.json; after a nil return the backup exists, and
// Abort does nothing. It refuses when the last Put of any key failed, because
// such a backup would not be complete.
//
// After an error the marker may have been written all the same (an answer got
// lost); Abort finds out and removes it.
func (w *Writer) Commit(ctx context.Context, metadata []byte) error {
	if missing := w.missing(); len(missing) > 0 {
		return fmt.Errorf("commit backup %s: these files were not written: %s", w.backup, strings.Join(missing, ", "))
	}
	if w.isEnded() {
		return fmt.Errorf("commit backup %s: its writing has ended", w.backup)
	}
	if _, err := w.put(ctx, Metadata(w.backup), bytes.NewReader(metadata)); err != nil {
		return fmt.Errorf("commit backup %s: %w", w.backup, err)
	}
	w.end()
	return nil
}

// Abort removes what was written, the commit marker first, so that a backup
// half removed is never believed. It removes nothing this Writer did not
// write. It has its own time limit of one minute and works when ctx is over.
// It is best effort: an error says what may have stayed behind, which no
// reader takes for a backup unless the error says so.
func (w *Writer) Abort(ctx context.Context) error {
	if w.isEnded() {
		return nil
	}
	w.end()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()

	marker := Metadata(w.backup)
	if f, there := w.files[marker]; there {
		if err := w.remove(ctx, marker, f); err != nil {
			return fmt.Errorf("abort backup %s: it may have been committed, so its files were left in place: %w", w.backup, err)
		}
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(w.files)) {
		if key == marker {
			continue
		}
		if err := w.remove(ctx, key, w.files[key]); err != nil {
			errs = append(errs, fmt.Errorf("abort backup %s: %w", w.backup, err))
		}
	}
	return errors.Join(errs...)
}

// put writes one file and keeps what Abort and Commit need to know of it.
func (w *Writer) put(ctx context.Context, key string, r io.Reader) (written, error) {
	d := &digester{r: r, hash: sha256.New()}
	err := w.store.Put(ctx, key, d)
	if err == nil && !d.ended {
		err = fmt.Errorf("put %s: the store stopped reading after %d bytes", key, d.size)
	}
	f := written{size: d.size, sha256: hex.EncodeToString(d.hash.Sum(nil)), unsure: err != nil}

	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.files[key] = f
		delete(w.failed, key)
	default:
		w.failed[key] = true
		// A store publishes nothing before it has seen the end of r, and
		// with ErrExists what is there was written by another.
		if _, ours := w.files[key]; !ours && d.ended && !errors.Is(err, ErrExists) {
			w.files[key] = f
		}
	}
	return f, err
}

// remove deletes one file. One whose Put failed is deleted only if what is
// there has our bytes: another writer of the same name may have put its own.
func (w *Writer) remove(ctx context.Context, key string, f written) error {
	if f.unsure {
		ours, err := holds(ctx, w.store, key, f)
		if err != nil || !ours {
			return err
		}
	}
	if err := w.store.Delete(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// holds reports whether the store has an object under key with the bytes of f.
func holds(ctx context.Context, s Store, key string, f written) (bool, error) {
	r, err := s.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	h := sha256.New()
	// One byte more than ours is enough to know that it is another's.
	n, err := io.Copy(h, io.LimitReader(r, f.size+1))
	if err != nil {
		return false, fmt.Errorf("read %s: %w", key, err)
	}
	return n == f.size && hex.EncodeToString(h.Sum(nil)) == f.sha256, nil
}

func (w *Writer) checkKey(key string) error {
	switch {
	case CheckKey(key) != nil:
		return fmt.Errorf("put: %w", CheckKey(key))
	case !strings.HasPrefix(key, BackupPrefix(w.backup)):
		return fmt.Errorf("put %s: %w: it lies outside of the folder of backup %s", key, ErrInvalidKey, w.backup)
	case key == Metadata(w.backup):
		return fmt.Errorf("put %s: %w: the commit marker is written by Commit", key, ErrInvalidKey)
	case w.isEnded():
		return fmt.Errorf("put %s: the writing of backup %s has ended", key, w.backup)
	}
	return nil
}

func (w *Writer) isEnded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

func (w *Writer) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
}

func (w *Writer) missing() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.failed))
}

// Committed reports whether a backup of that name exists in the location: its
// commit marker is there. It reads no object.
func Committed(ctx context.Context, s Store, backup string) (bool, error) {
	if err := CheckName(backup); err != nil {
		return false, err
	}
	return exists(ctx, s, Metadata(backup))
}

func exists(ctx context.Context, s Store, key string) (bool, error) {
	for info, err := range s.List(ctx, key, true) {
		if err != nil {
			return false, fmt.Errorf("look for %s: %w", key, err)
		}
		return info.Key == key, nil // a longer key sorts behind
	}
	return false, nil
}

// DeleteBackup removes a backup: its commit marker first, so that what an
// interruption leaves is no backup, then everything else in its folder. It
// works on such a rest too. It returns how many objects it deleted, also with
// an error; 0 and nil say that nothing of that name was there.
func DeleteBackup(ctx context.Context, s Store, backup string) (deleted int, err error) {
	if err := CheckName(backup); err != nil {
		return 0, fmt.Errorf("delete backup: %w", err)
	}
	committed, err := Committed(ctx, s, backup)
	if err != nil {
		return 0, fmt.Errorf("delete backup %s: %w", backup, err)
	}
	if committed {
		n, err := deleteOne(ctx, s, Metadata(backup))
		deleted += n
		if err != nil {
			// After a lost answer it may be gone; whether, the next run sees.
			return deleted, fmt.Errorf("delete backup %s: its commit marker could not be deleted, so nothing else was: %w", backup, err)
		}
	}
	for info, err := range s.List(ctx, BackupPrefix(backup), true) {
		n := 0
		if err == nil {
			n, err = deleteOne(ctx, s, info.Key)
		}
		deleted += n
		if err != nil {
			return deleted, fmt.Errorf("delete backup %s: %d files deleted, the rest is no longer a backup; run it again: %w", backup, deleted, err)
		}
	}
	return deleted, nil
}

// deleteOne counts an object that someone else deleted first as none.
func deleteOne(ctx context.Context, s Store, key string) (int, error) {
	switch err := s.Delete(ctx, key); {
	case errors.Is(err, ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return 1, nil
}

// digester hashes and counts what is read through it.
type digester struct {
	r     io.Reader
	hash  hash.Hash
	size  int64
	ended bool // r was read to its end
}

func (d *digester) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.hash.Write(p[:n])
	d.size += int64(n)
	d.ended = d.ended || err == io.EOF
	return n, err
}
