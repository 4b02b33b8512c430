// Package drilllog is the format of what drills leave in a location: the
// records of runs, claims and releases below store.LedgerPrefix
// (docs/adr/0009-a-ledger-of-write-once-records.md), and the evidence below
// store.DrillsPrefix (docs/evidence.md). The verifier's scheduler writes the
// records, the exporter reads them; both use this package, so that the keys, the
// schemas and the limits are written once.
//
// Everything in a location is untrusted: each read is limited in size, and an
// error that wraps ErrMalformed means that reading the same bytes again gives the
// same error.
package drilllog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// The schemas of the records.
const (
	RunSchema     = "lifeboat.dev/run/v1alpha1"
	ClaimSchema   = "lifeboat.dev/claim/v1alpha1"
	ReleaseSchema = "lifeboat.dev/release/v1alpha1"
)

// Limits of one record, in bytes and in values of JSON.
const (
	maxRecord = 8 << 20
	maxClaim  = 64 << 10 // its fields have a fixed size, but for the machine's name
	maxValues = 200_000
)

// ErrMalformed means that a record or a piece of evidence cannot be decoded, is
// over a limit or contradicts itself.
var ErrMalformed = errors.New("malformed")

// Owner is the process that wrote a record.
type Owner struct {
	// Machine is the machine on which PID identifies the process.
	Machine string `json:"machine"`
	PID     int    `json:"pid"`
	// Instance distinguishes processes that had the same PID.
	Instance string `json:"instance"`
}

// Pick is a backup that a run drills, and why.
type Pick struct {
	Backup string `json:"backup"`
	Why    string `json:"why"`
}

// Run is the record of one run of a policy: which backups it drills. The first
// verifier to write it decides for all.
type Run struct {
	Schema  string    `json:"schema"`
	Policy  string    `json:"policy"`
	Due     time.Time `json:"due"`
	Began   time.Time `json:"began"`
	By      Owner     `json:"by"`
	Drills  []Pick    `json:"drills"`
	Missing []string  `json:"missing,omitempty"`
}

// Claim is the record of one attempt to drill a backup, written before the drill
// begins.
type Claim struct {
	Schema string    `json:"schema"`
	Drill  string    `json:"drill"` // its ID, and that of its evidence
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"` // the drill has ended by then
	By     Owner     `json:"by"`
}

// Release is the record of an attempt that ended without evidence.
type Release struct {
	Schema string    `json:"schema"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	// Free means that the attempt does not count, for example because the
	// verifier was stopped.
	Free bool `json:"free,omitempty"`
}

// WriteRun writes the record of a run; the error wraps store.ErrExists if there
// is one.
func WriteRun(ctx context.Context, s store.Store, r Run) error {
	r.Schema = RunSchema
	return write(ctx, s, RunKey(r.Policy, r.Due), r)
}

// WriteClaim writes the record of an attempt; the error wraps store.ErrExists if
// there is one.
func WriteClaim(ctx context.Context, s store.Store, a Attempt, c Claim) error {
	c.Schema = ClaimSchema
	return write(ctx, s, a.ClaimKey(), c)
}

// WriteRelease writes the record that an attempt ended without evidence.
func WriteRelease(ctx context.Context, s store.Store, a Attempt, r Release) error {
	r.Schema = ReleaseSchema
	return write(ctx, s, a.ReleaseKey(), r)
}

func write(ctx context.Context, s store.Store, key string, record any) error {
	raw, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("encode drill record %s: %w", key, err)
	}
	if err := s.Put(ctx, key, bytes.NewReader(append(raw, '\n'))); err != nil {
		return fmt.Errorf("write drill record %s (is the location writable?): %w", key, err)
	}
	return nil
}

// ReadRun reads the record of a run. Its Policy and Due are those of the key.
func ReadRun(ctx context.Context, s store.Store, policy string, due time.Time) (Run, error) {
	var r Run
	key := RunKey(policy, due)
	if err := read(ctx, s, key, RunSchema, maxRecord, &r); err != nil {
		return Run{}, err
	}
	r.Policy, r.Due = policy, due
	for _, d := range r.Drills {
		if err := store.CheckName(d.Backup); err != nil {
			return Run{}, malformed(key, fmt.Errorf("backup %w", err))
		}
	}
	return r, nil
}

// ReadClaim reads the record of an attempt. Its Drill is untrusted: see Ref.Valid.
func ReadClaim(ctx context.Context, s store.Store, a Attempt) (Claim, error) {
	var c Claim
	if err := read(ctx, s, a.ClaimKey(), ClaimSchema, maxClaim, &c); err != nil {
		return Claim{}, err
	}
	return c, nil
}

// ReadRelease reads the record that an attempt ended without evidence.
func ReadRelease(ctx context.Context, s store.Store, a Attempt) (Release, error) {
	var r Release
	if err := read(ctx, s, a.ReleaseKey(), ReleaseSchema, maxRecord, &r); err != nil {
		return Release{}, err
	}
	return r, nil
}

func read(ctx context.Context, s store.Store, key, schema string, limit int64, into any) error {
	r, err := s.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("read drill record %s: %w", key, err)
	}
	defer r.Close()
	var head struct {
		Schema string `json:"schema"`
	}
	var bad error
	err = jsonbound.Memory.Decode(ctx, r, jsonbound.Limits{Bytes: limit, Values: maxValues}, largestElement, func(raw []byte) error {
		bad = errors.Join(json.Unmarshal(raw, &head), json.Unmarshal(raw, into))
		return nil
	})
	switch {
	case errors.Is(err, jsonbound.ErrTooLarge):
		return malformed(key, err)
	case err != nil:
		return fmt.Errorf("read drill record %s: %w", key, err)
	case bad != nil:
		return malformed(key, bad)
	}
	if head.Schema != schema {
		return malformed(key, fmt.Errorf("schema %.80q, want %q", head.Schema, schema))
	}
	return nil
}

func malformed(key string, err error) error {
	return fmt.Errorf("%w %s: %w", ErrMalformed, strings.ToValidUTF8(key, "?"), jsonbound.Short(err))
}
