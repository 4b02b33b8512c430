package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// life is what becomes of the Job of one attempt.
type life string

const (
	succeeds life = "succeeds"
	fails    life = "fails"
	runs     life = "runs"
	pends    life = "pends"
	noImage  life = "no image"
	evicted  life = "evicted"
	refused  life = "refused"
	silent   life = "silent" // the API server does not answer
)

// apiServer is one in which the Job of each attempt has its life, the last of
// them for all further ones. It stands in for faults.
type apiServer struct {
	lives []life
	down  bool // it has an error for an answer when it is asked for its version

	mu               sync.Mutex
	created, deleted int
	logs             string
	gone             chan struct{}
}

func (a *apiServer) now() life {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lives[min(max(a.created, 1), len(a.lives))-1]
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch path := r.URL.Path; {
	case path == "/version":
		if a.down {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, `{"gitVersion":"v1.34.4"}`)
	case r.Method == "POST":
		a.create(w, r)
	case r.Method == "DELETE":
		a.mu.Lock()
		a.deleted++
		a.mu.Unlock()
		fmt.Fprint(w, `{"kind":"Status","status":"Success"}`)
	case strings.HasSuffix(path, "/log"):
		fmt.Fprint(w, a.logs)
	case strings.HasSuffix(path, "/pods"):
		fmt.Fprintf(w, `{"kind":"PodList","apiVersion":"v1","items":[%s]}`, a.pod())
	default:
		fmt.Fprintf(w, `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"c-1","namespace":"shop","uid":"u"},"status":{"conditions":[%s]}}`, a.condition())
	}
}

