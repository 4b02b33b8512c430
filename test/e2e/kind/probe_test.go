//go:build e2e && kind

package kind_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/probe"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

// The password of the databases, which no evidence may show.
const password = "hunter2-of-the-shop"

// databaseScript makes and starts three databases; the pod is ready when all of
// them hold their rows.
const databaseScript = `set -e
install -d -o postgres -g postgres /pg /run/postgresql
printf %s "$PASSWORD" > /pw && chown postgres /pw
su postgres -c '/usr/lib/postgresql/15/bin/initdb -D /pg -A scram-sha-256 --pwfile=/pw'
su postgres -c '/usr/lib/postgresql/15/bin/pg_ctl -D /pg -l /tmp/pg.log -w -o "-k /run/postgresql -h 127.0.0.1" start'
PGPASSWORD="$PASSWORD" psql -U postgres -c "create table orders as select i as id, 'boat ' || i as item from generate_series(1, 1200) i"
sqlite3 /app.db "create table t (n int); insert into t values (41), (42);"
install -d -o mysql -g mysql /my /run/mysqld
mariadb-install-db --user=mysql --datadir=/my >/dev/null
mariadbd --user=mysql --datadir=/my --socket=/run/mysqld/mysqld.sock --skip-networking >/tmp/my.log 2>&1 &
until mariadb-admin ping >/dev/null 2>&1; do sleep 0.2; done
mariadb -e "create database shop; create table shop.items (name text); insert into shop.items values ('oar'), ('sail');
  create user shop@localhost identified by '$PASSWORD'; grant all on shop.* to shop@localhost;"
touch /ready
exec sleep infinity
`

