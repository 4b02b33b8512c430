package alerting_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// The alerts wait for minutes and look back for days. So that a test need not,
// their times are divided, and nothing else of them is changed:
//
//   - "for", "keep_firing_for" and the interval of a group;
//   - ranges, the steps of subqueries, and offsets;
//   - numbers of secondsFrom and more: what is compared with an age is seconds,
//     and no count or ratio in the rules is as large.
//
// The divisor is compression, and for a rule that waits longer than a day (its
// "for" and its longest offset together) so much more that it waits no longer
// than one of a day. What is waited for or looked back on does not become
// shorter than floor, which is a few scrapes: one that comes late is no cause.
const (
	compression = 600
	secondsFrom = 60
	longWait    = 24 * time.Hour
)

// compressor divides the times of rules.
type compressor struct{ floor time.Duration }

// file returns a rule file with its times divided.
func (c compressor) file(raw []byte) ([]byte, error) {
	var f map[string]any
	if err := yaml.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	for _, g := range list(f["groups"]) {
		group := g.(map[string]any)
		if _, ok := group["interval"]; ok {
			group["interval"] = c.divided(text(group["interval"]), compression, c.floor)
		}
		for _, r := range list(group["rules"]) {
			c.rule(r.(map[string]any))
		}
	}
	return yaml.Marshal(f)
}

func (c compressor) rule(rule map[string]any) {
	by := divisor(rule)
	for _, field := range []string{"for", "keep_firing_for"} {
		if _, ok := rule[field]; ok {
			rule[field] = c.divided(text(rule[field]), by, c.floor)
		}
	}
	rule["expr"] = c.expression(text(rule["expr"]), by)
}

// divisor is compression, or more for a rule that waits long.
func divisor(rule map[string]any) float64 {
	wait := time.Duration(0)
	for _, m := range offset.FindAllStringSubmatch(text(rule["expr"]), -1) {
		wait = max(wait, duration(m[1]))
	}
	if rule["for"] != nil {
		wait += duration(text(rule["for"]))
	}
	return compression * max(1, float64(wait)/float64(longWait))
}

var (
	offset = regexp.MustCompile(`\boffset\s+([0-9a-z]+)`)
	// tokens are strings and names, which stay; and what begins with a digit: a
	// duration or a number.
	tokens = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[A-Za-z_][\w:]*|#[^\n]*|[0-9][0-9a-zA-Z.]*|\[|\]`)
)

// expression divides the times in an expression, and leaves everything else as
// it is, byte by byte.
func (c compressor) expression(expr string, by float64) string {
	inRange := false
	return tokens.ReplaceAllStringFunc(expr, func(token string) string {
		switch {
		case token == "[" || token == "]":
			inRange = token == "["
			return token
		case token[0] < '0' || token[0] > '9':
			return token
		}
		if n, err := strconv.ParseFloat(token, 64); err == nil {
			if n < secondsFrom {
				return token
			}
			return strconv.FormatFloat(n/by, 'f', -1, 64)
		}
		if inRange {
			return c.divided(token, by, c.floor)
		}
		return c.divided(token, by, 0) // an offset
	})
}

// divided is a duration divided, at least floor, in whole milliseconds.
func (c compressor) divided(d string, by float64, floor time.Duration) string {
	return fmt.Sprintf("%dms", max(time.Duration(float64(duration(d))/by), floor).Milliseconds())
}

