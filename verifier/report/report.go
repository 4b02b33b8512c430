// Package report is what a drill leaves behind: its evidence. It is a leaf
// (standard library only) so that the exporter can read evidence without
// carrying anything that can restore.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Schema names the form of Report. It changes when a reader would have to.
const Schema = "lifeboat.dev/drill/v1alpha1"

// MaxSize bounds the evidence a reader accepts, in bytes: a location is not
// trusted to be small.
const MaxSize = 32 << 20

// Level is how much a drill can prove.
type Level string

// The levels, from cheap to thorough. Each proves what the one before proves.
const (
	LevelIntegrity    Level = "integrity"
	LevelControlPlane Level = "controlplane"
	LevelKind         Level = "kind"
)

// Proves reports whether a passed drill of level l proves what one of level
// other would.
func (l Level) Proves(other Level) bool { return l.rank() > 0 && l.rank() >= other.rank() }

func (l Level) rank() int {
	switch l {
	case LevelIntegrity:
		return 1
	case LevelControlPlane:
		return 2
	case LevelKind:
		return 3
	}
	return 0
}

// Verdict is a drill's answer.
type Verdict string

// Failed means that the backup is bad; Error means that the drill could not
// find out. They are never mixed.
const (
	Passed Verdict = "passed"
	Failed Verdict = "failed"
	Error  Verdict = "error"
)

// Report is the evidence of one drill. Times are UTC.
type Report struct {
	Schema string `json:"schema"`
	ID     string `json:"id"`
	Policy string `json:"policy,omitempty"` // name of the DrillPolicy that asked for it
	// PolicySchedule is when that policy drills, its cron expression as written.
	PolicySchedule string  `json:"policySchedule,omitempty"`
	Level          Level   `json:"level"`
	Verdict        Verdict `json:"verdict"`
	// Summary is one sentence for people: what was proven or what failed.
	Summary  string    `json:"summary"`
	Backup   Backup    `json:"backup"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	// TimedOut means that the drill's own time limit ended it.
	TimedOut bool      `json:"timedOut,omitempty"`
	Stages   []Stage   `json:"stages"`
	Items    Items     `json:"items"`
	Checks   []Check   `json:"checks"`
	Findings []Finding `json:"findings,omitempty"`
	// Environment is what kept the drill from finding out, each with its object:
	// an image that is not available, for example. It makes the verdict error
	// and never failed.
	Environment []Finding `json:"environment,omitempty"`
	// Waived are findings that the policy accepts, with its reason.
	Waived []Waived `json:"waived,omitempty"`
	// Altered names the objects of Items.Altered with the fields, at most 100, and
	// says how many more there are. They are no fault of the backup.
	Altered []Finding `json:"altered,omitempty"`
	// Changed counts what was restored otherwise than it is in the backup, by
	// the rule that changed it ("CronJobs suspended").
	Changed  map[string]int `json:"changed,omitempty"`
	Recovery *Recovery      `json:"recovery,omitempty"`
	// NotProven lists in plain words what this level did not look at.
	NotProven []string `json:"notProven,omitempty"`
	Versions  Versions `json:"versions"`
}

// Backup identifies what was drilled.
type Backup struct {
	Name     string `json:"name"`
	Location string `json:"location"`
	Schedule string `json:"schedule,omitempty"` // label velero.io/schedule-name; "" for a backup made by hand
	UID      string `json:"uid,omitempty"`
	Phase    string `json:"phase,omitempty"`
	// Started is when the backup began: its recovery point.
	Started           time.Time `json:"started"`
	Completed         time.Time `json:"completed"`
	Expires           time.Time `json:"expires,omitzero"`            // from then on Velero deletes it
	KubernetesVersion string    `json:"kubernetesVersion,omitempty"` // of the source cluster
	MetadataSHA256    string    `json:"metadataSha256,omitempty"`    // of velero-backup.json, hex
	ContentsSHA256    string    `json:"contentsSha256,omitempty"`    // of the tarball as stored, hex
	Manifest          bool      `json:"manifest"`                    // whether Lifeboat's digests were there
	// Files are all files of the backup, as the location listed them before the
	// drill read them. Evidence of earlier versions has none.
	Files []File `json:"files,omitempty"`
}

// Stage is one step of the drill and how long it took.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// Items counts the objects of the backup by what became of them.
type Items struct {
	InBackup int `json:"inBackup"`
	// Expected are those the level can hold and restore should create.
	Expected int `json:"expected"`
	Restored int `json:"restored"`
	// RestoredBytes is the JSON of those restored, as the backup holds it, in
	// bytes. Volume data is not in it.
	RestoredBytes int64 `json:"restoredBytes,omitempty"`
	// Equal are restored and the same as in the backup after normalisation.
	Equal int `json:"equal"`
	// Altered are restored, and differ from the backup only in what the admission
	// of the sandbox made of them when they were created.
	Altered   int `json:"altered,omitempty"`
	Different int `json:"different"`
	Missing   int `json:"missing"`
	// Skipped are left out by rule; the reasons are counted in SkippedBy.
	Skipped   int            `json:"skipped"`
	SkippedBy map[string]int `json:"skippedBy,omitempty"`
}

// Check is one question the drill asked.
type Check struct {
	Name    string  `json:"name"` // stable identifier, snake_case
	Verdict Verdict `json:"verdict"`
	Message string  `json:"message,omitempty"`
	// Kind is exec, http, sql or job for a check of the policy, "" for one that
	// is built in.
	Kind    string  `json:"kind,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	// Output is the answer that a check of the policy got, at most MaxOutput
	// bytes of it.
	Output string `json:"output,omitempty"`
}

