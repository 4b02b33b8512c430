// Package check checks that a backup in a location is whole: every file exists,
// every byte is as it was written, and the records agree with each other. It needs
// only the location.
//
// Gather reads each file once and makes an Input. The checks are functions of an
// Input alone: they find what is wrong and never guess. A check whose input is
// missing reports that and is an error, not a failure: report.Failed means that the
// backup is bad, report.Error that the check was inconclusive.
//
// What is not proven: that the objects can be restored, that the content of volume
// data can be read unless that was asked for, and, for a backup without Lifeboat's
// manifest, that velero-backup.json is as it was written (gzip guards the other files
// with sums of its own, plain JSON has none).
package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Func finds what is wrong in an Input. It looks at nothing else.
type Func func(Input) []report.Finding

// Check is one question asked of a backup.
type Check struct {
	// Name is stable: evidence and metrics carry it.
	Name string
	// Find answers it.
	Find Func
	// asks reports whether the check applies to this backup; nil means always.
	asks func(Input) bool
	// needs are the files without which there is no answer; reads are those
	// whose absence leaves it incomplete.
	needs, reads func(Input) []string
	// unknown says what could not be checked, "" if everything was.
	unknown func(Input) string
	// note is a remark on an answer, "" for none.
	note func(Input) string
}

// MaxFindings bounds the findings kept of one check; what is over is counted
// in one more.
const MaxFindings = 100

// All returns the checks in the order they are asked.
func All() []Check {
	return []Check{
		filesPresent(),
		metadataValid(),
		manifestConsistent(),
		filesDigests(),
		archiveReadable(),
		itemsDigests(),
		resourceListAgrees(),
		countsAgree(),
		volumeRecordsConsistent(),
		volumeDataReadable(),
		operationsAgree(),
		resultsReadable(),
		companionsReadable(),
	}
}

// Decide asks every check that applies to the backup. Findings are in the
// order of the checks and sorted within each.
func Decide(in Input) ([]report.Check, []report.Finding) {
	var checks []report.Check
	var findings []report.Finding
	for _, c := range All() {
		if c.asks != nil && !c.asks(in) {
			continue
		}
		result, found := c.decide(in)
		checks = append(checks, result)
		findings = append(findings, found...)
	}
	return checks, findings
}

func (c Check) decide(in Input) (report.Check, []report.Finding) {
	if reason := in.unusable(c.files(c.needs, in)); reason != "" {
		return report.Check{Name: c.Name, Verdict: report.Error, Message: "not checked: " + reason}, nil
	}
	found := c.Find(in)
	for i := range found {
		found[i].Check = c.Name
	}
	found = capped(c.Name, found)
	switch unread := in.unreadable(c.files(c.reads, in)); {
	case len(found) > 0:
		return report.Check{Name: c.Name, Verdict: report.Failed, Message: found[0].Message}, found
	case unread != "":
		return report.Check{Name: c.Name, Verdict: report.Error, Message: "not checked in full: " + unread}, nil
	}
	if c.unknown != nil {
		if why := c.unknown(in); why != "" {
			return report.Check{Name: c.Name, Verdict: report.Error, Message: "not checked in full: " + why}, nil
		}
	}
	passed := report.Check{Name: c.Name, Verdict: report.Passed}
	if c.note != nil {
		passed.Message = c.note(in)
	}
	return passed, nil
}

func (c Check) files(of func(Input) []string, in Input) []string {
	if of == nil {
		return nil
	}
	return of(in)
}

// capped sorts findings and keeps the first MaxFindings.
func capped(name string, f []report.Finding) []report.Finding {
	slices.SortStableFunc(f, func(a, b report.Finding) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Message, b.Message))
	})
	if over := len(f) - MaxFindings; over > 0 {
		f = append(f[:MaxFindings:MaxFindings], report.Finding{Check: name, Message: fmt.Sprintf("and %d more", over)})
	}
	return f
}

// Verdict sums up: failed when anything is wrong, error when nothing is known
// to be wrong but not everything could be checked.
func Verdict(checks []report.Check, findings []report.Finding) report.Verdict {
	if len(findings) > 0 {
		return report.Failed
	}
	for _, c := range checks {
		if c.Verdict == report.Error {
			return report.Error
		}
	}
	return report.Passed
}
