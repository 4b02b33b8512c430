//go:build e2e

package controlplane_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/probe"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func TestWhereNothingRunsNoCheckPassesAndNoneFails(t *testing.T) {
	c := emptyCluster(t)
	create(t, c,
		`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`,
		`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"runner","namespace":"shop"}}`,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"db","namespace":"shop","labels":{"app":"db"}},"spec":{"serviceAccountName":"runner","containers":[{"name":"c","image":"x"}]}}`,
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"db","namespace":"shop"},"spec":{"selector":{"app":"db"},"ports":[{"port":80}]}}`,
	)
	p, err := policy.Parse(strings.NewReader(`
apiVersion: lifeboat.dev/v1alpha1
kind: DrillPolicy
metadata: {name: p}
spec:
  select: {backups: [b]}
  level: kind
  checks:
  - {name: exec, timeout: 1s, exec: {namespace: shop, pod: db, command: [ls]}}
  - {name: http, timeout: 1s, http: {namespace: shop, service: db, port: 80}}
  - {name: sql, timeout: 1s, sql: {namespace: shop, selector: app=db, driver: sqlite, database: /x, query: select 1}}
  - {name: secret, timeout: 1s, sql: {namespace: shop, pod: db, driver: mysql, password: {secretKeyRef: {name: db, key: p}}, query: select 1}}
  - name: job
    timeout: 2s
    job:
      manifest:
        apiVersion: batch/v1
        kind: Job
        metadata: {namespace: shop}
        spec: {template: {spec: {restartPolicy: Never, serviceAccountName: runner, containers: [{name: c, image: x}]}}}
`))
	require.NoError(t, err)
	want := map[string]string{
		"check/exec":   "no pod of pods shop/db is ready: db is Pending",
		"check/http":   "service shop/db has no ready pod behind port 80",
		"check/sql":    "no pod of pods shop (app=db) is ready: db is Pending",
		"check/secret": `secret shop/db: secrets "db" not found`,
		"check/job":    "could not be run within 2s: the",
	}
	results := probe.Run(t.Context(), c, p.Spec.Checks, probe.Options{Now: time.Now})
	require.Len(t, results, len(want))
	for _, r := range results {
		t.Log(r.Check.Name, r.Check.Verdict, r.Check.Message)
		assert.Equal(t, report.Error, r.Check.Verdict, r.Check.Name)
		assert.Contains(t, r.Check.Message, want[r.Check.Name])
		assert.Empty(t, r.Findings)
	}
}
