// Package scheduler keeps drill policies: at the times that a policy names it
// chooses backups and has them drilled, one run for any number of missed times.
//
// What it decides is pure (due.go, pick.go, attempt.go) and what it remembers
// lies in the location, in records that are written once (records.go). So a
// restart goes on where the last process ended and drills nothing twice, and
// two verifiers on one location share a run. What is not guaranteed: a drill
// whose verifier was killed is tried again only when that process is known to
// have ended, or the drill's time is over; clocks are taken to agree within a
// minute.
package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	// claimMargin is how long after its timeout a drill may go on: its sandbox
	// is removed and its evidence written.
	claimMargin = 5 * time.Minute
	// look is how long the scheduler sleeps at most: clocks are set, machines
	// sleep, and other verifiers end.
	look = 30 * time.Second
	// patience is how long it waits for a location before it says so.
	patience = 30 * time.Second
	// watch is how often it looks at drills of a run that others are doing.
	watch = 10 * time.Second
	// retry is how long it waits after an error of the location.
	retry = time.Minute
	// rereads and reread are how often and when backups that could not be read are
	// read again before a run goes on without them.
	rereads = 2
	reread  = 10 * time.Second
	// recordTimeout bounds the record of a drill that was given up because the
	// scheduler stops.
	recordTimeout = 10 * time.Second
)

// Job is one policy and the location it is about.
type Job struct {
	Policy policy.Policy
	Cron   schedule.Cron
	Store  store.Store
}

// Request asks for one drill.
type Request struct {
	Policy policy.Policy
	Store  store.Store
	Backup string
	ID     string // of the drill, and of its evidence
	// Progress is to be told what the drill is doing; it may be called from any
	// goroutine.
	Progress func(stage, detail string)
}

// Scheduler keeps policies. All fields are required; Jobs have policies of
// different names.
type Scheduler struct {
	Jobs []Job
	// Drill runs one drill and writes its evidence, as verifier.Drill does. It
	// must end within the timeout of the policy.
	Drill func(context.Context, Request) (report.Report, error)
	// By is this process, and Ended reports whether another one is known to have
	// ended.
	By    drilllog.Owner
	Ended func(drilllog.Owner) bool
	Now   func() time.Time
	Log   *slog.Logger

	once  sync.Once
	gate  chan struct{} // holds a token for each drill that may run
	keeps []*keeper
}

// prepare makes the keepers, once.
func (s *Scheduler) prepare() {
	s.once.Do(func() {
		most := 1
		for _, j := range s.Jobs {
			most = max(most, j.Policy.Spec.Limits.Concurrency)
			s.keeps = append(s.keeps, newKeeper(s, j))
		}
		s.gate = make(chan struct{}, most)
	})
}

// Run keeps the policies until ctx is done. Then it gives up the drills under
// way, waits until their sandboxes are gone, and returns nil. As many drills run
// at a time, over all policies, as the policy with the highest limit says.
func (s *Scheduler) Run(ctx context.Context) error {
	s.prepare()
	var all sync.WaitGroup
	for _, k := range s.keeps {
		all.Go(func() { k.loop(ctx) })
	}
	all.Wait()
	return nil
}

