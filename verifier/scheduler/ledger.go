package scheduler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
)

// The ledger holds three kinds of records, each written once and never again:
// which backups a run drills, who drills one (a claim, before the drill), and
// that a claim was given up without evidence (a release). That the store takes
// a key only once is what makes two verifiers on one location agree.
const (
	runSchema     = "lifeboat.dev/run/v1alpha1"
	claimSchema   = "lifeboat.dev/claim/v1alpha1"
	releaseSchema = "lifeboat.dev/release/v1alpha1"
)

// Bounds on a record, in bytes and in values of JSON: a location is not trusted.
const (
	maxRecord       = 8 << 20
	maxRecordValues = 200_000
)

// errDamaged says that a record makes no sense, which reading it again will not
// change.
var errDamaged = errors.New("damaged ledger record")

// runTime is the form of a run's time in keys; its order is that of time.
const runTime = "20060102T150405Z"

// Owner is the process that made a record.
type Owner struct {
	// Machine is where the number of the process means something.
	Machine string `json:"machine"`
	PID     int    `json:"pid"`
	// Instance tells processes apart that had the same number.
	Instance string `json:"instance"`
}

// run is the record of one run: what was chosen, once for all verifiers and
// restarts.
type run struct {
	Schema  string    `json:"schema"`
	Policy  string    `json:"policy"`
	Due     time.Time `json:"due"`
	Began   time.Time `json:"began"`
	By      Owner     `json:"by"`
	Drills  []Pick    `json:"drills"`
	Missing []string  `json:"missing,omitempty"`
}

// claim is the record of one attempt.
type claim struct {
	Schema string    `json:"schema"`
	Drill  string    `json:"drill"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
	By     Owner     `json:"by"`
}

// release is the record of an attempt that left no evidence.
type release struct {
	Schema string    `json:"schema"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	// Free says that the drill could do nothing about it, as when the verifier
	// was stopped.
	Free bool `json:"free,omitempty"`
}

// ledger is that of one policy.
type ledger struct {
	store  store.Store
	policy string
}

// last is the newest run that was due at now or before; nil if there is none. A
// run of the future, by a clock that was wrong, is none; one whose record is
// damaged has nothing left to do.
func (l ledger) last(ctx context.Context, now time.Time) (*run, error) {
	var newest time.Time
	for info, err := range l.store.List(ctx, store.LedgerPrefix+l.policy+"/", false) {
		if err != nil {
			return nil, fmt.Errorf("list the ledger of policy %s: %w", l.policy, err)
		}
		name, ok := strings.CutSuffix(path.Base(info.Key), ".json")
		at, err := time.Parse(runTime, name)
		if ok && !info.IsPrefix() && err == nil && !at.After(now) {
			newest = later(newest, at)
		}
	}
	if newest.IsZero() {
		return nil, nil
	}
	r, err := l.run(ctx, newest)
	if errors.Is(err, errDamaged) {
		return &run{Policy: l.policy, Due: newest}, nil
	}
	return r, err
}

func (l ledger) runKey(due time.Time) string {
	return store.Run(l.policy, due.UTC().Format(runTime))
}

func (l ledger) run(ctx context.Context, due time.Time) (*run, error) {
	var r run
	if err := l.read(ctx, l.runKey(due), runSchema, &r); err != nil {
		return nil, err
	}
	r.Due = due // the key counts
	for _, d := range r.Drills {
		if err := store.CheckName(d.Backup); err != nil {
			return nil, fmt.Errorf("%w %s: backup %w", errDamaged, l.runKey(due), err)
		}
	}
	return &r, nil
}

