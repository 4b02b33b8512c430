package verifier

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// record writes down a check with what it found of the backup and of the
// environment. What the policy accepts is set apart. A check that found
// something has the verdict that is left; one that found nothing keeps its own.
func (r *run) record(c report.Check, findings, environment []report.Finding) {
	rep := &r.report
	found := len(findings) + len(environment)
	findings, waived := waive(r.Spec.Waivers, findings)
	environment, more := waive(r.Spec.Waivers, environment)
	waived = append(waived, more...)
	switch {
	case found == 0:
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
}

// waive sets apart what the policy accepts, by the first waiver that matches.
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

// of are the findings of a check.
func of(check string, findings []report.Finding) []report.Finding {
	var out []report.Finding
	for _, f := range findings {
		if f.Check == check {
			out = append(out, f)
		}
	}
	return out
}
