// Package probe asks the checks of a DrillPolicy of what a drill restored: a
// command in a pod, a request to a Service, a query through a database's own
// client, a Job.
//
// A check is asked again until it has passed or its time is over, because what
// was restored may still be starting. The last attempt that came to the end then
// decides: a wrong answer is failed; a question that could not be put (no ready
// pod, no client program, an image that is missing, a reference that leads
// nowhere, an API server that does not answer) is error. When no attempt came to
// its end, it is failed if the question had been put and the API server still
// answers, else error. The rule is written for users in docs/policy.md.
//
// Values that a policy refers to do not appear in what is returned.
package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Prefix precedes the name of a policy's check in evidence, so that it cannot be
// confused with a built-in check.
const Prefix = "check/"

// The pauses between two attempts: each is twice the one before.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 5 * time.Second
)

// maxAnswer bounds what is read of an answer, in bytes. The evidence has the
// first report.MaxOutput of it.
const maxAnswer = 1 << 20

// Options of Run.
type Options struct {
	Now func() time.Time // required
	// Progress, if set, is called with the check that runs and the number of its
	// attempt.
	Progress func(check string, attempt int)
}

// Result is the answer to one check.
type Result struct {
	Check report.Check
	// Findings has one when the check failed, Environment one when it could not
	// be asked.
	Findings, Environment []report.Finding
}

// Run asks the checks of the cluster one after the other, in their order, and
// returns their results in that order. When ctx ends, those that have not passed
// are errors.
func Run(ctx context.Context, c *cluster.Client, checks []policy.Check, o Options) []Result {
	r := runner{cluster: c, Options: o}
	r.learn(ctx, checks)
	results := make([]Result, len(checks))
	for i, check := range checks {
		results[i] = r.check(ctx, check)
	}
	return results
}

type runner struct {
	Options
	cluster *cluster.Client
	secrets secrets
}

// question is one attempt to get an answer.
type question struct {
	// object is what is asked, as soon as it is known.
	object string
	// put means that the question has left: from then on, silence is an answer.
	put bool
	// held is what it waited for, as long as it had not left.
	held string
}

// outcome is a completed attempt: an answer and what is wrong with it, or why there
// is no answer.
type outcome struct {
	object string
	answer answer
	wrong  []string
	err    error
}

func (o outcome) passed() bool { return o.err == nil && len(o.wrong) == 0 }

// check asks until the check passes or its time is over.
func (r *runner) check(ctx context.Context, c policy.Check) Result {
	began := r.Now()
	timed, cancel := context.WithTimeout(ctx, c.Timeout.Duration)
	defer cancel()
	var last *outcome
	q, attempts := question{}, 0
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		attempts++
		if r.Progress != nil {
			r.Progress(c.Name, attempts)
		}
		q = question{object: about(c), put: q.put}
		a, err := r.ask(timed, c, &q)
		if err == nil || !over(err) {
			last = &outcome{object: q.object, answer: a, err: err}
			if err == nil {
				last.wrong = judge(c, a)
			}
			if last.passed() {
				break
			}
		}
		if !cluster.Sleep(timed, pause) {
			break
		}
	}
	if last == nil || !last.passed() {
		last = r.settle(ctx, c, last, q)
	}
	return r.result(c, *last, attempts, r.Now().Sub(began))
}

// over reports whether an attempt was cut off by the end of its time.
func over(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// settle decides on a check whose time is over and that has not passed.
func (r *runner) settle(ctx context.Context, c policy.Check, last *outcome, q question) *outcome {
	switch {
	case ctx.Err() != nil:
		return &outcome{object: q.object, err: fmt.Errorf("the drill's time ended before it was answered: %w", context.Cause(ctx))}
	case last == nil && !q.put:
		return &outcome{object: q.object, err: errors.New(strings.TrimSuffix(fmt.Sprintf("could not be run within %s: %s", c.Timeout, q.held), ": "))}
	case last == nil:
		last = &outcome{object: q.object, answer: answer{silence: fmt.Sprintf("gave no answer within %s", c.Timeout)}}
		last.wrong = judge(c, last.answer)
	}
	if last.answer.silence == "" {
		return last
	}
	// Silence of the application and of the whole cluster look alike.
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	if _, err := r.cluster.Version(ctx); err != nil {
		return &outcome{object: last.object, err: fmt.Errorf("%s, and the API server of the sandbox does not answer: %w", last.answer.silence, err)}
	}
	return last
}

// reachLimit bounds the question whether the API server answers at all.
const reachLimit = 5 * time.Second

func (r *runner) ask(ctx context.Context, c policy.Check, q *question) (answer, error) {
	switch {
	case c.Exec != nil:
		return r.exec(ctx, *c.Exec, q)
	case c.HTTP != nil:
		return r.http(ctx, *c.HTTP, q)
	case c.SQL != nil:
		return r.sql(ctx, *c.SQL, q)
	case c.Job != nil:
		return r.job(ctx, c.Name, *c.Job, q)
	}
	return answer{}, errors.New("asks nothing")
}

// about is what a check is about, as long as no more is known.
func about(c policy.Check) string {
	switch {
	case c.Exec != nil:
		return c.Exec.Target.String()
	case c.SQL != nil:
		return c.SQL.Target.String()
	case c.HTTP != nil:
		return "services " + c.HTTP.Namespace + "/" + c.HTTP.Service
	}
	return ""
}

// result is what the evidence shows of an outcome.
func (r *runner) result(c policy.Check, o outcome, attempts int, took time.Duration) Result {
	out := Result{Check: report.Check{
		Name: Prefix + c.Name, Kind: c.Kind(), Seconds: took.Seconds(), Verdict: report.Passed,
		Output: clip(r.secrets.hide(o.answer.shown(o.passed())), report.MaxOutput),
	}}
	switch {
	case o.err != nil:
		out.Check.Verdict = report.Error
		out.Check.Message = o.err.Error()
	case len(o.wrong) > 0:
		out.Check.Verdict = report.Failed
		out.Check.Message = strings.Join(o.wrong, "; ")
	default:
		out.Check.Message = o.answer.String()
	}
	if attempts > 1 {
		out.Check.Message += fmt.Sprintf(" (attempt %d, after %.1f s)", attempts, took.Seconds())
	}
	out.Check.Message = clip(r.secrets.hide(out.Check.Message), maxMessage)
	found := []report.Finding{{Check: out.Check.Name, Object: o.object, Message: out.Check.Message}}
	switch out.Check.Verdict {
	case report.Failed:
		out.Findings = found
	case report.Error:
		out.Environment = found
	}
	return out
}

// maxMessage bounds a message, in bytes.
const maxMessage = 2 << 10

// clip cuts a text at a character and says so.
func clip(s string, most int) string {
	const mark = "… (cut)"
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len(mark)], "") + mark
}
