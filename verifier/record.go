package verifier

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// answer is a check with what it found of the backup and of the environment.
type answer struct {
	report.Check
	findings, environment []report.Finding
}

// record adds an answer to a report. What the policy accepts is listed apart. A
// check that found something gets the verdict of the findings that are left; one
// that found nothing keeps its own.
func record(rep report.Report, waivers []policy.Waiver, a answer) report.Report {
	c := a.Check
	findings, waived := waive(waivers, a.findings)
	environment, more := waive(waivers, a.environment)
	waived = append(waived, more...)
	switch {
	case len(a.findings)+len(a.environment) == 0:
	case len(findings) > 0:
		c.Verdict = report.Failed
	case len(environment) > 0:
		c.Verdict = report.Error
	default:
		c.Verdict = report.Passed
	}
	if len(waived) > 0 {
		c.Message = strings.TrimPrefix(fmt.Sprintf("%s; %d waived by the policy", c.Message, len(waived)), "; ")
	}
	rep.Checks = append(rep.Checks, c)
	rep.Findings = append(rep.Findings, findings...)
	rep.Environment = append(rep.Environment, environment...)
	rep.Waived = append(rep.Waived, waived...)
	return rep
}

// passing is an answer whose check passes unless it has findings.
func passing(check, message string) answer {
	return answer{Check: report.Check{Name: check, Verdict: report.Passed, Message: message}}
}

// waive separates what the policy accepts, by the first waiver that matches.
func waive(waivers []policy.Waiver, findings []report.Finding) (left []report.Finding, waived []report.Waived) {
	for _, f := range findings {
		i := slices.IndexFunc(waivers, func(w policy.Waiver) bool { return w.Accepts(f.Check, f.Object) })
		if i < 0 {
			left = append(left, f)
			continue
		}
		waived = append(waived, report.Waived{Finding: f, Reason: waivers[i].Reason})
	}
	return left, waived
}

// findingsOf returns the findings of a check.
func findingsOf(check string, findings []report.Finding) []report.Finding {
	var out []report.Finding
	for _, f := range findings {
		if f.Check == check {
			out = append(out, f)
		}
	}
	return out
}
