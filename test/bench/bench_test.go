package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/manifest"
)

func TestTheRawListReadsEveryPage(t *testing.T) {
	const first = `{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"bmV4dA","remainingItemCount":1},"items":[{"metadata":{"name":"a","annotations":{"x":"\"continue\":\"no\""}}}]}`
	const second = `{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"continue":"no"}}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api/v1/secrets", r.URL.Path)
		assert.Equal(t, "500", r.URL.Query().Get("limit"))
		page := map[string]string{"": first, "bmV4dA": second}[r.URL.Query().Get("continue")]
		fmt.Fprint(w, page)
	}))
	defer server.Close()

	n, err := apiServer{url: server.URL, client: server.Client()}.list(t.Context(), manifest.Resource{Name: "secrets", Version: "v1"})

	require.NoError(t, err)
	assert.EqualValues(t, len(first)+len(second), n)
}

func TestARatioIsOfMediansAndKeepsBothEnds(t *testing.T) {
	r := Results{Asked: 10000}
	for _, s := range []float64{3, 100, 2} {
		r.add("of", Measurement{Seconds: s})
	}
	for _, s := range []float64{1, 2, 4} {
		r.add("over", Measurement{Seconds: s})
	}
	r.judge([]Budget{
		{Name: "held", Of: "of", Over: "over", Limit: 1.5},
		{Name: "not held", Of: "of", Over: "over", Limit: 1.4},
		{Name: "for another number", Of: "of", Over: "over", Limit: 1.4, At: 500},
		{Name: "without a limit", Of: "of", Over: "over"},
		{Name: "not measured", Of: "nothing", Over: "over", Limit: 1.4},
	})
	require.Len(t, r.Budgets, 4)
	b := r.Budgets[0]
	assert.Equal(t, []float64{3, 2, 1.5, 0.5, 50}, []float64{b.Numerator, b.Denominator, b.Value, b.Least, b.Most})
	assert.Equal(t, "yes", b.verdict())
	assert.Equal(t, "no", r.Budgets[1].verdict())
	assert.Equal(t, "(for 500)", r.Budgets[2].verdict())
	assert.Equal(t, "-", r.Budgets[3].verdict())
}

func TestPeakMemoryIsJudgedByTheWorstTurn(t *testing.T) {
	r := Results{}
	r.add("backup", Measurement{PeakMiB: 50})
	r.add("backup", Measurement{PeakMiB: 200})
	r.add("backup", Measurement{PeakMiB: 40})
	r.judge([]Budget{{Name: "memory", Of: "backup", Limit: 192}})
	assert.Equal(t, "no", r.Budgets[0].verdict())
	assert.Contains(t, string(r.markdown()), "| memory | 192 | 200.00 |")
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == measureVerb {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// A parent that has used much memory must not lend its peak to the program it
// measures.
func TestAProgramIsMeasuredByItself(t *testing.T) {
	ballast := []byte(strings.Repeat("x", 256<<20))
	m, stdout, err := measureProgram(t.Context(), t.TempDir(), []string{"GREETING=hello"}, "/bin/sh", "-c", `echo "$GREETING"`)
	require.NoError(t, err)
	assert.Equal(t, "hello\n", string(stdout))
	assert.Positive(t, m.Seconds)
	assert.Less(t, m.PeakMiB, 128.0)
	assert.NotZero(t, ballast[len(ballast)-1])
}

func TestAProgramThatFailsSaysWhy(t *testing.T) {
	_, _, err := measureProgram(t.Context(), t.TempDir(), nil, "/bin/sh", "-c", "echo no luck >&2; exit 3")
	assert.ErrorContains(t, err, "no luck")
	assert.ErrorContains(t, err, "exit status 3")
}

func TestASampleCountsForTheInnermostFunctionThatIsNamed(t *testing.T) {
	list := []string{inCore + "cluster.(*pageReader).readItems", inCore + "cluster.(*lister).page", "main.main"}
	for what, stack := range map[string][]string{
		"LIST: cutting lists into objects":              append([]string{"runtime.memmove", "github.com/go-json-experiment/json/jsontext.(*decoderState).fetch"}, list...),
		"connection to the API server: HTTP/2, TLS":     append([]string{"syscall.read", "golang.org/x/net/http2.transportResponseBody.Read"}, list...),
		"LIST: kind, name and namespace of each object": append([]string{inCore + "cluster.newItem"}, list...),
		"gzip": {"hash/crc32.update", "github.com/klauspost/compress/gzip.(*Writer).Write", "archive/tar.(*Writer).Write", inCore + "archive.(*Writer).Add"},
		other:  {"runtime.futex", "runtime.schedule"},
	} {
		assert.Equal(t, what, workOf(works(), stack))
	}
}

func TestSharesAreOfOneTurnAndAddUp(t *testing.T) {
	f := func(name string) *pprof.Location {
		return &pprof.Location{ID: uint64(len(name)), Line: []pprof.Line{{Function: &pprof.Function{ID: uint64(len(name)), Name: name}}}}
	}
	tar, unknown := f("archive/tar.(*Writer).Write"), f("main.main")
	p := &pprof.Profile{
		SampleType: []*pprof.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		Sample: []*pprof.Sample{
			{Location: []*pprof.Location{tar, unknown}, Value: []int64{1, 3e9}},
			{Location: []*pprof.Location{unknown}, Value: []int64{1, 1e9}},
		},
		Location: []*pprof.Location{tar, unknown}, Function: []*pprof.Function{tar.Line[0].Function, unknown.Line[0].Function},
	}
	var b bytes.Buffer
	require.NoError(t, p.Write(&b))
	s, err := sharesOf("backup", &b, 2, 6)
	require.NoError(t, err)
	assert.Equal(t, Shares{Name: "backup", WallSeconds: 3, CPUSeconds: 2, Shares: []Share{{"tar", 1.5, 0.75}, {other, 0.5, 0.25}}}, s)
	assert.Contains(t, string((&Results{Shares: []Shares{s}}).markdown()), "| 75 % | 1.500 | tar |")
}