// MaxOutput bounds Check.Output, in bytes.
const MaxOutput = 4 << 10

// Waived is a finding that does not fail the backup, and why.
type Waived struct {
	Finding
	Reason string `json:"reason"`
}

// Recovery is what a recovery from this backup would have meant.
type Recovery struct {
	// PointSeconds is the age of the backup at the start of the drill: what
	// would have been lost. TimeSeconds is the time from the beginning of the
	// restore until the last check passed.
	PointSeconds float64 `json:"pointSeconds"`
	TimeSeconds  float64 `json:"timeSeconds,omitempty"`
	// The targets of the policy, 0 for none.
	PointTargetSeconds float64 `json:"pointTargetSeconds,omitempty"`
	TimeTargetSeconds  float64 `json:"timeTargetSeconds,omitempty"`
}

// Finding is one thing that is wrong, with the object it is about.
type Finding struct {
	Check   string `json:"check"`
	Object  string `json:"object,omitempty"` // item.Key.String(), or the key of a file in the location
	Message string `json:"message"`
}

// Versions are those of the programs that took part.
type Versions struct {
	Lifeboat   string `json:"lifeboat"`
	Kubernetes string `json:"kubernetes,omitempty"` // of the sandbox
	NodeImage  string `json:"nodeImage,omitempty"`  // of a kind sandbox
}

// Encode writes the report as indented JSON.
func (r Report) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode report %s: %w", r.ID, err)
	}
	return append(b, '\n'), nil
}

// ErrSchema means that evidence is of a form this version does not know.
var ErrSchema = errors.New("unknown evidence schema")

// Decode reads a report, at most MaxSize bytes. Unknown fields are ignored, an
// unknown schema is not.
func Decode(r io.Reader) (Report, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return Report{}, err
	}
	if len(b) > MaxSize {
		return Report{}, fmt.Errorf("evidence is larger than %d bytes", MaxSize)
	}
	return Unmarshal(b)
}

// Unmarshal is Decode of bytes.
func Unmarshal(b []byte) (Report, error) {
	var rep Report
	if err := json.Unmarshal(b, &rep); err != nil {
		return Report{}, fmt.Errorf("decode evidence: %w", err)
	}
	if rep.Schema != Schema {
		return Report{}, fmt.Errorf("%w %q, want %q", ErrSchema, rep.Schema, Schema)
	}
	return rep, nil
}
