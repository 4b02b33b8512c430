package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

var update = flag.Bool("update", false, "write the golden files")

func forms(t *testing.T, r report.Report) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for ext, encode := range map[string]func() ([]byte, error){"json": r.Encode, "xml": r.JUnit, "html": r.HTML} {
		b, err := encode()
		require.NoError(t, err)
		out[ext] = b
	}
	return out
}

func TestEvidenceIsAsRecorded(t *testing.T) {
	for name, r := range samples() {
		first, second := forms(t, r), forms(t, r)
		for ext, got := range first {
			assert.Equal(t, string(second[ext]), string(got), "the same report makes the same bytes")
			if name == "failed-many" && ext != "xml" || name == "hostile" && ext == "json" {
				continue // long, and nothing of its own
			}
			path := filepath.Join("testdata", name+"."+ext)
			if *update {
				require.NoError(t, os.WriteFile(path, got, 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got), "%s; go test ./verifier/report -update, and look at the difference", path)
		}
	}
}

func TestEvidenceIsReadAsItWasWritten(t *testing.T) {
	for name, r := range samples() {
		if name == "hostile" {
			continue // not UTF-8, which JSON cannot hold
		}
		raw, err := r.Encode()
		require.NoError(t, err)
		got, err := report.Decode(bytes.NewReader(raw))
		require.NoError(t, err)
		assert.Equal(t, r, got, name)
	}
}

// elements are the names of the page's elements in order, with what their
// attributes hold.
func elements(t *testing.T, page []byte) (names []string, attributes map[string][]string, text string) {
	t.Helper()
	attributes = map[string][]string{}
	var b strings.Builder
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			require.ErrorIs(t, z.Err(), io.EOF)
			return names, attributes, b.String()
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			names = append(names, tok.Data)
			for _, a := range tok.Attr {
				attributes[a.Key] = append(attributes[a.Key], a.Val)
			}
		case html.TextToken:
			b.WriteString(z.Token().Data)
		}
	}
}

func TestWhateverIsInAReportIsShownAsText(t *testing.T) {
	page := forms(t, hostile())["html"]
	names, attributes, text := elements(t, page)
	for _, n := range names {
		assert.NotContains(t, []string{"script", "img", "iframe", "object", "link", "form", "base"}, n)
	}
	for name, values := range attributes {
		assert.False(t, strings.HasPrefix(name, "on"), "handler %s", name)
		assert.NotContains(t, []string{"src", "style", "action"}, name)
		for _, v := range values {
			assert.NotContains(t, v, "javascript:")
			if name == "href" {
				assert.True(t, strings.HasPrefix(v, "#"), "the page refers to itself only: %s", v)
			}
		}
	}
	assert.Contains(t, text, `<script>alert(1)</script><img src=x onerror=alert(2)>`, "it is there to be read")
	assert.True(t, utf8.Valid(page))
	for _, c := range "\u202e\u2066\x00\x1b\x07\u0085\ufeff" {
		assert.NotContains(t, string(page), string(c), "%U", c)
	}
	structure := func(r report.Report) []string {
		names, _, _ := elements(t, forms(t, r)["html"])
		return names
	}
	tame := hostile()
	replaceText(reflect.ValueOf(&tame).Elem(), "tame")
	assert.Equal(t, structure(tame), names, "text adds no element")
}

// replaceText sets every text of a report.
func replaceText(v reflect.Value, to string) {
	switch v.Kind() {
	case reflect.Pointer:
		replaceText(v.Elem(), to)
	case reflect.String:
		if v.String() != "" {
			v.SetString(to)
		}
	case reflect.Slice:
		for i := range v.Len() {
			replaceText(v.Index(i), to)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			n := v.MapIndex(k)
			v.SetMapIndex(k, reflect.Value{})
			v.SetMapIndex(reflect.ValueOf(to), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				replaceText(v.Field(i), to)
			}
		}
	}
}

func TestAPageNeedsNothingElse(t *testing.T) {
	policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-([^']+)'; base-uri 'none'; form-action 'none'">`)
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	for name, r := range samples() {
		page := forms(t, r)["html"]
		m := policy.FindSubmatch(page)
		require.NotNil(t, m, name)
		sum := sha256.Sum256(style.FindSubmatch(page)[1])
		assert.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), string(m[1]), "a browser applies the style only if it is the one the policy names")
		css := string(style.FindSubmatch(page)[1])
		for _, out := range []string{"url(", "@import", "http"} {
			assert.NotContains(t, css, out)
		}
	}
}

