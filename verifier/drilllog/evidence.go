package drilllog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// maxEvidenceValues is how many values of JSON a report may hold: some MiB of
// "{}," would need gigabytes of memory.
const maxEvidenceValues = 1 << 20

// ErrNoEvidence means that a location has no evidence of a drill.
var ErrNoEvidence = errors.New("no such evidence")

// Ref names the evidence of one drill.
type Ref struct{ Backup, Drill string }

// Key is the key of the evidence as JSON.
func (r Ref) Key() string { return store.Evidence(r.Backup, r.Drill) }

// Valid reports whether there can be such evidence.
func (r Ref) Valid() bool {
	return store.CheckName(r.Backup) == nil && r.Drill != "" && !strings.Contains(r.Drill, "/") && store.CheckKey(r.Key()) == nil
}

// Evidence lists the evidence in a location, of one backup or of all (""), by
// backup and drill. Callers limit how many they accept.
func Evidence(ctx context.Context, s store.Store, backup string) iter.Seq2[ListedEvidence, error] {
	prefix := store.DrillsPrefix
	if backup != "" {
		prefix += backup + "/"
	}
	return func(yield func(ListedEvidence, error) bool) {
		for info, err := range s.List(ctx, prefix, true) {
			if err != nil {
				yield(ListedEvidence{}, fmt.Errorf("list evidence in %s: %w", s, err))
				return
			}
			b, d, ok := store.SplitEvidence(info.Key)
			if ok && !yield(ListedEvidence{Ref{b, d}, info}, nil) {
				return
			}
		}
	}
}

// ListedEvidence is the evidence of one drill as a listing shows it.
type ListedEvidence struct {
	Ref
	Info store.Info
}

// ReadEvidence reads the evidence of one drill. The error wraps ErrNoEvidence if
// there is none, and ErrMalformed if its content cannot be used.
func ReadEvidence(ctx context.Context, s store.Store, ref Ref) (report.Report, error) {
	key := ref.Key()
	r, err := s.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return report.Report{}, fmt.Errorf("%w: %s in %s: %w", ErrNoEvidence, key, s, err)
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("read evidence %s: %w", key, err)
	}
	defer r.Close()
	raw, err := io.ReadAll(jsonbound.NewReader(r, jsonbound.Limits{Bytes: report.MaxSize, Values: maxEvidenceValues}))
	if err != nil && !errors.Is(err, jsonbound.ErrTooLarge) {
		return report.Report{}, fmt.Errorf("read evidence %s: %w", key, err)
	}
	if err != nil {
		return report.Report{}, malformed(key, err)
	}
	rep, err := decode(raw, ref)
	if err != nil {
		return report.Report{}, malformed(key, err)
	}
	return rep, nil
}

func decode(raw []byte, ref Ref) (report.Report, error) {
	rep, err := report.Decode(bytes.NewReader(raw))
	switch {
	case err != nil:
		return rep, err
	case rep.Backup.Name != ref.Backup || rep.ID != ref.Drill:
		return rep, fmt.Errorf("it names drill %.80q of backup %.80q", rep.ID, rep.Backup.Name)
	}
	return rep, rep.Sound()
}