func (a *apiServer) create(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.created++
	a.mu.Unlock()
	switch a.now() {
	case silent:
		_, _ = io.Copy(io.Discard, r.Body)
		<-a.gone
	case refused:
		w.WriteHeader(403)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"exceeded quota"}`)
	default:
		w.WriteHeader(201)
		fmt.Fprint(w, `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"c-1","namespace":"shop","uid":"u"}}`)
	}
}

func (a *apiServer) pod() string {
	state := map[life]string{
		succeeds: `"terminated":{"exitCode":0}`, fails: `"terminated":{"exitCode":3}`, runs: `"running":{}`,
		noImage: `"waiting":{"reason":"ImagePullBackOff","message":"no such image"}`, pends: `"waiting":{"reason":"ContainerCreating"}`, evicted: `"running":{}`,
	}[a.now()]
	return fmt.Sprintf(`{"metadata":{"name":"c-1-x","namespace":"shop"},"spec":{"containers":[{"name":"main"}]},"status":{"phase":"Pending","containerStatuses":[{"name":"main","state":{%s}}]}}`, state)
}

func (a *apiServer) condition() string {
	return map[life]string{
		succeeds: `{"type":"Complete","status":"True"}`,
		fails:    `{"type":"Failed","status":"True","reason":"BackoffLimitExceeded"}`,
		evicted:  `{"type":"Failed","status":"True","reason":"DeadlineExceeded","message":"Job was active longer than specified deadline"}`,
	}[a.now()]
}

func (a *apiServer) start(t *testing.T) *cluster.Client {
	t.Helper()
	a.gone = make(chan struct{})
	s := httptest.NewServer(a)
	t.Cleanup(func() { close(a.gone); s.Close() })
	return connect(t, s.URL)
}

func connect(t *testing.T, url string) *cluster.Client {
	t.Helper()
	c, err := cluster.FromKubeconfig(fmt.Appendf(nil, "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\nusers: [{name: u, user: {}}]\n", url), "lifeboat-test")
	require.NoError(t, err)
	return c
}

func jobCheck(timeout time.Duration) policy.Check {
	return policy.Check{Name: "c", Timeout: policy.Duration{Duration: timeout}, Job: &policy.Job{Manifest: map[string]any{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"namespace": "shop"},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"restartPolicy": "Never", "containers": []any{map[string]any{"name": "main", "image": "x"}}}}},
	}}}
}

func ask(t *testing.T, ctx context.Context, c *cluster.Client, checks ...policy.Check) []Result { //nolint:revive // t first reads better
	t.Helper()
	return Run(ctx, c, checks, Options{Now: time.Now})
}

func TestTheLastAttemptThatCameToItsEndDecides(t *testing.T) {
	for name, x := range map[string]struct {
		lives   []life
		verdict report.Verdict
		says    string
	}{
		"the first passes":                                {[]life{succeeds}, report.Passed, "exit code 0"},
		"a later one passes":                              {[]life{refused, fails, succeeds}, report.Passed, "(attempt 3"},
		"a wrong answer at the end is failed":             {[]life{refused, fails}, report.Failed, "exit code 3, expected 0"},
		"what could not be asked at the end is an error":  {[]life{fails, refused}, report.Error, "exceeded quota"},
		"an image that is missing is an error":            {[]life{noImage}, report.Error, "the pod of the Job cannot start: ImagePullBackOff: no such image"},
		"an answer stands against silence after it":       {[]life{fails, silent}, report.Failed, "exit code 3, expected 0"},
		"a question that never left is an error":          {[]life{silent}, report.Error, "could not be run within 1s"},
		"a question without an answer is failed":          {[]life{runs}, report.Failed, "gave no answer within 1s"},
		"a pod that never starts is an error":             {[]life{pends}, report.Error, "could not be run within 1s: the pod of the Job is Pending"},
		"a Job that is ended from outside is no answer":   {[]life{evicted}, report.Failed, "the Job has ended before its container main: Failed DeadlineExceeded"},
		"a missing image stands against a cut off one":    {[]life{noImage, pends}, report.Error, "no such image"},
		"an error stands against a cut off attempt later": {[]life{refused, runs}, report.Error, "exceeded quota"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &apiServer{lives: x.lives}
			got := ask(t, t.Context(), a.start(t), jobCheck(time.Second))[0]
			assert.Equal(t, x.verdict, got.Check.Verdict, got.Check.Message)
			assert.Contains(t, got.Check.Message, x.says)
			assert.Equal(t, x.verdict == report.Failed, len(got.Findings) == 1)
			assert.Equal(t, x.verdict == report.Error, len(got.Environment) == 1)
		})
	}
}

func TestSilenceOfTheWholeClusterIsNotTheBackupsFault(t *testing.T) {
	a := &apiServer{lives: []life{runs}, down: true}
	got := ask(t, t.Context(), a.start(t), jobCheck(time.Second))[0]
	assert.Equal(t, report.Error, got.Check.Verdict)
	assert.Contains(t, got.Check.Message, "gave no answer within 1s, and the API server of the sandbox does not answer")
}

func TestAnAPIServerThatIsGoneIsAnError(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	target := policy.Target{Namespace: "shop", Pod: "db"}
	limit := policy.Duration{Duration: 300 * time.Millisecond}
	for _, r := range ask(t, t.Context(), connect(t, s.URL),
		policy.Check{Name: "a", Timeout: limit, Exec: &policy.Exec{Target: target, Command: []string{"true"}}},
		policy.Check{Name: "b", Timeout: limit, HTTP: &policy.HTTP{Namespace: "shop", Service: "web", Scheme: "http", Method: "GET", Path: "/"}},
		policy.Check{Name: "c", Timeout: limit, SQL: &policy.SQL{Target: target, Driver: policy.SQLite, Database: "/x", Query: "select 1"}},
		jobCheck(limit.Duration),
	) {
		assert.Equal(t, report.Error, r.Check.Verdict, r.Check.Name)
		assert.Contains(t, r.Check.Message, "connection refused")
	}
}

func TestEveryJobIsRemoved(t *testing.T) {
	for _, l := range []life{succeeds, fails, runs, noImage, evicted} {
		t.Run(string(l), func(t *testing.T) {
			t.Parallel()
			a := &apiServer{lives: []life{l}}
			ask(t, t.Context(), a.start(t), jobCheck(time.Second))
			a.mu.Lock()
			defer a.mu.Unlock()
			assert.Positive(t, a.created)
			assert.Equal(t, a.created, a.deleted)
		})
	}
}

func TestWhenTheDrillsTimeIsOverChecksAreErrors(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	a := &apiServer{lives: []life{fails}}
	checks := []policy.Check{jobCheck(time.Minute), jobCheck(time.Minute)}
	results := Run(ctx, a.start(t), checks, Options{Now: time.Now, Progress: func(_ string, attempt int) {
		if attempt == 2 {
			cancel(errors.New("the drill took longer than 30m"))
		}
	}})
	require.Len(t, results, 2)
	for _, r := range results {
		assert.Equal(t, report.Error, r.Check.Verdict)
		assert.Contains(t, r.Check.Message, "the drill took longer than 30m")
	}
}

func TestTheLogOfAJobIsItsOutput(t *testing.T) {
	a := &apiServer{lives: []life{succeeds}, logs: "12 rows\n"}
	c := jobCheck(time.Second)
	c.Expect.Output = &policy.Output{Matches: `^\d+ rows$`}
	got := ask(t, t.Context(), a.start(t), c)[0]
	assert.Equal(t, report.Passed, got.Check.Verdict, got.Check.Message)
	assert.Equal(t, "12 rows\n", got.Check.Output)
}