func TestAPageSaysWhatADrillFoundOut(t *testing.T) {
	for name, want := range map[string][]string{
		"passed-integrity":    {"PASSED", "matches its SHA-256 digest", "that an API server accepts the objects", "This level restores none."},
		"passed-controlplane": {"accepted all 1912 expected objects", "every restored item equals the backup", "owned by a controller that recreates it", "that workloads start and become ready"},
		"passed-kind":         {"shop answers", `"orders": 4711`, "1 h 00 min", "33.6 s", "15 min 00 s", "kept", "CronJobs suspended", "kindest/node:v1.34.4"},
		"failed-one":          {"FAILED", "Nothing. The backup failed the drill.", "widgets.apps.example.com shop/widget-000", "does not serve"},
		"error-images":        {"ERROR", "Nothing. The drill did not complete", "registry.internal/shop/web:2.4.1", "do not mean that the backup is bad", "OPS-112", "3 images are not available"},
	} {
		_, _, text := elements(t, forms(t, samples()[name])["html"])
		for _, w := range want {
			assert.Contains(t, text, w, name)
		}
	}
}

func TestEveryOfHundredsOfFindingsIsOnThePageAndTheJSONHasTheRest(t *testing.T) {
	r := refuted(300)
	_, _, text := elements(t, forms(t, r)["html"])
	for _, f := range r.Findings {
		assert.Contains(t, text, f.Object)
	}
	r = refuted(30_000)
	page := forms(t, r)["html"]
	_, _, text = elements(t, page)
	assert.Contains(t, text, "18000 more are in the JSON")
	assert.Less(t, len(page), 2<<20, "a browser can show it")
}

func TestEveryBuiltInCheckIsExplainedOnThePage(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "drills.md"))
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| (`[a-z_`, ]+`) \\| ")
	names := 0
	for _, m := range row.FindAllStringSubmatch(string(doc), -1) {
		for _, name := range regexp.MustCompile("[a-z_]+").FindAllString(m[1], -1) {
			if strings.Contains(name, "_") {
				names++
				r := sample(report.LevelIntegrity, report.Passed)
				r.Checks = []report.Check{{Name: name, Verdict: report.Passed}}
				_, _, text := elements(t, forms(t, r)["html"])
				assert.Regexp(t, name+"[a-zA-Z]", text, "verifier/report/asks.go has no words for %s", name)
			}
		}
	}
	assert.Greater(t, names, 12)
}

func TestAMissedTargetIsMarked(t *testing.T) {
	r := kind(report.Failed)
	r.Recovery.TimeTargetSeconds = 30
	_, _, text := elements(t, forms(t, r)["html"])
	assert.Contains(t, text, "missed")
	r.Recovery.TimeTargetSeconds = 0
	_, _, text = elements(t, forms(t, r)["html"])
	assert.NotContains(t, text, "missed")
	assert.Contains(t, text, "none", "no target")
}

// suites is JUnit's schema (junit.xsd of windyroad/JUnit-Schema), as far as
// tests, failures and errors go.
type suites struct {
	XMLName xml.Name `xml:"testsuites"`
	Suites  []struct {
		counts
		Timestamp  string `xml:"timestamp,attr"`
		Hostname   string `xml:"hostname,attr"`
		Properties []struct {
			Name  string `xml:"name,attr"`
			Value string `xml:"value,attr"`
		} `xml:"properties>property"`
		Cases []struct {
			ClassName string  `xml:"classname,attr"`
			Name      string  `xml:"name,attr"`
			Time      string  `xml:"time,attr"`
			Failures  []found `xml:"failure"`
			Errors    []found `xml:"error"`
			Skipped   []found `xml:"skipped"`
		} `xml:"testcase"`
		SystemOut *string `xml:"system-out"`
		SystemErr *string `xml:"system-err"`
	} `xml:"testsuite"`
}

type counts struct {
	Name     string `xml:"name,attr"`
	Tests    int    `xml:"tests,attr"`
	Failures int    `xml:"failures,attr"`
	Errors   int    `xml:"errors,attr"`
	Skipped  int    `xml:"skipped,attr"`
	Time     string `xml:"time,attr"`
}

type found struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
}

func TestJUnitIsOfTheFormThatReadersExpect(t *testing.T) {
	timestamp := regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$`)
	decimal := regexp.MustCompile(`^\d+\.\d{3}$`)
	for name, r := range samples() {
		raw := forms(t, r)["xml"]
		d := xml.NewDecoder(bytes.NewReader(raw))
		d.Strict = true
		var s suites
		require.NoError(t, d.Decode(&s), name)
		require.Len(t, s.Suites, 1)
		suite := s.Suites[0]
		assert.Regexp(t, timestamp, suite.Timestamp)
		assert.Regexp(t, decimal, suite.Time)
		assert.NotEmpty(t, suite.Name)
		assert.NotEmpty(t, suite.Hostname)
		assert.NotNil(t, suite.SystemOut)
		assert.NotNil(t, suite.SystemErr)
		var got counts
		seen := map[string]bool{}
		for _, c := range suite.Cases {
			got.Tests++
			got.Failures += len(c.Failures)
			got.Errors += len(c.Errors)
			got.Skipped += len(c.Skipped)
			assert.LessOrEqual(t, len(c.Failures)+len(c.Errors)+len(c.Skipped), 1)
			for _, f := range append(c.Failures, c.Errors...) {
				assert.NotEmpty(t, f.Type)
			}
			assert.NotEmpty(t, c.Name)
			assert.Regexp(t, decimal, strings.TrimPrefix(c.Time, "-"))
			assert.False(t, seen[c.ClassName+"\n"+c.Name], "%s: twice %s %s", name, c.ClassName, c.Name)
			seen[c.ClassName+"\n"+c.Name] = true
		}
		got.Name, got.Time = suite.Name, suite.Time
		assert.Equal(t, got, suite.counts, name)
		order := regexp.MustCompile(`(?s)<testsuite .*<properties>.*</properties>.*<testcase .*<system-out>.*<system-err>`)
		assert.Regexp(t, order, string(raw), "the schema is a sequence")
	}
}

