package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// ListDrills implements ReportLister.
func (l *Location) ListDrills(ctx context.Context) (fact.DrillScan, error) {
	s, err := l.opened(ctx)
	if err != nil {
		return fact.DrillScan{}, err
	}
	evidence, err := l.evidence(ctx, s)
	if err != nil {
		l.release()
		return fact.DrillScan{}, fmt.Errorf("list evidence in %s: %w", s, err)
	}
	err = l.drills.refresh(ctx, evidence, reader[fact.Drill]{readers, func(ctx context.Context, info store.Info) (fact.Drill, error) {
		return l.readDrill(ctx, s, info)
	}, l.noteUnreadable})
	if err != nil {
		return fact.DrillScan{}, fmt.Errorf("read evidence in %s: %w", s, err)
	}
	var scan fact.DrillScan
	for _, info := range evidence {
		d, err := l.drills.get(info.Key)
		if err != nil {
			scan.Unreadable = append(scan.Unreadable, fact.ObjectError{Key: info.Key, Err: err})
			continue
		}
		scan.Drills = append(scan.Drills, d)
	}
	return scan, nil
}

// evidence lists the evidence as JSON, at most maxListed pieces.
func (l *Location) evidence(ctx context.Context, s store.Store) ([]store.Info, error) {
	var out []store.Info
	for e, err := range drilllog.Evidence(ctx, s, "") {
		if err != nil {
			return nil, err
		}
		if len(out) == maxListed {
			return nil, fmt.Errorf("more than %d pieces of evidence", maxListed)
		}
		out = append(out, e.Info)
	}
	return out, nil
}

func (l *Location) readDrill(ctx context.Context, s store.Store, info store.Info) (fact.Drill, error) {
	backup, id, _ := store.SplitEvidence(info.Key)
	r, err := drilllog.ReadEvidence(ctx, s, drilllog.Ref{Backup: backup, Drill: id})
	switch {
	case errors.Is(err, drilllog.ErrMalformed):
		return fact.Drill{}, ContentError{err}
	case err != nil:
		return fact.Drill{}, err
	case len(r.Backup.Schedule) > MaxLabel:
		return fact.Drill{}, ContentError{fmt.Errorf("the name of its schedule is %d characters long; at most %d are allowed", len(r.Backup.Schedule), MaxLabel)}
	case max(len(r.Backup.UID), len(r.Policy), len(r.PolicySchedule), len(r.Level), len(r.Backup.MetadataSHA256)) > maxName:
		return fact.Drill{}, ContentError{fmt.Errorf("a name in it is longer than %d characters", maxName)}
	case time.Until(r.Finished) > fact.MaxAhead || time.Until(r.Backup.Started) > fact.MaxAhead:
		return fact.Drill{}, clockError{fmt.Errorf("it lies in the future: ended %s", r.Finished)}
	}
	d := fact.DrillOf(r)
	d.ID = id
	return d, nil
}

// Report reads the evidence of one drill again, to display it. It may be called
// at any time, also during a scan: it opens the location for itself. The error
// wraps drilllog.ErrNoEvidence if no evidence exists.
func (l *Location) Report(ctx context.Context, backup, drill string) (report.Report, error) {
	ref := drilllog.Ref{Backup: backup, Drill: drill}
	if !ref.Valid() {
		return report.Report{}, drilllog.ErrNoEvidence
	}
	s, err := l.open(ctx)
	if err != nil {
		return report.Report{}, err
	}
	if c, ok := s.(io.Closer); ok {
		defer c.Close()
	}
	return drilllog.ReadEvidence(ctx, s, ref)
}
