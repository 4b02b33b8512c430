package probe

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func ptr[T any](v T) *T { return &v }

func TestAnswersAreJudgedByWhatIsExpected(t *testing.T) {
	out := func(o policy.Output) policy.Expect { return policy.Expect{Output: &o} }
	paths := func(path, equals string) policy.Expect {
		return policy.Expect{JSONPath: []policy.JSONIs{{Path: path, Equals: equals}}}
	}
	for name, x := range map[string]struct {
		expect policy.Expect
		answer answer
		wrong  []string
	}{
		"without expectations an exit code of 0 passes":  {policy.Expect{}, answer{}, nil},
		"without expectations any other exit code fails": {policy.Expect{}, answer{exitCode: 3, errors: "no such table\n"}, []string{"exit code 3, expected 0: no such table"}},
		"an exit code that is expected passes":           {policy.Expect{ExitCode: ptr(3)}, answer{exitCode: 3}, nil},
		"0 fails where another is expected":              {policy.Expect{ExitCode: ptr(3)}, answer{}, []string{"exit code 0, expected 3"}},
		"204 passes without expectations":                {policy.Expect{}, answer{status: 204}, nil},
		"a redirect fails without expectations":          {policy.Expect{}, answer{status: 302}, []string{"status 302, expected 200 to 299"}},
		"500 fails without expectations":                 {policy.Expect{}, answer{status: 500}, []string{"status 500, expected 200 to 299"}},
		"a status that is expected passes":               {policy.Expect{Status: ptr(401)}, answer{status: 401}, nil},
		"200 fails where another is expected":            {policy.Expect{Status: ptr(401)}, answer{status: 200}, []string{"status 200, expected 401"}},
		"equals looks past white space around":           {out(policy.Output{Equals: ptr("42")}), answer{output: " 42\n"}, nil},
		"equals is exact inside":                         {out(policy.Output{Equals: ptr("4 2")}), answer{output: "4  2"}, []string{`output "4  2", expected "4 2"`}},
		"nothing can be expected":                        {out(policy.Output{Equals: ptr("")}), answer{output: "x"}, []string{`output "x", expected ""`}},
		"contains":                                       {out(policy.Output{Contains: "rder"}), answer{output: "orders"}, nil},
		"contains not":                                   {out(policy.Output{Contains: "user"}), answer{output: "orders"}, []string{`output "orders", expected to contain "user"`}},
		"matches":                                        {out(policy.Output{Matches: `^\d+ rows$`}), answer{output: "12 rows\n"}, nil},
		"matches not":                                    {out(policy.Output{Matches: `^\d+$`}), answer{output: "12 rows"}, []string{`output "12 rows", expected to match "^\\d+$"`}},
		"within bounds":                                  {out(policy.Output{Min: ptr(1.0), Max: ptr(2.0)}), answer{output: "2"}, nil},
		"below":                                          {out(policy.Output{Min: ptr(1000.0)}), answer{output: "999.5"}, []string{"999.5, expected at least 1000"}},
		"above":                                          {out(policy.Output{Max: ptr(1.0)}), answer{output: "1e3"}, []string{"1000, expected at most 1"}},
		"no number":                                      {out(policy.Output{Min: ptr(1.0)}), answer{output: "many"}, []string{`output "many", expected a number`}},
		"not a number is no number":                      {out(policy.Output{Min: ptr(1.0)}), answer{output: "NaN"}, []string{`output "NaN", expected a number`}},
		"an empty answer is no number":                   {out(policy.Output{Max: ptr(1.0)}), answer{}, []string{`output "", expected a number`}},
		"JSON":                                           {paths("{.status}", "ok"), answer{output: `{"status":"ok"}`}, nil},
		"JSON numbers":                                   {paths(".n", "10000000"), answer{output: `{"n":10000000}`}, nil},
		"JSON that differs":                              {paths("{.status}", "ok"), answer{output: `{"status":"down"}`}, []string{`{.status} is "down", expected "ok"`}},
		"JSON that is absent":                            {paths("{.status}", "ok"), answer{output: `{}`}, []string{`{.status}: status is not found, expected "ok"`}},
		"no JSON":                                        {paths("{.status}", "ok"), answer{output: `<html>`}, []string{`{.status}: the answer is no JSON: invalid character '<' looking for beginning of value, expected "ok"`}},
		"in time":                                        {policy.Expect{Within: &policy.Duration{Duration: time.Second}}, answer{took: time.Second}, nil},
		"too late":                                       {policy.Expect{Within: &policy.Duration{Duration: time.Second}}, answer{took: 1500 * time.Millisecond}, []string{"took 1.50 s, expected within 1s"}},
		"an output that was cut is not judged":           {out(policy.Output{Contains: "x"}), answer{output: "x", cut: true}, []string{"the output is longer than the 1048576 bytes that are read: ask for less"}},
		"an output that was cut does not matter to none": {policy.Expect{}, answer{output: "x", cut: true}, nil},
		"silence is wrong whatever is expected":          {policy.Expect{ExitCode: ptr(1)}, answer{silence: "nothing listens"}, []string{"nothing listens"}},
		"all that is wrong is told": {
			policy.Expect{Status: ptr(200), Output: &policy.Output{Contains: "a"}, JSONPath: []policy.JSONIs{{Path: "x", Equals: "1"}}},
			answer{status: 500, output: `{"x":2}`},
			[]string{"status 500, expected 200", `output "{\"x\":2}", expected to contain "a"`, `x is "2", expected "1"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, x.wrong, judge(policy.Check{Expect: x.expect}, x.answer))
		})
	}
}

func TestNoFormOfAKnownSecretIsShown(t *testing.T) {
	var s secrets
	for _, v := range []string{"hunter2", `pa"ss\word`, "", "a b/c+d", "hunter2longer"} {
		s.add(v)
	}
	for name, text := range map[string]string{
		"as it is":       "it is hunter2.",
		"in JSON":        `{"p":"pa\"ss\\word"}`,
		"in a query":     "?p=a+b%2Fc%2Bd",
		"in a path":      "/a%20b%2Fc+d",
		"in base64":      "Basic " + base64.StdEncoding.EncodeToString([]byte("hunter2")),
		"inside another": "hunter2longer",
		"twice":          "hunter2hunter2",
	} {
		hidden := s.hide(text)
		assert.Contains(t, hidden, "***", name)
		for _, v := range []string{"hunter2", "longer", "word", "aHVudGVyM", "b%2Fc"} {
			assert.NotContains(t, hidden, v, name)
		}
	}
	assert.Equal(t, "nothing", s.hide("nothing"))
}

func TestWhatTheEvidenceShowsIsBoundedAndHidesSecretsBeforeItIsCut(t *testing.T) {
	r := runner{}
	r.secrets.add("hunter2")
	o := outcome{answer: answer{output: strings.Repeat("x", report.MaxOutput-3) + "hunter2" + strings.Repeat("é", 5000), errors: "hunter2"}, wrong: []string{strings.Repeat("y", 5000) + "hunter2"}}
	got := r.result(policy.Check{Name: "c", SQL: &policy.SQL{}}, o, 1, time.Second)
	assert.LessOrEqual(t, len(got.Check.Output), report.MaxOutput)
	assert.LessOrEqual(t, len(got.Check.Message), maxMessage)
	assert.NotContains(t, got.Check.Output, "hun")
	assert.True(t, strings.HasSuffix(got.Check.Output, "… (cut)"))
	assert.Equal(t, "check/c", got.Check.Name)
	assert.Equal(t, "sql", got.Check.Kind)
	assert.Equal(t, got.Check.Message, got.Findings[0].Message)
}

func FuzzJudge(f *testing.F) {
	f.Add("a(b)*", "{.a}", "abb", `{"a":1}`)
	f.Add(`^\d+$`, "a.b[0]", "1", "12")
	f.Fuzz(func(t *testing.T, pattern, path, equals, output string) {
		e := policy.Expect{
			Output:   &policy.Output{Equals: &equals, Matches: pattern, Min: ptr(0.0)},
			JSONPath: []policy.JSONIs{{Path: path, Equals: equals}},
		}
		for _, w := range judge(policy.Check{Expect: e}, answer{output: output}) {
			assert.NotEmpty(t, w)
		}
	})
}
