package drilllog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// maxEvidenceValues is how many values of JSON a report may hold: some MiB of
// "{}," would need gigabytes of memory.
const maxEvidenceValues = 400_000

// largestElement is the size in bytes of the largest struct of which a report has a
// list, report.Check, and of those of a record.
const largestElement = 96

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
// it does not exist, and ErrMalformed if its content cannot be used.
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
	var rep report.Report
	var bad error
	err = jsonbound.Memory.Decode(ctx, r, jsonbound.Limits{Bytes: report.MaxSize, Values: maxEvidenceValues}, largestElement, func(raw []byte) error {
		rep, bad = decode(raw, ref)
		return nil
	})
	switch {
	case errors.Is(err, jsonbound.ErrTooLarge):
		return report.Report{}, malformed(key, err)
	case err != nil:
		return report.Report{}, fmt.Errorf("read evidence %s: %w", key, err)
	case bad != nil:
		return report.Report{}, malformed(key, bad)
	}
	return rep, nil
}

func decode(raw []byte, ref Ref) (report.Report, error) {
	rep, err := report.Unmarshal(raw)
	switch {
	case err != nil:
		return rep, err
	case rep.Backup.Name != ref.Backup || rep.ID != ref.Drill:
		return rep, fmt.Errorf("it names drill %.80q of backup %.80q", rep.ID, rep.Backup.Name)
	}
	return rep, rep.Sound()
}
