package probe

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// answer is what came back.
type answer struct {
	status   int // of HTTP; 0 for what has an exit code
	exitCode int
	output   string // standard output, the body, the result of a query, the log of a Job
	errors   string // standard error
	cut      bool   // there was more output than maxAnswer
	took     time.Duration
	// silence means that the question was put and not answered, and how.
	silence string
	note    string // what else a reader should know
}

func (a answer) String() string {
	what := fmt.Sprintf("exit code %d", a.exitCode)
	if a.status != 0 {
		what = fmt.Sprintf("status %d", a.status)
	}
	what += fmt.Sprintf(" within %.2f s", a.took.Seconds())
	if a.note != "" {
		what += "; " + a.note
	}
	return what
}

// shown is what the evidence has of the output: standard error too, unless all
// is well.
func (a answer) shown(passed bool) string {
	if passed || a.errors == "" {
		return a.output
	}
	if a.output == "" {
		return a.errors
	}
	return strings.TrimSuffix(a.output, "\n") + "\n" + a.errors
}

// judge compares an answer with what the check expects, and reports in which
// respects it is wrong.
func judge(c policy.Check, a answer) (wrong []string) {
	if a.silence != "" {
		return []string{a.silence}
	}
	e := c.Expect
	wrong = append(wrong, judgeEnd(e, a)...)
	output := strings.TrimSpace(a.output)
	if (e.Output != nil || len(e.JSONPath) > 0) && a.cut {
		wrong = append(wrong, fmt.Sprintf("the output is longer than the %d bytes that are read: ask for less", maxAnswer))
	} else {
		if e.Output != nil {
			wrong = append(wrong, judgeOutput(*e.Output, output)...)
		}
		for _, j := range e.JSONPath {
			wrong = append(wrong, judgeJSON(j, output)...)
		}
	}
	if e.Within != nil && a.took > e.Within.Duration {
		wrong = append(wrong, fmt.Sprintf("took %.2f s, expected within %s", a.took.Seconds(), e.Within))
	}
	return wrong
}

// judgeEnd judges the status or the exit code, which are always expected of.
func judgeEnd(e policy.Expect, a answer) []string {
	if a.status != 0 {
		switch {
		case e.Status != nil && a.status != *e.Status:
			return []string{fmt.Sprintf("status %d, expected %d", a.status, *e.Status)}
		case e.Status == nil && (a.status < 200 || a.status > 299):
			return []string{fmt.Sprintf("status %d, expected 200 to 299", a.status)}
		}
		return nil
	}
	expected := 0
	if e.ExitCode != nil {
		expected = *e.ExitCode
	}
	if a.exitCode == expected {
		return nil
	}
	what := fmt.Sprintf("exit code %d, expected %d", a.exitCode, expected)
	if said := strings.Join(strings.Fields(a.errors), " "); said != "" {
		what += ": " + excerpt(said)
	}
	return []string{what}
}

func judgeOutput(o policy.Output, output string) (wrong []string) {
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if o.Equals != nil && output != strings.TrimSpace(*o.Equals) {
		add("output %q, expected %q", excerpt(output), excerpt(strings.TrimSpace(*o.Equals)))
	}
	if o.Contains != "" && !strings.Contains(output, o.Contains) {
		add("output %q, expected to contain %q", excerpt(output), excerpt(o.Contains))
	}
	if o.Matches != "" {
		re, err := regexp.Compile(o.Matches)
		if err != nil || !re.MatchString(output) {
			add("output %q, expected to match %q", excerpt(output), excerpt(o.Matches))
		}
	}
	if o.Min == nil && o.Max == nil {
		return wrong
	}
	n, err := strconv.ParseFloat(output, 64)
	switch {
	case err != nil || math.IsNaN(n):
		add("output %q, expected a number", excerpt(output))
	case o.Min != nil && n < *o.Min:
		add("%v, expected at least %v", n, *o.Min)
	case o.Max != nil && n > *o.Max:
		add("%v, expected at most %v", n, *o.Max)
	}
	return wrong
}

func judgeJSON(j policy.JSONIs, output string) []string {
	path, err := cluster.ParseJSONPath(j.Path)
	if err != nil {
		return []string{err.Error()}
	}
	switch got, err := path.Find([]byte(output)); {
	case err != nil:
		return []string{fmt.Sprintf("%s: %s, expected %q", j.Path, excerpt(err.Error()), excerpt(j.Equals))}
	case got != j.Equals:
		return []string{fmt.Sprintf("%s is %q, expected %q", j.Path, excerpt(got), excerpt(j.Equals))}
	}
	return nil
}

// mostExcerpt is how many bytes of an answer a message repeats.
const mostExcerpt = 200

func excerpt(s string) string {
	if len(s) <= mostExcerpt {
		return s
	}
	return strings.ToValidUTF8(s[:mostExcerpt], "") + "…"
}
