package exporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// ListDrills implements ReportLister.
func (l *StoreLocation) ListDrills(ctx context.Context) (DrillScan, error) {
	s, err := l.opened(ctx)
	if err != nil {
		return DrillScan{}, err
	}
	evidence, err := l.evidence(ctx, s)
	if err != nil {
		l.release()
		return DrillScan{}, fmt.Errorf("list evidence in %s: %w", s, err)
	}
	err = l.drills.refresh(ctx, readers, evidence, func(ctx context.Context, info store.Info) (Drill, error) {
		return l.readDrill(ctx, s, info)
	}, l.noteUnreadable)
	if err != nil {
		return DrillScan{}, fmt.Errorf("read evidence in %s: %w", s, err)
	}
	var scan DrillScan
	for _, info := range evidence {
		d, err := l.drills.get(info.Key)
		if err != nil {
			scan.Unreadable = append(scan.Unreadable, ObjectError{Key: info.Key, Err: err})
			continue
		}
		scan.Drills = append(scan.Drills, d)
	}
	return scan, nil
}

// evidence lists the reports below metadata/lifeboat/drills/, not the other
// forms they are kept in beside them.
func (l *StoreLocation) evidence(ctx context.Context, s store.Store) ([]store.Info, error) {
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

func (l *StoreLocation) readDrill(ctx context.Context, s store.Store, info store.Info) (Drill, error) {
	raw, err := l.read(ctx, s, info.Key, report.MaxSize)
	if err != nil {
		return Drill{}, err
	}
	r, err := report.Decode(bytes.NewReader(raw))
	if err != nil {
		return Drill{}, contentError{err}
	}
	backup, id, _ := store.SplitEvidence(info.Key)
	switch {
	case r.Backup.Name != backup:
		return Drill{}, contentError{fmt.Errorf("it says it is about backup %.80q", r.Backup.Name)}
	case r.Verdict != report.Passed && r.Verdict != report.Failed && r.Verdict != report.Error:
		return Drill{}, contentError{fmt.Errorf("unknown verdict %.80q", r.Verdict)}
	case len(r.Backup.Schedule) > maxLabel:
		return Drill{}, contentError{fmt.Errorf("the name of its schedule is %d characters long; at most %d are allowed", len(r.Backup.Schedule), maxLabel)}
	case r.Finished.IsZero():
		return Drill{}, contentError{errors.New("it does not say when it ended")}
	case time.Until(r.Finished) > maxAhead || time.Until(r.Backup.Started) > maxAhead:
		return Drill{}, fmt.Errorf("it lies in the future: ended %s", r.Finished)
	}
	d := drillOf(r)
	d.ID = id // that of its files, whatever it says itself
	return d, nil
}

// ErrNoEvidence says that a location has no evidence of a drill.
var ErrNoEvidence = errors.New("no such evidence")

// Report reads the evidence of one drill anew, for somebody who wants to see it
// whole. Unlike the listings it may be called at any time: it opens the location
// for itself. The error is ErrNoEvidence when there is none.
func (l *StoreLocation) Report(ctx context.Context, backup, drill string) (report.Report, error) {
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
