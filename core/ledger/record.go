package ledger

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
)

// Schema names the form of the records. It changes when a reader would have to.
const (
	Schema       = schemaPrefix + "v1"
	schemaPrefix = "lifeboat.dev/runs/"
)

var (
	// ErrLater says that an object was written by a version that this one does
	// not know.
	ErrLater = errors.New("written by a later version of lifeboat: update this one")
	// errContent means that an object is malformed. Reading it again would not
	// help.
	errContent = errors.New("malformed record")
	// errTooLarge says that runs do not fit into one object.
	errTooLarge = fmt.Errorf("more than %d bytes", maxBytes)
)

// Bounds on one object.
const (
	maxRuns  = 20_000
	maxBytes = 32 << 20 // unpacked
	// maxValues leaves 24 values of JSON for each run, which has at most 20.
	maxValues = 24 * maxRuns
	// largestElement is the size of a Run, in bytes.
	largestElement = 208
	maxWord        = 64        // bytes of a kind, an outcome, a reason
	maxName        = 253       // bytes of a subject or a name: those of an object's name
	maxID          = 1024      // bytes
	maxPerRun      = 1_000_000 // snapshots
	maxCompress    = maxBytes  // packed
)

var limits = jsonbound.Limits{Bytes: maxBytes, Values: maxValues}

// epochRecord says when a ledger began.
type epochRecord struct {
	Schema string    `json:"schema"`
	Since  time.Time `json:"since"`
	Writer string    `json:"writer"`
}

// record is the content of a batch or of a seal.
type record struct {
	Schema  string    `json:"schema"`
	Writer  string    `json:"writer"`
	Written time.Time `json:"written"`
	// Batches are the names of those that a seal holds the runs of.
	Batches []string `json:"batches,omitempty"`
	Runs    []Run    `json:"runs"`
}

// encodeRecord makes an object of what fits into one, so that whoever wrote it can
// read it.
func encodeRecord(r record) ([]byte, error) {
	r.Schema = Schema
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if len(raw) > maxBytes {
		return nil, errTooLarge
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(raw); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return out.Bytes(), nil
}

// decodeRecord reads a batch or a seal. Its errors wrap errContent or ErrLater,
// unless it is reading that failed.
func decodeRecord(ctx context.Context, r io.Reader) (record, error) {
	var rec record
	err := jsonbound.Memory.DecodeGzip(ctx, r, maxCompress, limits, largestElement, func(raw []byte) error { return decodeJSON(raw, &rec) })
	if errors.Is(err, jsonbound.ErrPacked) || errors.Is(err, jsonbound.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", errContent, err)
	}
	if err != nil {
		return record{}, err
	}
	if err := checkSchema(rec.Schema); err != nil {
		return record{}, err
	}
	if len(rec.Runs) > maxRuns {
		return record{}, fmt.Errorf("%w: %d runs, at most %d are written into one object", errContent, len(rec.Runs), maxRuns)
	}
	for i, run := range rec.Runs {
		if err := run.check(); err != nil {
			return record{}, fmt.Errorf("%w: run %d: %w", errContent, i, err)
		}
	}
	return rec, nil
}

func decodeEpoch(r io.Reader) (epochRecord, error) {
	raw, err := readAll(r, 1<<16)
	if err != nil {
		return epochRecord{}, err
	}
	var e epochRecord
	if err := decodeJSON(raw, &e); err != nil {
		return epochRecord{}, err
	}
	if err := checkSchema(e.Schema); err != nil {
		return epochRecord{}, err
	}
	if e.Since.IsZero() {
		return epochRecord{}, fmt.Errorf("%w: it does not say when", errContent)
	}
	return e, nil
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%w: it has more than %d bytes", errContent, limit)
	}
	return raw, nil
}

func decodeJSON(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%w: %w", errContent, jsonbound.Short(err))
	}
	return nil
}

func checkSchema(schema string) error {
	switch {
	case schema == Schema:
		return nil
	case strings.HasPrefix(schema, schemaPrefix):
		return fmt.Errorf("schema %.80q: %w", schema, ErrLater)
	}
	return fmt.Errorf("%w: its schema is %.80q", errContent, schema)
}

// check says why a run cannot be kept, or nil.
func (r Run) check() error {
	for _, f := range []struct {
		field, value string
		most         int
		empty        bool
	}{
		{"kind", string(r.Kind), maxWord, false},
		{"id", r.ID, maxID, false},
		{"subject", r.Subject, maxName, true},
		{"outcome", r.Outcome, maxWord, false},
		{"reason", r.Reason, maxWord, true},
		{"name", r.Name, maxName, true},
	} {
		switch {
		case f.value == "" && !f.empty:
			return fmt.Errorf("it has no %s", f.field)
		case len(f.value) > f.most:
			return fmt.Errorf("its %s has %d bytes, at most %d are kept", f.field, len(f.value), f.most)
		}
	}
	switch {
	case r.Ended.IsZero():
		return errors.New("it does not say when it ended")
	case !plausible(r.Ended) || !plausible(r.Started):
		return fmt.Errorf("its times are out of range: started %s, ended %s", r.Started, r.Ended)
	case r.Warnings < 0 || !r.Snapshots.plausible() || !r.CSISnapshots.plausible():
		return errors.New("its counts are out of range")
	}
	return nil
}

// plausible leaves out what JSON cannot hold: years of more than four digits.
func plausible(t time.Time) bool { return t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 }

func (s *Snapshots) plausible() bool {
	return s == nil || within(s.Attempted) && within(s.Completed)
}

func within(n int) bool { return n >= 0 && n <= maxPerRun }