func TestJUnitTellsFailuresErrorsAndWaivedApart(t *testing.T) {
	read := func(r report.Report) (counts, map[string]string) {
		var s suites
		require.NoError(t, xml.Unmarshal(forms(t, r)["xml"], &s))
		properties := map[string]string{}
		for _, p := range s.Suites[0].Properties {
			properties[p.Name] = p.Value
		}
		return s.Suites[0].counts, properties
	}
	c, properties := read(controlplane(report.Passed))
	assert.Equal(t, []int{5, 0, 0, 0}, []int{c.Tests, c.Failures, c.Errors, c.Skipped})
	assert.Equal(t, "62", properties["items.skipped"])
	assert.Equal(t, "41", properties["items.skippedBy.owned by a controller that recreates it"])
	assert.Equal(t, "shop-daily", properties["schedule"])
	c, _ = read(refuted(300))
	assert.Equal(t, []int{3 + 300, 300, 0, 0}, []int{c.Tests, c.Failures, c.Errors, c.Skipped}, "a test for each finding")
	c, _ = read(withoutImages())
	assert.Equal(t, []int{3 + 3 + 1 + 1, 0, 4, 1}, []int{c.Tests, c.Failures, c.Errors, c.Skipped}, "images are errors, and so is the drill; what is waived is skipped")
	r := sample(report.LevelControlPlane, report.Error)
	c, _ = read(r)
	assert.Equal(t, 1, c.Errors, "a drill without an answer is never green")
}

// paths are the fields of a report as JSON names them.
func paths(t reflect.Type, prefix string) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous {
			out = append(out, paths(f.Type, prefix)...)
			continue
		}
		ft, suffix := f.Type, ""
		for ft.Kind() == reflect.Pointer || ft.Kind() == reflect.Slice {
			if ft.Kind() == reflect.Slice {
				suffix = "[]"
			}
			ft = ft.Elem()
		}
		out = append(out, prefix+name+suffix)
		if ft.Kind() == reflect.Struct && ft.String() != "time.Time" {
			out = append(out, paths(ft, prefix+name+suffix+".")...)
		}
	}
	return out
}

func TestEveryFieldOfTheEvidenceIsDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "evidence.md"))
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([a-z ]+) \\| \\S.*\\|$")
	var documented []string
	for _, m := range row.FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, m[1])
	}
	assert.ElementsMatch(t, paths(reflect.TypeFor[report.Report](), ""), documented, "docs/evidence.md has one row for each field")
	assert.Contains(t, string(doc), report.Schema)
	assert.Contains(t, string(doc), strconv.Itoa(report.MaxSize>>20)+" MiB")
}

func TestDecodeRefusesWhatItCannotRead(t *testing.T) {
	for name, tc := range map[string]struct{ content, want string }{
		"no JSON":       {"{", "decode evidence"},
		"other schema":  {`{"schema":"lifeboat.dev/drill/v9"}`, "unknown evidence schema"},
		"no schema":     {`{}`, "unknown evidence schema"},
		"far too large": {`{"schema":"` + strings.Repeat("x", report.MaxSize) + `"}`, "larger than"},
	} {
		_, err := report.Decode(strings.NewReader(tc.content))
		assert.ErrorContains(t, err, tc.want, name)
	}
	r, err := report.Decode(strings.NewReader(fmt.Sprintf(`{"schema":%q,"later":{"field":1},"id":"x"}`, report.Schema)))
	require.NoError(t, err, "a field of a later version is no mistake")
	assert.Equal(t, "x", r.ID)
	_, err = json.Marshal(r)
	require.NoError(t, err)
}
