package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lifeboat": main})
}

func TestDialogues(t *testing.T) {
	bucket := rig.SmallBucket(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("VELERO", "file://"+filepath.ToSlash(bucket))
			e.Setenv("LOCATION", "file://"+filepath.ToSlash(filepath.Join(e.WorkDir, "bucket")))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("KUBECONFIG", filepath.Join(e.WorkDir, "none"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"apiserver": apiserver,
			"agekey":    ageKey,
		},
	})
}

// exits runs a program and wants one exit code: exits 3 lifeboat …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// ageKey makes an identity and its recipient: agekey NAME writes NAME.key and
// NAME.pub, and sets $NAME to the recipient.
func ageKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: agekey NAME")
	}
	i, err := age.GenerateX25519Identity()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), []byte("# a comment\n"+i.String()+"\n"), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pub"), []byte("# a comment\n"+i.Recipient().String()+"\n"), 0o600))
	ts.Setenv(args[0], i.Recipient().String())
}

// apiserver starts a small API server and makes it the one of KUBECONFIG:
// apiserver NAME [FILE.json…] with objects in it.
func apiserver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: apiserver NAME [OBJECT.json…]")
	}
	s := &server{objects: map[string]string{}}
	for _, file := range args[1:] {
		s.add(strings.TrimSpace(ts.ReadFile(file)))
	}
	h := httptest.NewServer(s)
	ts.Defer(h.Close)
	path := ts.MkAbs(args[0] + ".kubeconfig")
	ts.Check(os.WriteFile(path, kubeconfigOf(h.URL), 0o600))
	ts.Setenv("KUBECONFIG", path)
}

func kubeconfigOf(url string) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"x",
		"clusters":[{"name":"c","cluster":{"server":%q}}],"users":[{"name":"u","user":{}}],
		"contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}]}`, url)
}

// server speaks as much of the API as lifeboat asks for. Objects whose name
// begins with "refused" are not accepted; secrets may not be listed when there
// is a config map named "no-secrets".
type server struct {
	mu      sync.Mutex
	objects map[string]string // by path
}

var kinds = map[string]string{"Namespace": "namespaces", "ConfigMap": "configmaps", "Secret": "secrets"}

func (s *server) add(object string) (path string) {
	var o struct {
		Kind     string
		Metadata struct{ Namespace, Name string }
	}
	if err := json.Unmarshal([]byte(object), &o); err != nil {
		panic(err)
	}
	path = "/api/v1/" + kinds[o.Kind]
	if o.Metadata.Namespace != "" {
		path = "/api/v1/namespaces/" + o.Metadata.Namespace + "/" + kinds[o.Kind]
	}
	path += "/" + o.Metadata.Name
	s.objects[path] = object
	return path
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	status := func(code int, reason, message string) {
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`, message, reason, code)
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	kind := path[len(path)-1]
	switch {
	case r.URL.Path == "/version":
		fmt.Fprint(w, `{"major":"1","minor":"34","gitVersion":"v1.34.4"}`)
	case r.URL.Path == "/api":
		fmt.Fprint(w, `{"kind":"APIVersions","versions":["v1"]}`)
	case r.URL.Path == "/apis":
		fmt.Fprint(w, `{"kind":"APIGroupList","groups":[]}`)
	case r.URL.Path == "/api/v1":
		const verbs = `"verbs":["create","delete","get","list"]`
		fmt.Fprint(w, `{"kind":"APIResourceList","groupVersion":"v1","resources":[
			{"name":"configmaps","singularName":"configmap","shortNames":["cm"],"kind":"ConfigMap","namespaced":true,`+verbs+`},
			{"name":"namespaces","singularName":"namespace","shortNames":["ns"],"kind":"Namespace","namespaced":false,`+verbs+`},
			{"name":"secrets","singularName":"secret","kind":"Secret","namespaced":true,`+verbs+`}]}`)
	case r.Method == http.MethodPost:
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"name":"refused`) {
			status(422, "Invalid", "it is refused by a rule")
			return
		}
		if r.URL.Query().Get("dryRun") == "" {
			s.add(string(body))
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	case s.objects[r.URL.Path] != "":
		fmt.Fprint(w, s.objects[r.URL.Path])
	case len(path) == len(strings.Split("api/v1/namespaces/shop/configmaps/a", "/")):
		status(404, "NotFound", kind+" not found")
	case kind == "secrets" && s.objects["/api/v1/namespaces/shop/configmaps/no-secrets"] != "":
		status(403, "Forbidden", `secrets is forbidden: User "backup" cannot list resource "secrets"`)
	case slices.Contains([]string{"configmaps", "namespaces", "secrets"}, kind):
		s.list(w, r, kind)
	default:
		status(404, "NotFound", kind+" not found")
	}
}

func (s *server) list(w io.Writer, r *http.Request, kind string) {
	var items []string
	for path, object := range s.objects {
		dir, _ := filepath.Split(path)
		if strings.HasSuffix(dir, "/"+kind+"/") && strings.HasPrefix(dir, strings.TrimSuffix(r.URL.Path, kind)) && r.URL.Query().Get("labelSelector") == "" {
			items = append(items, object)
		}
	}
	slices.Sort(items)
	fmt.Fprintf(w, `{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[%s]}`, strings.Join(items, ","))
}

func TestSizesAreForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 30: "5.0 GiB"} {
		require.Equal(t, want, size(n))
	}
}

func TestOnlyFoldersThatCanBeDeletedAreSaidToBe(t *testing.T) {
	_, notes := split([]catalog.Entry{
		{Name: "good"}, {Name: "half", Err: catalog.ErrNoBackup}, {Name: "Old_Backup", Err: catalog.ErrNoBackup}, {Name: "a\x1b[2J", Err: catalog.ErrNoBackup},
	})
	assert.Equal(t, []string{
		"skipped 1 incomplete backup: half (lifeboat backup delete removes them)",
		`skipped 2 folder names that no backup can have: "Old_Backup", "a\x1b[2J" (remove them from the location by other means)`,
	}, notes)
}
