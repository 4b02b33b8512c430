package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
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
	err = l.drills.refresh(ctx, readers, evidence, func(ctx context.Context, info store.Info) (fact.Drill, error) {
		return l.readDrill(ctx, s, info)
	}, l.noteUnreadable)
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

// evidence lists the reports below metadata/lifeboat/drills/, not the other
// forms they are kept in beside them.
func (l *Location) evidence(ctx context.Context, s store.Store) ([]store.Info, error) {
	var out []store.Info
	for info, err := range s.List(ctx, store.DrillsPrefix, true) {
		if err != nil {
			return nil, err
		}
		if _, _, ok := store.SplitEvidence(info.Key); !ok {
			continue
		}
		if len(out) == maxListed {
			return nil, fmt.Errorf("more than %d pieces of evidence", maxListed)
		}
		out = append(out, info)
	}
	return out, nil
}

func (l *Location) readDrill(ctx context.Context, s store.Store, info store.Info) (fact.Drill, error) {
	raw, err := l.read(ctx, s, info.Key, report.MaxSize)
	if err != nil {
		return fact.Drill{}, err
	}
	r, err := report.Decode(bytes.NewReader(raw))
	if err != nil {
		return fact.Drill{}, ContentError{err}
	}
	backup, id, _ := store.SplitEvidence(info.Key)
	switch {
	case r.Backup.Name != backup:
		return fact.Drill{}, ContentError{fmt.Errorf("it says it is about backup %.80q", r.Backup.Name)}
	case r.Verdict != report.Passed && r.Verdict != report.Failed && r.Verdict != report.Error:
		return fact.Drill{}, ContentError{fmt.Errorf("unknown verdict %.80q", r.Verdict)}
	case len(r.Backup.Schedule) > MaxLabel:
		return fact.Drill{}, ContentError{fmt.Errorf("the name of its schedule is %d characters long; at most %d are allowed", len(r.Backup.Schedule), MaxLabel)}
	case r.Finished.IsZero():
		return fact.Drill{}, ContentError{errors.New("it does not say when it ended")}
	case time.Until(r.Finished) > fact.MaxAhead || time.Until(r.Backup.Started) > fact.MaxAhead:
		return fact.Drill{}, fmt.Errorf("it lies in the future: ended %s", r.Finished)
	}
	d := fact.DrillOf(r)
	d.ID = id // that of its files, whatever it says itself
	return d, nil
}

// ErrNoEvidence says that a location has no evidence of a drill.
var ErrNoEvidence = errors.New("no such evidence")

// Report reads the evidence of one drill anew, for somebody who wants to see it
// whole. Unlike the listings it may be called at any time: it opens the location
// for itself. The error is ErrNoEvidence when there is none.
func (l *Location) Report(ctx context.Context, backup, drill string) (report.Report, error) {
	key := store.Evidence(backup, drill)
	if err := errors.Join(store.CheckName(backup), store.CheckKey(key)); err != nil || strings.Contains(drill, "/") {
		return report.Report{}, ErrNoEvidence // no name that evidence can have
	}
	s, err := l.open(ctx)
	if err != nil {
		return report.Report{}, err
	}
	if c, ok := s.(io.Closer); ok {
		defer c.Close()
	}
	raw, err := l.read(ctx, s, key, report.MaxSize)
	if errors.Is(err, store.ErrNotFound) {
		return report.Report{}, ErrNoEvidence
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("read evidence %s: %w", key, err)
	}
	return report.Decode(bytes.NewReader(raw))
}
