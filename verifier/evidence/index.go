package evidence

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Record is what a list shows of a drill.
type Record struct {
	Backup         string         `json:"backup"`
	Drill          string         `json:"drill"`
	Schedule       string         `json:"schedule,omitempty"`
	Policy         string         `json:"policy,omitempty"`
	Level          report.Level   `json:"level"`
	Verdict        report.Verdict `json:"verdict"`
	Summary        string         `json:"summary"`
	Findings       int            `json:"findings"`
	Started        time.Time      `json:"started"`
	Finished       time.Time      `json:"finished"`
	MetadataSHA256 string         `json:"metadataSha256,omitempty"`
	// Files identifies the files that were drilled; zero if the evidence does not
	// have them.
	Files report.Fingerprint `json:"-"`
}

// Ref names the record's evidence.
func (r Record) Ref() drilllog.Ref { return drilllog.Ref{Backup: r.Backup, Drill: r.Drill} }

// Unreadable is evidence that is unreadable or malformed.
type Unreadable struct {
	Ref drilllog.Ref
	Err error
}

// readers is how many reports are read at once.
const readers = 8

// Index lists the evidence of a location. A report is read once in the life of
// an index, because evidence is written once; one that cannot be read is tried
// again each time. The zero value with a Store is ready to use; its methods may
// be called from several goroutines.
type Index struct {
	Store store.Store

	mu    sync.Mutex
	known map[drilllog.Ref]Record
}

// List returns the records of all drills, the newest first, and what could not
// be read, in the order of names.
func (x *Index) List(ctx context.Context) ([]Record, []Unreadable, error) {
	return x.list(ctx, "")
}

// OfBackup is List for the drills of one backup.
func (x *Index) OfBackup(ctx context.Context, backup string) ([]Record, []Unreadable, error) {
	return x.list(ctx, backup)
}

func (x *Index) list(ctx context.Context, backup string) ([]Record, []Unreadable, error) {
	refs, err := refsOf(ctx, x.Store, backup)
	if err != nil {
		return nil, nil, err
	}
	records, bad := make([]*Record, len(refs)), make([]error, len(refs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, ref := range refs {
		if r, ok := x.get(ref); ok {
			records[i] = &r
			continue
		}
		group.Go(func() error {
			rep, err := drilllog.ReadEvidence(ctx, x.Store, ref)
			if err != nil {
				bad[i] = err
				return ctx.Err()
			}
			r := NewRecord(rep)
			records[i] = &r
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	out, unreadable := split(refs, records, bad)
	if backup == "" {
		x.remember(out)
	}
	return out, unreadable, nil
}

func refsOf(ctx context.Context, s store.Store, backup string) ([]drilllog.Ref, error) {
	var out []drilllog.Ref
	for e, err := range drilllog.Evidence(ctx, s, backup) {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Ref)
	}
	return out, nil
}

func (x *Index) get(ref drilllog.Ref) (Record, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r, ok := x.known[ref]
	return r, ok
}

// remember keeps exactly what a whole listing has shown.
func (x *Index) remember(all []Record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.known = make(map[drilllog.Ref]Record, len(all))
	for _, r := range all {
		x.known[r.Ref()] = r
	}
}

func split(refs []drilllog.Ref, records []*Record, bad []error) (out []Record, unreadable []Unreadable) {
	for i, ref := range refs {
		if bad[i] != nil {
			unreadable = append(unreadable, Unreadable{ref, bad[i]})
			continue
		}
		out = append(out, *records[i])
	}
	slices.SortStableFunc(out, func(a, b Record) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(b.Backup, a.Backup), cmp.Compare(b.Drill, a.Drill))
	})
	return out, unreadable
}

// NewRecord is what a list shows of a report.
func NewRecord(r report.Report) Record {
	return Record{
		Backup: r.Backup.Name, Drill: r.ID, Schedule: r.Backup.Schedule, Policy: r.Policy, Level: r.Level, Verdict: r.Verdict,
		Summary: r.Summary, Findings: len(r.Findings), Started: r.Started, Finished: r.Finished, MetadataSHA256: r.Backup.MetadataSHA256,
		Files: report.FingerprintOf(r.Backup.Files),
	}
}
