// Package sabotage is the corpus that measures what drills are worth: ways in
// which a backup can be bad or its surroundings can fail, each made by code
// from a healthy backup, each with the verdict and the finding that it must
// lead to, and healthy backups that must pass.
//
// A case says which level is the cheapest that can see it. Below that level its
// verdict is passed, by design: that is written down here, so that no one
// believes more of a level than it proves.
//
// A saboteur is careless or careful. The careless one changes the tarball and
// leaves the records of it as they were; the careful one changes the records
// too, digests included, so that only a restore can tell.
package sabotage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Source is a healthy backup that cases are made from.
type Source string

// The sources.
const (
	Ours      Source = "Lifeboat"
	Encrypted Source = "Lifeboat, encrypted"
	Veleros   Source = "Velero"
)

// Case is one way to be bad, or one healthy backup.
type Case struct {
	// Name is a sentence about what is wrong.
	Name string
	From Source
	// Make spoils a copy of the source; nil leaves it as it is.
	Make func(*Backup) error
	// Under arranges the surroundings of the drill; nil leaves them healthy.
	Under func(testing.TB, *Drill)
	Want  Expectation
}

// Expectation is what a drill must say. The zero value is that a healthy
// backup passes.
type Expectation struct {
	// Level is the cheapest that sees it. If it is empty, every level passes.
	Level   report.Level
	Verdict report.Verdict // failed or error, from Level on
	// Finding, of a failed drill, must be among its findings: the check and the
	// object as they are (no object: any), and a piece of the message. Message, of an error, is
	// a piece of the summary, of a stage's error or, of a drill that was
	// refused, of what the program says.
	Finding report.Finding
	// NoEvidence says that none can be written.
	NoEvidence bool
	// Beyond says that something is wrong that no level can see: every record
	// agrees, an API server takes it, and nothing that runs misses it.
	Beyond bool
}

// seenBy expects a failed drill from a level on.
func seenBy(level report.Level, check, object, message string) Expectation {
	return Expectation{Level: level, Verdict: report.Failed, Finding: report.Finding{Check: check, Object: object, Message: message}}
}

// cannotTell expects an error from a level on.
func cannotTell(level report.Level, message string) Expectation {
	return Expectation{Level: level, Verdict: report.Error, Finding: report.Finding{Message: message}}
}

// At is the verdict that a drill of this level must have.
func (e Expectation) At(level report.Level) report.Verdict {
	if e.Level == "" || !level.Proves(e.Level) {
		return report.Passed
	}
	return e.Verdict
}

// Seen is what a drill said.
type Seen struct {
	Level    report.Level     `json:"level"`
	Verdict  report.Verdict   `json:"verdict"`
	Summary  string           `json:"summary,omitempty"`
	Errors   []string         `json:"errors,omitempty"` // of its stages
	Findings []report.Finding `json:"findings,omitempty"`
	Seconds  float64          `json:"seconds"`
}

// Outcome judges a drill by what was expected of it.
type Outcome string

// The outcomes. Right is a passed drill that had to pass; the last four are
// faults of the product.
const (
	Right      Outcome = "passed"
	Caught     Outcome = "caught"
	Missed     Outcome = "missed"      // passed, and should not have
	FalseAlarm Outcome = "false alarm" // the backup is said to be bad, and nothing is wrong with it at this level
	Confused   Outcome = "confused"    // failed for error, error for failed, or error for passed
	Misnamed   Outcome = "misnamed"    // the right verdict without the finding it must rest on
)

// Good says that the outcome is as it should be.
func (o Outcome) Good() bool { return o == Right || o == Caught }

// Judge says what a drill is worth.
func (e Expectation) Judge(s Seen) Outcome {
	want := e.At(s.Level)
	switch {
	case want == report.Passed && s.Verdict == report.Passed:
		return Right
	case s.Verdict == report.Passed:
		return Missed
	case want != report.Failed && s.Verdict == report.Failed:
		return FalseAlarm
	case want != s.Verdict:
		return Confused
	case !e.named(s):
		return Misnamed
	}
	return Caught
}

func (e Expectation) named(s Seen) bool {
	if e.Verdict == report.Error {
		return slices.ContainsFunc(append(s.Errors, s.Summary), func(said string) bool { return strings.Contains(said, e.Finding.Message) })
	}
	for _, f := range s.Findings {
		if f.Check == e.Finding.Check && (f.Object == e.Finding.Object || e.Finding.Object == "") && strings.Contains(f.Message, e.Finding.Message) {
			return true
		}
	}
	return false
}

// String is how tables show an expectation.
func (e Expectation) String() string {
	switch {
	case e.Beyond:
		return "passed: beyond proof"
	case e.Level == "":
		return "passed"
	}
	return fmt.Sprintf("%s at %s", e.Verdict, e.Level)
}

// All is the corpus.
func All() []Case {
	var all []Case
	for _, some := range [][]Case{files(), records(), items(), objects(), workloads(), surroundings(), healthy()} {
		all = append(all, some...)
	}
	return all
}