const probed = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: shop}
stringData: {password: %[3]q, header: "Bearer %[3]s"}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: db
    image: %[2]q
    imagePullPolicy: Never
    command: [sh, -c, %[4]q]
    env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}]
    readinessProbe: {exec: {command: [test, -e, /ready]}, periodSeconds: 1}
  - {name: shell, image: %[2]q, imagePullPolicy: Never, command: [sh, -c, "rm /usr/bin/psql; exec sleep infinity"]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: app, image: %[1]q, imagePullPolicy: Never, args: [serve], ports: [{name: web, containerPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: broken, namespace: shop, labels: {app: broken}}
spec: {containers: [{name: c, image: no.such.registry.example/image:1, imagePullPolicy: Never}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: web}, {name: closed, port: 81, targetPort: 9}, {name: udp, port: 82, protocol: UDP, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: shop}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: shop}
spec: {type: ExternalName, externalName: example.com}
`

// asked is a check of the policy below and what has to come of it.
type asked struct {
	yaml    string
	verdict report.Verdict
	says    string // in its message
	object  string // of its finding
}

const (
	inDB  = "namespace: shop, pod: db"
	inWeb = "namespace: shop, workload: deployment/web"
	toWeb = "namespace: shop, service: web"
	user  = "user: {value: postgres}, password: {secretKeyRef: {name: db, key: password}}"
	aJob  = "apiVersion: batch/v1, kind: Job, metadata: {name: audit, namespace: %s}, spec: {template: {spec: {restartPolicy: Never, terminationGracePeriodSeconds: 0, containers: [{name: c, image: %q, imagePullPolicy: Never, args: %s}]}}}"
)

func job(namespace, image, args string) string {
	return fmt.Sprintf("job: {manifest: {"+aJob+"}}", namespace, image, args)
}

// askedChecks are in the order in which they are asked: the first wait for pods
// that are only starting.
func askedChecks(web string) []asked {
	return []asked{
		{`timeout: 2m, sql: {` + inDB + `, driver: postgres, ` + user + `, query: select count(*) from orders}, expect: {output: {min: 1000, equals: "1200"}}`, report.Passed, "exit code 0", ""},
		{`exec: {` + inWeb + `, command: [/workload, cat, /proc/version]}, expect: {output: {contains: Linux, matches: "^Linux version"}}`, report.Passed, "exit code 0", ""},
		{`exec: {namespace: shop, selector: app=db, command: [cat], stdin: "two\nlines"}, expect: {output: {equals: "two\nlines"}}`, report.Passed, "", ""},
		{`exec: {` + inDB + `, command: [sh, -c, "echo out; echo err >&2; exit 7"]}, expect: {exitCode: 7}`, report.Passed, "exit code 7", ""},
		{`timeout: 1s, exec: {` + inDB + `, command: [sh, -c, "echo err >&2; exit 7"]}`, report.Failed, "exit code 7, expected 0: err", "pods shop/db"},
		{`timeout: 1s, exec: {` + inDB + `, command: [sh, -c, no-such-program]}`, report.Failed, "exit code 127", "pods shop/db"},
		{`timeout: 1s, exec: {` + inDB + `, command: [no-such-program]}`, report.Error, "no-such-program", "pods shop/db"},
		{`timeout: 1s, exec: {` + inWeb + `, container: no-such, command: [ls]}`, report.Error, "has no container no-such", "pods shop/web-"},
		{`timeout: 1s, exec: {namespace: shop, pod: no-such, command: [ls]}`, report.Error, `pods "no-such" not found`, "pods shop/no-such"},
		{`timeout: 1s, exec: {namespace: shop, selector: app=no-such, command: [ls]}`, report.Error, "no pod matches", "pods shop (app=no-such)"},
		{`timeout: 1s, exec: {namespace: shop, selector: app=broken, command: [ls]}`, report.Error, "broken is ErrImageNeverPull", "pods shop (app=broken)"},
		{`timeout: 1s, exec: {namespace: shop, workload: statefulset/no-such, command: [ls]}`, report.Error, `statefulsets.apps "no-such" not found`, "statefulsets.apps shop/no-such"},
		{`timeout: 2s, exec: {` + inWeb + `, command: [/workload, sleep, 1h]}`, report.Failed, "gave no answer within 2s", "pods shop/web-"},
		{`timeout: 3s, exec: {` + inDB + `, command: [sleep, "1"]}, expect: {within: 500ms}`, report.Failed, "expected within 500ms", "pods shop/db"},

		{`http: {` + toWeb + `, port: 80}, expect: {output: {equals: ok}, within: 5s}`, report.Passed, "status 200", ""},
		{`http: {` + toWeb + `, port: http, path: "/status?code=302"}, expect: {status: 302}`, report.Passed, "status 302", ""},
		{`http: {` + toWeb + `, port: 80, method: POST, path: /request, body: "a=b", headers: {Authorization: {secretKeyRef: {name: db, key: header}}, X-Plain: {value: seen}}},
		   expect: {jsonPath: [{path: "{.headers.Authorization[0]}", equals: "Bearer ` + password + `"}, {path: .method, equals: POST}, {path: .body, equals: a=b}, {path: .host, equals: web.shop.svc}, {path: "{.headers.X-Plain[0]}", equals: seen}]}`, report.Passed, "status 200", ""},
		{`http: {` + toWeb + `, port: 80, path: /request, headers: {Host: {value: shop.example.com}}}, expect: {jsonPath: [{path: host, equals: shop.example.com}]}`, report.Passed, "", ""},
		{`timeout: 1s, http: {` + toWeb + `, port: 80, path: "/status?code=503"}`, report.Failed, "status 503, expected 200 to 299", "services shop/web"},
		{`timeout: 1s, http: {` + toWeb + `, port: closed}`, report.Failed, "nothing listens on port 9 of pod shop/web-", "services shop/web"},
		{`timeout: 1s, http: {` + toWeb + `, port: 80, scheme: https}`, report.Failed, "does not answer in HTTP", "services shop/web"},
		{`timeout: 1s, http: {` + toWeb + `, port: 8080}`, report.Error, "has no TCP port 8080; its TCP ports: 80/TCP http, 81/TCP closed, 82/UDP udp", "services shop/web"},
		{`timeout: 1s, http: {namespace: shop, service: nobody, port: 80}`, report.Error, "has no ready pod behind port 80", "services shop/nobody"},
		{`timeout: 1s, http: {namespace: shop, service: outside, port: 80}`, report.Error, "leads out of the cluster", "services shop/outside"},
		{`timeout: 1s, http: {namespace: shop, service: no-such, port: 80}`, report.Error, `services "no-such" not found`, "services shop/no-such"},
		{`timeout: 1s, http: {` + toWeb + `, port: 80, headers: {X: {env: LIFEBOAT_TEST_NOT_SET}}}`, report.Error, "LIFEBOAT_TEST_NOT_SET is not set", "services shop/web"},

		{`sql: {` + inDB + `, driver: postgres, ` + user + `, database: postgres, query: "select id, item from orders where id < 3 order by id; -- two"}, expect: {output: {equals: "1|boat 1\n2|boat 2"}}`, report.Passed, "", ""},
		{`sql: {` + inDB + `, driver: mysql, database: shop, user: {value: shop}, password: {file: PASSWORDFILE}, query: select name from items order by name}, expect: {output: {equals: "oar\nsail"}}`, report.Passed, "", ""},
		{`sql: {` + inDB + `, driver: sqlite, database: /app.db, query: "select max(n), count(*) from t"}, expect: {output: {equals: "42|2"}}`, report.Passed, "", ""},
		{`timeout: 1s, sql: {` + inDB + `, driver: postgres, user: {value: postgres}, password: {env: LIFEBOAT_TEST_WRONG}, query: select 1}`, report.Failed, "password authentication failed", "pods shop/db"},
		{`timeout: 1s, sql: {` + inDB + `, driver: mysql, user: {value: shop}, password: {env: LIFEBOAT_TEST_WRONG}, query: select 1}`, report.Failed, "Access denied", "pods shop/db"},
		{`timeout: 1s, sql: {` + inDB + `, driver: postgres, ` + user + `, query: select * from no_such_table}`, report.Failed, "no_such_table", "pods shop/db"},
		{`timeout: 1s, sql: {` + inDB + `, driver: postgres, ` + user + `, query: "select 1/0; select 1"}, expect: {output: {equals: "1"}}`, report.Failed, "division by zero", "pods shop/db"},
		{`timeout: 1s, sql: {` + inDB + `, driver: sqlite, database: /no-such.db, query: select 1}`, report.Failed, "unable to open database", "pods shop/db"},
		{`timeout: 1s, sql: {` + inDB + `, driver: sqlite, database: /app.db, query: delete from t}`, report.Failed, "readonly", "pods shop/db"},
		{`timeout: 1s, sql: {` + inDB + `, driver: postgres, ` + user + `, query: select count(*) from orders}, expect: {output: {min: 1201}}`, report.Failed, "1200, expected at least 1201", "pods shop/db"},
		{`timeout: 1s, sql: {namespace: kube-system, selector: k8s-app=kube-dns, driver: postgres, query: select 1}`, report.Error, `"sh"`, "pods kube-system/coredns-"},
		{`timeout: 1s, sql: {` + inDB + `, container: shell, driver: postgres, query: select 1}`, report.Error, "cannot run the client of postgres", "pods shop/db"},
		{`timeout: 1s, sql: {` + inDB + `, driver: postgres, password: {secretKeyRef: {name: no-such, key: a}}, query: select 1}`, report.Error, `secrets "no-such" not found`, "pods shop/db"},
		{`timeout: 1s, sql: {` + inDB + `, driver: postgres, password: {secretKeyRef: {name: db, key: no-such}}, query: select 1}`, report.Error, "has no key no-such", "pods shop/db"},

		{"timeout: 30s, " + job("shop", web, `[exit, "0", done]`) + ", expect: {output: {equals: done}}", report.Passed, "exit code 0", ""},
		{"timeout: 30s, " + job("shop", web, `[exit, "3"]`) + ", expect: {exitCode: 3}", report.Passed, "exit code 3", ""},
		{"timeout: 12s, " + job("shop", web, `[exit, "3"]`), report.Failed, "exit code 3, expected 0", "jobs.batch shop/audit-"},
		{"timeout: 10s, " + job("shop", web, `[sleep, 1h]`), report.Failed, "gave no answer within 10s", "jobs.batch shop/audit-"},
		{"timeout: 12s, " + job("shop", "no.such.registry.example/image:1", `[]`), report.Error, "ErrImageNeverPull", "jobs.batch shop/audit-"},
		{"timeout: 1s, " + job("no-such", web, `[]`), report.Error, `namespaces "no-such" not found`, ""},

		{`exec: {` + inDB + `, command: [sh, -c, 'printenv PASSWORD; printenv PASSWORD | tr -d "\n" | base64']}`, report.Passed, "", ""},
		{`sql: {` + inDB + `, driver: postgres, ` + user + `, query: '\! tr "\0" " " < /proc/$PPID/cmdline'}, expect: {output: {contains: psql}}`, report.Passed, "", ""},
	}
}

func TestTheChecksOfAPolicyAreAskedOfRealPods(t *testing.T) {
	tag := unique("probe")
	web, db := rig.WorkloadImage(t, "lifeboat.test/web:"+tag), rig.DatabasesImage(t, "lifeboat.test/databases:"+tag)
	t.Cleanup(func() { docker(t, "rmi", "--force", web, db) })
	secretFile := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(secretFile, []byte(password+"\n"), 0o600))
	t.Setenv("LIFEBOAT_TEST_WRONG", "wrong")

	s := &kind.Sandbox{Choice: kind.Choice{KubernetesVersion: nodeVersion}, Images: policy.Images{Mode: policy.ImagesLoad}, Dir: t.TempDir()}
	t.Cleanup(func() { _ = s.Down(context.WithoutCancel(t.Context())) })
	up := up(t, s)
	missing, err := s.Provide(t.Context(), []string{web, db})
	require.NoError(t, err)
	require.Empty(t, missing)
	require.NoError(t, s.Contain(t.Context()))
	node := nodeOf(t, s.Dir)
	kubectl(t, node, fmt.Sprintf(probed, web, db, password, databaseScript), "apply", "-f", "-")

	all := askedChecks(web)
	checks := parsed(t, all, secretFile)
	c, err := cluster.FromKubeconfig(up.Kubeconfig, "lifeboat-test")
	require.NoError(t, err)
	began := time.Now()
	results := probe.Run(t.Context(), c, checks, probe.Options{Now: time.Now})
	t.Logf("%d checks in %.1f s", len(all), time.Since(began).Seconds())

	for i, a := range all {
		r := results[i]
		t.Logf("%-6s %5.2fs %s | %s", r.Check.Verdict, r.Check.Seconds, r.Check.Message, strings.ReplaceAll(excerptOf(r.Check.Output), "\n", "⏎"))
		assert.Equal(t, a.verdict, r.Check.Verdict, "%s: %s", a.yaml, r.Check.Message)
		assert.Contains(t, r.Check.Message, a.says, a.yaml)
		assert.Equal(t, checks[i].Kind(), r.Check.Kind)
		assertFinding(t, a, r)
		for _, shown := range []string{r.Check.Message, r.Check.Output} {
			assert.NotContains(t, shown, password, a.yaml)
			assert.NotContains(t, shown, "aHVudGVyMi1vZi10aGUtc2hvcA", a.yaml)
		}
	}
	assert.Greater(t, strings.Count(results[0].Check.Message, "attempt"), 0, "the first is asked while the database is only starting")
	commandLine := results[len(results)-1].Check.Output
	assert.Contains(t, commandLine, "psql")
	assert.NotContains(t, commandLine, "***", "the password is on no command line")

	left := 0
	for _, err := range c.List(t.Context(), item.Resource{Group: "batch", Version: "v1", Name: "jobs", Kind: "Job", Namespaced: true}, cluster.ListOptions{}, &cluster.ListInfo{}) {
		require.NoError(t, err)
		left++
	}
	assert.Zero(t, left, "Jobs are removed")
	t.Run("the API server's own proxy for Services is no way to ask", func(t *testing.T) { assertProxyChangesRequests(t, up.Kubeconfig) })
	t.Run("a cluster that is gone is an error", func(t *testing.T) {
		docker(t, "kill", node)
		gone := []policy.Check{checks[1], checks[14]}
		for i := range gone {
			gone[i].Timeout.Duration = 2 * time.Second
		}
		for _, r := range probe.Run(t.Context(), c, gone, probe.Options{Now: time.Now}) {
			assert.Equal(t, report.Error, r.Check.Verdict, r.Check.Message)
			require.Len(t, r.Environment, 1)
		}
	})
}

// parsed are the checks as a policy has them.
func parsed(t *testing.T, all []asked, secretFile string) []policy.Check {
	t.Helper()
	var text strings.Builder
	text.WriteString("apiVersion: lifeboat.dev/v1alpha1\nkind: DrillPolicy\nmetadata: {name: p}\nspec:\n  select: {backups: [b]}\n  level: kind\n  checks:\n")
	for i, a := range all {
		fmt.Fprintf(&text, "  - {name: c%d, %s}\n", i, strings.ReplaceAll(a.yaml, "PASSWORDFILE", secretFile))
	}
	p, err := policy.Parse(strings.NewReader(text.String()))
	require.NoError(t, err)
	return p.Spec.Checks
}

func assertFinding(t *testing.T, a asked, r probe.Result) {
	t.Helper()
	found := map[report.Verdict][]report.Finding{report.Failed: r.Findings, report.Error: r.Environment}
	for verdict, findings := range found {
		if verdict != a.verdict {
			assert.Empty(t, findings, a.yaml)
			continue
		}
		if assert.Len(t, findings, 1, a.yaml) {
			assert.Equal(t, r.Check.Name, findings[0].Check)
			assert.True(t, strings.HasPrefix(findings[0].Object, a.object), "%s: %q", a.yaml, findings[0].Object)
		}
	}
}

func excerptOf(s string) string { return s[:min(len(s), 120)] }

// assertProxyChangesRequests holds the reason why requests go over a forwarded
// port.
func assertProxyChangesRequests(t *testing.T, kubeconfig []byte) {
	t.Helper()
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	require.NoError(t, err)
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	ask := func(service, path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", config.Host+"/api/v1/namespaces/shop/services/"+service+"/proxy"+path, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Basic c2hvcDpzaG9w")
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		t.Logf("%s%s: %d %s", service, path, resp.StatusCode, body)
		return resp.StatusCode, string(body)
	}
	_, body := ask("web:80", "/request")
	assert.NotContains(t, body, "Basic", "it takes the header away")
	assert.NotContains(t, body, "shop.svc", "it asks for a host of its own")
	status, _ := ask("nobody:80", "/")
	assert.Equal(t, 503, status, "it answers 503 itself")
	status, _ = ask("web:closed", "/")
	assert.Contains(t, []int{502, 503}, status, "and where nothing listens")
}

func TestTheChecksOfAPolicyDecideOverADrill(t *testing.T) {
	rig.WorkloadImage(t, workloadImage)
	dir := source(t, "testdata/asked.yaml")
	head := "apiVersion: lifeboat.dev/v1alpha1\nkind: DrillPolicy\nmetadata: {name: nightly}\nspec:\n" +
		"  location: file://" + dir + "\n  select: {backups: [b]}\n  level: kind\n  kubernetesVersion: v" + nodeVersion + "\n  images: {mode: load}\n  checks:\n"
	good := "  - {name: web-answers, http: {namespace: shop, service: web, port: 80}, expect: {output: {equals: ok}}}\n" +
		"  - {name: audit, " + job("shop", workloadImage, `[exit, "0", all is well]`) + ", expect: {output: {contains: well}}}\n"
	bad := "  - {name: web-is-teapot, timeout: 2s, http: {namespace: shop, service: web, port: 80}, expect: {status: 418}}\n"
	unasked := "  - {name: nobody-there, timeout: 2s, exec: {namespace: shop, pod: db-0, command: [ls]}}\n"
	for name, x := range map[string]struct {
		checks   string
		verdict  report.Verdict
		status   int
		verdicts []report.Verdict
	}{
		"all pass":                              {good, report.Passed, 0, []report.Verdict{report.Passed, report.Passed}},
		"one fails, another could not be asked": {bad + unasked, report.Failed, 4, []report.Verdict{report.Failed, report.Error}},
		"one could not be asked":                {unasked, report.Error, 1, []report.Verdict{report.Error}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "policy.yaml")
			require.NoError(t, os.WriteFile(file, []byte(head+x.checks), 0o600))
			cmd := exec.CommandContext(t.Context(), rig.Program(t, "lifeboat-verifier"), "drill", "--policy", file, "-o", "json")
			cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, _ := cmd.Output() // its exit status is looked at below
			assert.Equal(t, x.status, cmd.ProcessState.ExitCode(), stderr.String())
			rep, err := report.Decode(strings.NewReader(string(out)))
			require.NoError(t, err, "%s: %s", out, stderr.String())
			assert.Equal(t, x.verdict, rep.Verdict, rep.Summary)
			assert.Equal(t, "nightly", rep.Policy)
			var got []report.Verdict
			for _, c := range rep.Checks {
				if strings.HasPrefix(c.Name, probe.Prefix) {
					got = append(got, c.Verdict)
					t.Logf("%s %s %s %.2fs: %s", c.Verdict, c.Name, c.Kind, c.Seconds, c.Message)
				}
			}
			assert.Equal(t, x.verdicts, got)
			if x.status == 4 {
				assert.Contains(t, said(rep.Findings, "check/web-is-teapot", "services shop/web"), "status 200, expected 418")
				assert.Contains(t, said(rep.Environment, "check/nobody-there", "pods shop/db-0"), `pods "db-0" not found`)
			}
		})
	}
}