// Once does what is due and returns when it is done; a policy that never ran is
// due. The error is that of ctx, or reports which locations could not be used;
// Status has the outcome of each policy. Each exchange with a location and each
// drill is limited by the timeout of the policy, so Once ends also if a location
// does not answer.
func (s *Scheduler) Once(ctx context.Context) error {
	s.prepare()
	errs := make([]error, len(s.keeps))
	var all sync.WaitGroup
	for i, k := range s.keeps {
		all.Go(func() {
			if err := k.turn(ctx, true); err != nil {
				errs[i] = fmt.Errorf("policy %s: %w", k.name(), err)
			}
		})
	}
	all.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// keeper keeps one policy.
type keeper struct {
	*Scheduler
	Job
	records records
	index   *evidence.Index
	log     *slog.Logger
	started time.Time

	known bool          // whether the records were read
	last  *drilllog.Run // nil: no run yet
	left  bool          // whether last may have drills left
	// settings is the digest of the policy's spec, and drilled counts the drills that
	// this process ended since the last run began.
	settings string
	drilled  atomic.Int64

	mu    sync.Mutex
	state state
}

func newKeeper(s *Scheduler, j Job) *keeper {
	k := &keeper{
		Scheduler: s, Job: j, started: s.Now(),
		index:    &evidence.Index{Store: j.Store},
		log:      s.Log.With("policy", j.Policy.Metadata.Name),
		settings: digest(j.Policy.Spec),
	}
	k.state.totals = map[Total]int{}
	k.records = records{
		store: j.Store, policy: j.Policy.Metadata.Name, machine: s.By.Machine, longest: timeout(j.Policy) + claimMargin, damaged: k.damaged,
	}
	return k
}

func (k *keeper) name() string { return k.Policy.Metadata.Name }

func (k *keeper) loop(ctx context.Context) {
	k.look(ctx)
	for cluster.Sleep(ctx, k.pause(k.turn(ctx, false))) {
	}
}

// look makes known what there is before anything is due.
func (k *keeper) look(ctx context.Context) {
	if f, err := k.read(ctx); err == nil {
		k.note(func(s *state) { s.recent = newest(f.records) })
	}
}

// pause is how long to wait after a turn.
func (k *keeper) pause(err error) time.Duration {
	if err != nil {
		return retry
	}
	return min(max(k.next().Sub(k.Now()), 0), look)
}

// lastDue is when the last run was due, the zero time if there was none.
func (k *keeper) lastDue() time.Time {
	if k.last == nil {
		return time.Time{}
	}
	return k.last.Due
}

func (k *keeper) next() time.Time { return nextRun(k.Cron, k.lastDue(), k.started) }

// turn does what is due now, if anything: a new run, or what is left of the last
// one.
func (k *keeper) turn(ctx context.Context, once bool) error {
	err := k.begin(ctx, once)
	if err == nil && k.left {
		err = k.work(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		k.log.Error("location not usable", "location", k.Store.String(), "retry", !once, "err", err)
	}
	k.note(func(s *state) {
		s.err = err
		if err == nil {
			s.read = k.Now()
		}
		s.next = k.next()
	})
	return err
}

// begin makes k.last the run that is due or was begun last.
func (k *keeper) begin(ctx context.Context, once bool) error {
	now := k.Now()
	if k.known && !k.left && dueRun(k.Cron, k.lastDue(), k.started, now, false).IsZero() {
		return nil
	}
	// Another verifier may have begun runs meanwhile.
	var last *drilllog.Run
	var lost bool
	err := k.limited(ctx, func(ctx context.Context) (err error) {
		last, lost, err = k.records.last(ctx, now)
		return err
	})
	if err != nil {
		return err
	}
	k.known = true
	if last != nil && !last.Due.Equal(k.lastDue()) {
		if dueRun(k.Cron, last.Due, k.started, now, once).IsZero() {
			if last, err = k.complete(ctx, last, lost); err != nil {
				return err
			}
		}
		k.take(last)
	}
	due := dueRun(k.Cron, k.lastDue(), k.started, now, once)
	if due.IsZero() {
		return nil
	}
	r, err := k.choose(ctx, due)
	if err != nil {
		return err
	}
	err = k.limited(ctx, func(ctx context.Context) (err error) {
		r, err = k.records.begin(ctx, *r)
		return err
	})
	if err != nil {
		return err
	}
	k.take(r)
	if len(r.Drills) > 0 { // else the end of the run says all
		k.log.Info("run begun", "due", r.Due, "drills", len(r.Drills))
	}
	return nil
}

// take makes a run the one to work on.
func (k *keeper) take(r *drilllog.Run) {
	k.last, k.left = r, true
	k.drilled.Store(0)
	k.note(func(s *state) { s.due, s.missing, s.busy = r.Due, r.Missing, true })
}

// choose reads the location and picks what a run drills. A backup that cannot be
// read now may be the newest of its schedule, so it is waited for, a little: one
// that never can be, in an archive for example, does not stop the others.
func (k *keeper) choose(ctx context.Context, due time.Time) (*drilllog.Run, error) {
	f, err := k.read(ctx)
	for range rereads {
		if err != nil || len(f.unread) == 0 || !cluster.Sleep(ctx, reread) {
			break
		}
		f, err = k.read(ctx)
	}
	if err != nil {
		return nil, err
	}
	now := k.Now().UTC()
	picks, missing := pick(k.Policy, f.backups, f.records, now)
	for _, u := range f.unread {
		missing = append(missing, u.err)
	}
	return &drilllog.Run{Policy: k.name(), Due: due, Began: now, By: k.By, Drills: picks, Missing: missing}, nil
}

// found is what a location holds, newest first.
type found struct {
	backups []Backup // those that claim to be restorable, or are damaged
	unread  []unread
	records []evidence.Record
}

// limited does something with the location within the time that the policy allows a
// drill: a location that does not answer must not stop a run without a word.
func (k *keeper) limited(ctx context.Context, do func(context.Context) error) error {
	limit := timeout(k.Policy)
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	slow := time.AfterFunc(patience, func() {
		k.log.Warn("location has not answered yet", "location", k.Store.String(), "waited", patience, "limit", limit)
	})
	defer slow.Stop()
	err := do(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%s did not answer within %s (check the location, or raise spec.limits.timeout): %w", k.Store, limit, err)
	}
	return err
}

func (k *keeper) read(ctx context.Context) (f found, err error) {
	err = k.limited(ctx, func(ctx context.Context) error {
		f, err = k.readAll(ctx)
		return err
	})
	return f, err
}

func (k *keeper) readAll(ctx context.Context) (found, error) {
	var f found
	all, err := catalog.Each(ctx, k.Store, candidateOf)
	if err != nil {
		return f, err
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return b.Started.Compare(a.Started) })
	files, err := filesOf(ctx, k.Store)
	if err != nil {
		return f, err
	}
	for _, c := range all {
		switch {
		case c.none:
		case c.unread != "":
			f.unread = append(f.unread, unread{err: c.unread, modified: k.written(ctx, c.Name)})
		default:
			c.Files, c.Modified = files[c.Name].print, files[c.Name].modified
			f.backups = append(f.backups, c.Backup)
		}
	}
	records, unreadable, err := k.index.List(ctx)
	for _, u := range unreadable {
		k.log.Warn("skipping unreadable evidence", "err", u.Err)
	}
	f.records = slices.DeleteFunc(records, func(r evidence.Record) bool { return r.Finished.After(k.Now().Add(maxAhead)) })
	return f, err
}

// candidate is a folder that may hold a backup: none if it holds no restorable one,
// unread why it could not be read.
type candidate struct {
	Backup
	none   bool
	unread string
}

func candidateOf(e catalog.Entry) candidate {
	c := candidate{Backup: Backup{
		Name: e.Name, Schedule: e.Backup.Labels[api.LabelScheduleName], Started: e.Started(), Completed: completed(e.Backup), MetadataSHA256: e.MetadataSHA256,
	}}
	switch {
	case errors.Is(e.Err, catalog.ErrNoBackup) || store.CheckName(e.Name) != nil:
		c.none = true // the exporter counts them
	case e.Err == nil:
		c.none = !e.Backup.Status.Phase.Restorable()
	case !errors.Is(e.Err, catalog.ErrDamaged):
		c.unread = e.Err.Error()
	}
	return c
}

// written is when the metadata of a backup was written, zero if that is unknown.
func (k *keeper) written(ctx context.Context, backup string) time.Time {
	key := store.Metadata(backup)
	for info, err := range k.Store.List(ctx, key, true) {
		if err == nil && info.Key == key {
			return info.Modified
		}
	}
	return time.Time{}
}

// end is when the next run is due and this one is over.
func (k *keeper) end() time.Time {
	if next := k.Cron.Next(k.last.Due); !next.IsZero() {
		return next
	}
	return k.last.Due.Add(100 * 365 * 24 * time.Hour)
}

// work drills what the run has left, in order, until all is done or the next
// run is due.
func (k *keeper) work(ctx context.Context) error {
	left := k.last.Drills
	for len(left) > 0 {
		steps := make([]step, len(left))
		var group errgroup.Group
		group.SetLimit(max(1, k.Policy.Spec.Limits.Concurrency))
		for i, p := range left {
			group.Go(func() (err error) {
				steps[i], err = k.try(ctx, p)
				return err
			})
		}
		err := group.Wait()
		if ctx.Err() != nil || err != nil {
			return errors.Join(ctx.Err(), err)
		}
		var waiting []drilllog.Pick
		wake := k.Now().Add(watch)
		for i, p := range left {
			if !steps[i].Done {
				waiting = append(waiting, p)
				wake = earlier(wake, steps[i].Wait)
			}
		}
		if left = waiting; len(left) > 0 && !cluster.Sleep(ctx, wake.Sub(k.Now())) {
			return ctx.Err()
		}
	}
	return k.finish(ctx)
}

// try drills a backup as often as is due now.
func (k *keeper) try(ctx context.Context, p drilllog.Pick) (step, error) {
	for {
		var attempts []attempt
		err := k.limited(ctx, func(ctx context.Context) (err error) {
			attempts, err = k.records.attempts(ctx, k.last.Due, p.Backup, k.Now())
			return err
		})
		if err != nil {
			return step{}, err
		}
		next := nextStep(attempts, k.Now(), k.end(), k.gone)
		if next.Start == 0 {
			return next, nil
		}
		if err := k.attempt(ctx, p, next.Start); err != nil {
			return step{}, err
		}
	}
}

// gone reports whether whoever made a claim does nothing about it any more. This
// process asks only when it runs no drill of the backup: a claim of its own is
// then one that was written although the store said it was not.
func (k *keeper) gone(o drilllog.Owner) bool { return o.Instance == k.By.Instance || k.Ended(o) }

// attempt runs one drill, when it is its turn and no one else runs it.
func (k *keeper) attempt(ctx context.Context, p drilllog.Pick, n int) error {
	select {
	case k.gate <- struct{}{}:
		defer func() { <-k.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	now := k.Now().UTC()
	if !now.Before(k.end()) {
		return nil // it waited until the next run, which makes a new choice
	}
	c := drilllog.Claim{Drill: verifier.NewID(now), At: now, Until: now.Add(timeout(k.Policy) + claimMargin), By: k.By}
	mine := false
	err := k.limited(ctx, func(ctx context.Context) (err error) {
		mine, err = k.records.claim(ctx, k.last.Due, p.Backup, n, c)
		return err
	})
	if err != nil || !mine {
		return err
	}
	log := k.log.With("backup", p.Backup, "drill", c.Drill)
	log.Info("drill begun", "why", p.Why, "attempt", n)
	rep, err := k.drill(ctx, p, c)
	switch {
	case ctx.Err() != nil:
		return k.release(ctx, p, n, drilllog.Release{At: k.Now().UTC(), Reason: "the verifier was stopped", Free: true})
	case rep.Verdict == "" || err != nil:
		log.Error("drill left no evidence", "verdict", rep.Verdict, "err", err)
		return k.release(ctx, p, n, drilllog.Release{At: k.Now().UTC(), Reason: fmt.Sprint(err)})
	}
	level := slog.LevelInfo
	if rep.Verdict != report.Passed {
		level = slog.LevelWarn
	}
	log.Log(ctx, level, "drill ended", "verdict", rep.Verdict, "seconds", rep.Finished.Sub(rep.Started).Seconds(), "summary", rep.Summary)
	return nil
}

// drill runs it and keeps the state.
func (k *keeper) drill(ctx context.Context, p drilllog.Pick, c drilllog.Claim) (report.Report, error) {
	k.note(func(s *state) {
		s.begin(Running{Backup: p.Backup, Drill: c.Drill, Why: p.Why, Since: c.At, StageSince: c.At})
	})
	// The drill ends by itself after its timeout; a location that does not answer
	// must not keep it from ending.
	limited, cancel := context.WithTimeout(ctx, timeout(k.Policy)+claimMargin)
	defer cancel()
	rep, err := k.Drill(limited, Request{
		Policy: k.Policy, Store: k.Store, Backup: p.Backup, ID: c.Drill,
		Progress: func(stage, detail string) {
			now := k.Now()
			k.note(func(s *state) { s.progress(c.Drill, stage, detail, now) })
		},
	})
	seconds := k.Now().Sub(c.At).Seconds()
	interrupted := ctx.Err() != nil
	k.drilled.Add(1)
	k.note(func(s *state) { s.finish(c.Drill, k.Policy.Spec.Level, rep, seconds, interrupted) })
	return rep, err
}

// release writes the record also when ctx is done.
func (k *keeper) release(ctx context.Context, p drilllog.Pick, n int, r drilllog.Release) error {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return errors.Join(ctx.Err(), k.records.release(clean, k.last.Due, p.Backup, n, r))
}

// finish ends a run: it reports the outcome, and evidence that need not be kept
// goes.
func (k *keeper) finish(ctx context.Context) error {
	k.left = false
	f, err := k.read(ctx)
	if err != nil {
		return err
	}
	now := k.Now()
	o := outcome(k.Policy, *k.last, f, now)
	var others []string
	if err := k.limited(ctx, func(ctx context.Context) (err error) {
		others, err = k.conflicts(ctx)
		return err
	}); err != nil {
		k.log.Warn("cannot look for other policies of this name", "err", err) // it is no part of the run
	}
	k.tell(ctx, o, others)
	k.note(func(s *state) {
		s.ended, s.busy, s.recent, s.outcome, s.conflicts = now, false, newest(f.records), o, others
		s.missing = slices.Concat(o.Missing, o.Unread)
	})
	k.expire(ctx, f.records, now)
	return nil
}

// expire deletes evidence that need not be kept.
func (k *keeper) expire(ctx context.Context, records []evidence.Record, now time.Time) {
	for _, r := range evidence.Expired(records, k.name(), k.Policy.Spec.Evidence, now) {
		err := k.limited(ctx, func(ctx context.Context) error { return evidence.Delete(ctx, k.Store, r.Ref()) })
		if err != nil {
			k.log.Warn("cannot delete old evidence", "err", err) // a locked bucket keeps what it has
			return
		}
		k.log.Info("deleted old evidence", "backup", r.Backup, "drill", r.Drill)
	}
}

// tell logs the outcome of a run: one line if all is well, and a warning for all
// that is not.
func (k *keeper) tell(ctx context.Context, o Outcome, others []string) {
	for _, m := range o.Missing {
		k.log.Warn("not found in the location", "selected", m, "location", k.Store.String())
	}
	for _, u := range o.Unread {
		k.log.Warn("a backup could not be read and may be the newest", "err", u)
	}
	for _, t := range o.Targets {
		k.log.Warn("target missed", "target", t)
	}
	for _, digest := range others {
		k.log.Warn("another policy of this name uses this location, or the policy was changed during the run: give each policy its own name", "this", k.settings, "other", digest)
	}
	level := slog.LevelInfo
	if !o.good() {
		level = slog.LevelWarn
	}
	k.log.Log(ctx, level, "run ended", "outcome", o.headline(int(k.drilled.Load())), "due", o.Due, "drills", len(o.Drills), "passed", len(o.Passed), "failed", o.Failed, "inconclusive", o.Inconclusive, "next", k.next())
}

// timeout is that of a drill of the policy.
func timeout(p policy.Policy) time.Duration {
	return cmp.Or(p.Spec.Limits.Timeout.Duration, policy.DefaultTimeout)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