// duration is one in Prometheus' form; a rule file that holds another one is
// not what promtool has checked.
func duration(s string) time.Duration {
	d, err := model.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return time.Duration(d)
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func TestOnlyTheTimesOfARuleAreDivided(t *testing.T) {
	c := compressor{floor: 5 * time.Second}
	for name, tc := range map[string]struct{ expr, want string }{
		"an age in seconds":                {`time() - max by (cluster) (x{source="kube"}) > 600`, `time() - max by (cluster) (x{source="kube"}) > 1`},
		"a count, a factor and a verdict":  {`a >= 3 and b > 4 * clamp_min(c, 900) and d == 1`, `a >= 3 and b > 4 * clamp_min(c, 1.5) and d == 1`},
		"a range, not below the floor":     {`max_over_time(x[14d]) and last_over_time(x[10m])`, `max_over_time(x[2016000ms]) and last_over_time(x[5000ms])`},
		"a subquery":                       {`avg_over_time((x > 0)[28d:1h])`, `avg_over_time((x > 0)[4032000ms:6000ms])`},
		"an offset":                        {`x offset 1h`, `x offset 6000ms`},
		"digits in names and strings stay": {`x_1h{le="3600",job=~'a600|b'} # 700` + "\n> 60", `x_1h{le="3600",job=~'a600|b'} # 700` + "\n> 0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, c.expression(tc.expr, compression))
		})
	}
}

func TestARuleThatWaitsForDaysIsDividedByMore(t *testing.T) {
	out, err := compressor{floor: time.Second}.file([]byte(`
groups:
- name: g
  interval: 1m
  rules:
  - {alert: Slow, expr: "x offset 7d", for: 1d, labels: {severity: warning}, annotations: {description: "after 7d: 600"}}
  - {alert: Fast, expr: "x", for: 10m}
`))
	require.NoError(t, err)
	assert.YAMLEq(t, `
groups:
- name: g
  interval: 1000ms
  rules:
  - {alert: Slow, expr: "x offset 126000ms", for: 18000ms, labels: {severity: warning}, annotations: {description: "after 7d: 600"}}
  - {alert: Fast, expr: "x", for: 1000ms}
`, string(out))
}

// Whoever writes a large number into a rule sees here that it is taken for
// seconds.
func TestEveryNumberThatIsDividedIsANumberOfSeconds(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "alerts", "lifeboat.rules.yml"))
	require.NoError(t, err)
	compressed, err := compressor{floor: time.Second}.file(raw)
	require.NoError(t, err)
	before, after := expressions(t, raw), expressions(t, compressed)
	require.Len(t, after, len(before))
	digits := regexp.MustCompile(`\b[0-9][0-9a-z.]*\b`)
	seconds := map[string]bool{}
	for name, expr := range before {
		assert.Equal(t, digits.ReplaceAllString(expr, "0"), digits.ReplaceAllString(after[name], "0"), "the structure of %s stays", name)
		for _, n := range numbers.FindAllString(expr, -1) {
			if v, err := strconv.ParseFloat(strings.TrimSpace(n), 64); err == nil && v >= secondsFrom {
				seconds[name+" "+strings.TrimSpace(n)] = true
			}
		}
	}
	assert.ElementsMatch(t, []string{
		"LifeboatBackupStuck 900", "LifeboatRepoMaintenanceStale 604800", "LifeboatScheduleNotRunning 600", "cluster_namespace:lifeboat_exporter_up:last_seen 2592000",
		"namespace_schedule:lifeboat_schedule_info:last_seen 2592000", "namespace_schedule:lifeboat_schedule_valid:last_seen 2592000",
	}, slices.Collect(maps.Keys(seconds)))
}

var numbers = regexp.MustCompile(`(?:^|[\s(,])[0-9.]+\b`)

// root of the repository.
const root = "../../.."

// expressions are those of a rule file, by the name of alert or record.
func expressions(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, r := range rules(t, raw) {
		out[r.name()] = r.Expr
	}
	require.NotEmpty(t, out)
	return out
}

// rule is what the tests need to know of one.
type rule struct {
	Alert, Record, Expr, For string
	Labels, Annotations      map[string]string
}

func (r rule) name() string { return r.Alert + r.Record }

func rules(t *testing.T, raw []byte) []rule {
	t.Helper()
	var f struct {
		Groups []struct{ Rules []rule }
	}
	require.NoError(t, yaml.Unmarshal(raw, &f))
	var out []rule
	for _, g := range f.Groups {
		out = append(out, g.Rules...)
	}
	require.NotEmpty(t, out)
	return out
}