// begin records a run, unless it was begun before: then that record counts.
func (l ledger) begin(ctx context.Context, r run) (*run, error) {
	err := l.write(ctx, l.runKey(r.Due), r)
	if errors.Is(err, store.ErrExists) {
		return l.run(ctx, r.Due)
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

func (l ledger) prefix(due time.Time, backup string) string {
	return store.Attempts(l.policy, due.UTC().Format(runTime), backup)
}

const releasedSuffix = "-released.json"

// claim records that an attempt begins; false if somebody else was first.
func (l ledger) claim(ctx context.Context, due time.Time, backup string, n int, c claim) (bool, error) {
	c.Schema = claimSchema
	err := l.write(ctx, fmt.Sprintf("%s%d.json", l.prefix(due, backup), n), c)
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// release records that an attempt ended without evidence.
func (l ledger) release(ctx context.Context, due time.Time, backup string, n int, r release) error {
	r.Schema = releaseSchema
	return l.write(ctx, fmt.Sprintf("%s%d%s", l.prefix(due, backup), n, releasedSuffix), r)
}

// attempts are those made of one backup in a run.
func (l ledger) attempts(ctx context.Context, due time.Time, backup string) ([]attempt, error) {
	prefix := l.prefix(due, backup)
	released := map[int]release{}
	var out []attempt
	for info, err := range l.store.List(ctx, prefix, true) {
		if err != nil {
			return nil, fmt.Errorf("list the ledger of policy %s: %w", l.policy, err)
		}
		name := strings.TrimPrefix(info.Key, prefix)
		if number, ok := strings.CutSuffix(name, releasedSuffix); ok {
			if n, err := strconv.Atoi(number); err == nil {
				var r release
				if err := l.read(ctx, info.Key, releaseSchema, &r); err != nil {
					return nil, err
				}
				released[n] = r
			}
			continue
		}
		if n, err := strconv.Atoi(strings.TrimSuffix(name, ".json")); err == nil {
			a, err := l.attempt(ctx, info.Key, backup, n)
			if err != nil {
				return nil, err
			}
			out = append(out, a)
		}
	}
	for i, a := range out {
		if r, ok := released[a.N]; ok {
			out[i].Released, out[i].Free = r.At, r.Free
		}
	}
	return out, nil
}

// attempt joins a claim with the evidence of its drill, if there is any.
func (l ledger) attempt(ctx context.Context, key, backup string, n int) (attempt, error) {
	var c claim
	if err := l.read(ctx, key, claimSchema, &c); err != nil {
		return attempt{}, err
	}
	a := attempt{N: n, Drill: c.Drill, By: c.By, Until: c.Until}
	if store.CheckKey(store.Evidence(backup, c.Drill)) != nil || strings.Contains(c.Drill, "/") {
		return a, nil // no drill of ours; it runs out
	}
	rep, err := evidence.Read(ctx, l.store, evidence.Ref{Backup: backup, Drill: c.Drill})
	switch {
	case err == nil:
		a.Verdict, a.Finished = rep.Verdict, rep.Finished
	case !errors.Is(err, evidence.ErrNone):
		return a, err
	}
	return a, nil
}

func (l ledger) write(ctx context.Context, key string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode ledger record %s: %w", key, err)
	}
	if err := l.store.Put(ctx, key, bytes.NewReader(append(raw, '\n'))); err != nil {
		return fmt.Errorf("write ledger record %s (is the location writable?): %w", key, err)
	}
	return nil
}

func (l ledger) read(ctx context.Context, key, schema string, into any) error {
	r, err := l.store.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("read ledger record %s: %w", key, err)
	}
	defer r.Close()
	raw, err := io.ReadAll(jsonbound.NewReader(r, jsonbound.Limits{Bytes: maxRecord, Values: maxRecordValues}))
	if errors.Is(err, jsonbound.ErrTooLarge) {
		return fmt.Errorf("%w %s: %w", errDamaged, key, err)
	}
	if err != nil {
		return fmt.Errorf("read ledger record %s: %w", key, err)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := errors.Join(json.Unmarshal(raw, &head), json.Unmarshal(raw, into)); err != nil {
		return fmt.Errorf("%w %s: %w", errDamaged, key, err)
	}
	if head.Schema != schema {
		return fmt.Errorf("%w %s: schema %.80q, want %q", errDamaged, key, head.Schema, schema)
	}
	return nil
}
