// Package evidence keeps the reports of drills in a location: it writes each
// once, finds and reads them, and says which a policy need not keep.
//
// What lies in a location is not trusted: reads are bounded, and a report that
// makes no sense is named and stops none of the others.
package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// maxValues is how many values of JSON a report may hold: a location is not to
// make its reader take gigabytes by some MiB of "{},".
const maxValues = 1 << 20

// ErrNone says that there is no such evidence.
var ErrNone = errors.New("no such evidence")

// Ref names the evidence of one drill.
type Ref struct{ Backup, Drill string }

// Write writes a report in its three forms. The JSON goes last: readers take a
// drill for done when it is there, and whoever sees it may open the others.
func Write(ctx context.Context, s store.Store, r report.Report) error {
	page, err := r.HTML()
	if err != nil {
		return err
	}
	junit, err := r.JUnit()
	if err != nil {
		return err
	}
	raw, err := r.Encode()
	if err != nil {
		return err
	}
	for _, form := range []struct {
		key     string
		content []byte
	}{
		{store.EvidencePage(r.Backup.Name, r.ID), page},
		{store.EvidenceJUnit(r.Backup.Name, r.ID), junit},
		{store.Evidence(r.Backup.Name, r.ID), raw},
	} {
		if err := s.Put(ctx, form.key, bytes.NewReader(form.content)); err != nil {
			return fmt.Errorf("write evidence to %s (is the location writable?): %w", form.key, err)
		}
	}
	return nil
}

// Refs lists the evidence there is, of one backup or of all (""), ordered by
// backup and drill.
func Refs(ctx context.Context, s store.Store, backup string) ([]Ref, error) {
	prefix := store.DrillsPrefix
	if backup != "" {
		prefix += backup + "/"
	}
	var out []Ref
	for info, err := range s.List(ctx, prefix, true) {
		if err != nil {
			return nil, fmt.Errorf("list evidence in %s: %w", s, err)
		}
		if b, d, ok := store.SplitEvidence(info.Key); ok {
			out = append(out, Ref{b, d})
		}
	}
	return out, nil
}

// Read reads the evidence of one drill; ErrNone if there is none.
func Read(ctx context.Context, s store.Store, ref Ref) (report.Report, error) {
	key := store.Evidence(ref.Backup, ref.Drill)
	r, err := s.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return report.Report{}, fmt.Errorf("%w: %s in %s (lifeboat-verifier report list shows what there is): %w", ErrNone, key, s, err)
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("read evidence %s: %w", key, err)
	}
	defer r.Close()
	rep, err := decode(r, ref)
	if err != nil {
		return report.Report{}, fmt.Errorf("read evidence %s: %w", key, err)
	}
	return rep, nil
}

func decode(r io.Reader, ref Ref) (report.Report, error) {
	rep, err := report.Decode(jsonbound.NewReader(r, jsonbound.Limits{Bytes: report.MaxSize, Values: maxValues}))
	switch {
	case err != nil:
		return rep, err
	case rep.Backup.Name != ref.Backup || rep.ID != ref.Drill:
		return rep, fmt.Errorf("it says it is drill %.80q of backup %.80q", rep.ID, rep.Backup.Name)
	case rep.Verdict != report.Passed && rep.Verdict != report.Failed && rep.Verdict != report.Error:
		return rep, fmt.Errorf("unknown verdict %.80q", rep.Verdict)
	case rep.Started.IsZero() || rep.Finished.IsZero():
		return rep, errors.New("it does not say when the drill ran")
	}
	return rep, nil
}

// Delete removes the evidence of one drill. The JSON goes last, so that a drill
// is deleted whole by whoever tries again.
func Delete(ctx context.Context, s store.Store, ref Ref) error {
	for _, key := range []string{
		store.EvidencePage(ref.Backup, ref.Drill), store.EvidenceJUnit(ref.Backup, ref.Drill), store.Evidence(ref.Backup, ref.Drill),
	} {
		if err := s.Delete(ctx, key); err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("delete evidence %s: %w", key, err)
		}
	}
	return nil
}
