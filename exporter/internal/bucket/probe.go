package bucket

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// probes are how long operations took: the first page of the listing of names,
// the last object read, and with ProbeWrites what writing and deleting a small
// object took.
func (l *Location) probes(ctx context.Context, s *counted, now time.Time) map[string]time.Duration {
	took := map[string]time.Duration{fact.ProbeList: l.folders.listTook}
	if d := l.meter.getTook(s); d > 0 {
		took[fact.ProbeGet] = d
	}
	if !l.ProbeWrites {
		return took
	}
	err := l.mayWrite(ctx, s, now)
	if err == nil {
		err = writeProbe(ctx, s, took)
	}
	if ctx.Err() == nil {
		l.noteOnce("probe", err, "writing to the location is not probed")
	}
	return took
}

// mayWrite says why the location is not written to: where every version of an
// object is kept, each probe would leave one behind for good, or until its lock
// ends. It is asked again once in lookAgain.
func (l *Location) mayWrite(ctx context.Context, s *counted, now time.Time) error {
	if !l.mayWriteAsked.IsZero() && now.Sub(l.mayWriteAsked) < LookAgain {
		return l.mayWriteNot
	}
	p, ok := s.Store.(protector)
	if !ok {
		return nil
	}
	protection, err := p.Protection(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		err = fmt.Errorf("the bucket does not say whether it keeps versions of objects, of which each probe would leave one: %w", err)
	case protection.Versioning || protection.Lock:
		err = errors.New("the bucket keeps versions of objects, and each probe would leave one behind")
	}
	l.mayWriteAsked, l.mayWriteNot = now, err
	return err
}

// writeProbe writes and deletes one small object. One that an exporter left
// behind that was killed in between is deleted, and the next probe is whole.
func writeProbe(ctx context.Context, s store.Store, took map[string]time.Duration) error {
	began := time.Now()
	err := s.Put(ctx, store.Probe, strings.NewReader("lifeboat-exporter probes whether it can write here\n"))
	if err == nil {
		took[fact.ProbePut] = time.Since(began)
	} else if !errors.Is(err, store.ErrExists) {
		return err
	}
	began = time.Now()
	if err := s.Delete(ctx, store.Probe); err != nil && !errors.Is(err, store.ErrNotFound) {
		delete(took, fact.ProbePut)
		return err
	}
	took[fact.ProbeDelete] = time.Since(began)
	return nil
}
