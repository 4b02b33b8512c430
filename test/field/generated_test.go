//go:build e2e

package field_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

const (
	// seedVariable sets the first seed. make sets it by the number of the commit, so
	// that each commit tries others and a failure can be repeated.
	seedVariable = "LIFEBOAT_SEED"
	// roundsVariable sets how many clusters are tried.
	roundsVariable = "LIFEBOAT_ROUNDS"
	defaultRounds  = 4
)

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	if os.Getenv(variable) == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(os.Getenv(variable), 10, 64)
	require.NoError(t, err, variable)
	return n
}

// TestGeneratedClustersComeBackAndTheirDrillsPass makes clusters of legal objects by
// chance. Each is backed up, restored into an empty cluster and compared by this
// test's own rules, and drilled. Every backup is Completed, every restore complete
// and equal, and no healthy backup fails its drill.
func TestGeneratedClustersComeBackAndTheirDrillsPass(t *testing.T) {
	seed := number(t, seedVariable, 1)
	rounds := number(t, roundsVariable, defaultRounds)
	t.Logf("%d clusters from seed %d (%s=%d repeats them, %s sets how many)", rounds, seed, seedVariable, seed, roundsVariable)
	total := 0
	for i := range rounds {
		t.Run(fmt.Sprintf("seed-%d", seed+i), func(t *testing.T) { total += roundTrip(t, seed+i) })
	}
	t.Logf("%d clusters with %d objects tried", rounds, total)
}

// roundTrip returns how many objects it generated.
func roundTrip(t *testing.T, seed uint64) int {
	objects := newGenerator(seed).cluster()
	dir := t.TempDir()
	source := connected(t, filepath.Join(dir, "source.kubeconfig"))
	target := connected(t, filepath.Join(dir, "target.kubeconfig"))
	before := source.everything(t)
	source.create(t, objects)
	want := source.everything(t)

	location := "file://" + filepath.Join(dir, "bucket")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "bucket"), 0o700))
	run := func(of lab, program string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), rig.Program(t, program), append(args, "--location", location)...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+of.path, "LIFEBOAT_CONTROLPLANE="+rig.ControlPlaneBinary(t))
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s %s\n%s", program, args[0], out)
	}
	run(source, "lifeboat", "backup", "create", "b")
	run(source, "lifeboat", "backup", "verify", "b")
	run(target, "lifeboat", "restore", "create", "r", "--from-backup", "b")
	compare(t, before, want, target.everything(t))
	run(source, "lifeboat-verifier", "drill", "--backup", "b", "--level", "controlplane")
	if t.Failed() {
		t.Logf("repeat with %s=%d %s=1", seedVariable, seed, roundsVariable)
	}
	return len(objects)
}

// lab is a control plane and its client.
type lab struct {
	*cluster.Client
	path string // of the kubeconfig
}

func connected(t *testing.T, kubeconfig string) lab {
	t.Helper()
	up := rig.ControlPlane(t, func(c *sandbox.ControlPlane) { c.AllowEgress = true })
	require.NoError(t, os.WriteFile(kubeconfig, up.Kubeconfig, 0o600))
	c, err := cluster.FromKubeconfig(up.Kubeconfig, "lifeboat-field")
	require.NoError(t, err)
	return lab{c, kubeconfig}
}

// create makes the objects. Kinds that were just defined, and the accounts of new
// namespaces, take a moment to be there.
func (l lab) create(t *testing.T, objects []object) {
	t.Helper()
	for _, o := range objects {
		raw, err := json.Marshal(o)
		require.NoError(t, err)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			if err := l.createOne(t.Context(), o, raw); err != nil {
				assert.NoError(c, err, "%.300s", raw)
			}
		}, 20*time.Second, 100*time.Millisecond)
	}
}

func (l lab) createOne(ctx context.Context, o object, raw []byte) error {
	group, version, found := strings.Cut(o["apiVersion"].(string), "/")
	if !found {
		group, version = "", group
	}
	kind := o["kind"].(string)
	resource := strings.ToLower(kind) + "s"
	switch kind {
	case "Ingress", "IngressClass", "StorageClass", "PriorityClass", "RuntimeClass":
		resource = strings.ToLower(kind) + "es"
	case "Endpoints":
		resource = "endpoints"
	case "ValidatingAdmissionPolicy":
		resource = "validatingadmissionpolicies"
	}
	if strings.HasSuffix(group, ".example.com") {
		resource = strings.ToLower(kind)
	}
	namespace, _ := o["metadata"].(object)["namespace"].(string)
	_, err := l.Create(ctx, item.Resource{Group: group, Version: version, Name: resource, Kind: kind}, namespace, raw)
	return err
}

// everything returns the objects of a cluster by key, except those that no backup
// restores.
func (l lab) everything(t *testing.T) map[item.Key]object {
	t.Helper()
	resources, failures, err := l.Resources(t.Context())
	require.NoError(t, err)
	require.Empty(t, failures)
	all := map[item.Key]object{}
	for _, r := range resources {
		if !slices.Contains(r.Verbs, "list") || r.Name == "events" || r.Name == "componentstatuses" || r.Name == "leases" && r.Group == "" {
			continue
		}
		for it, err := range l.List(t.Context(), r, cluster.ListOptions{}, &cluster.ListInfo{}) {
			require.NoError(t, err, r.Name)
			var o object
			require.NoError(t, json.Unmarshal(it.Raw, &o))
			all[it.Key] = o
		}
	}
	return all
}

// compare asserts that what the source had is in the target and equal, apart from
// what each cluster sets by itself.
func compare(t *testing.T, before, want, got map[item.Key]object) {
	t.Helper()
	for key, w := range want {
		if _, own := before[key]; own {
			continue
		}
		if madeByTarget(key) {
			continue
		}
		g, ok := got[key]
		if !assert.True(t, ok, "not restored: %q", key.String()) {
			continue
		}
		assert.Empty(t, differences(comparable(w), comparable(g)), "%q", key.String())
	}
}

// madeByTarget are objects that each control plane makes by itself: of a namespace,
// and of the addresses of Services.
func madeByTarget(k item.Key) bool {
	return k.Resource == "configmaps" && k.Name == "kube-root-ca.crt" ||
		k.Resource == "serviceaccounts" && k.Name == "default" ||
		k.GroupResource() == "ipaddresses.networking.k8s.io"
}

// comparable is an object without what each cluster sets by itself.
func comparable(o object) object {
	meta := o["metadata"].(object)
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"} {
		delete(meta, field)
	}
	if labels, ok := meta["labels"].(object); ok { // a restore adds them, as Velero's does
		delete(labels, "velero.io/backup-name")
		delete(labels, "velero.io/restore-name")
		if len(labels) == 0 {
			delete(meta, "labels")
		}
	}
	delete(o, "status")
	spec, _ := o["spec"].(object)
	switch o["kind"] {
	case "Service":
		for _, field := range []string{"clusterIP", "clusterIPs"} {
			if spec["clusterIP"] != "None" {
				delete(spec, field)
			}
		}
		ports, _ := spec["ports"].([]any)
		for _, p := range ports {
			delete(p.(object), "nodePort")
		}
	case "Secret": // the target signs its own tokens
		if o["type"] == "kubernetes.io/service-account-token" {
			delete(o, "data")
			if a, ok := meta["annotations"].(object); ok {
				delete(a, "kubernetes.io/service-account.uid")
			}
		}
	case "PersistentVolume":
		if ref, ok := spec["claimRef"].(object); ok {
			delete(ref, "uid")
			delete(ref, "resourceVersion")
		}
	case "Pod": // the volume with the token has a random name
		removeToken(spec)
	}
	return o
}

// differences are the fields in which two objects differ, with the start of their
// values.
func differences(want, got object) []string {
	w, g := map[string]string{}, map[string]string{}
	flatten("", want, w)
	flatten("", got, g)
	var out []string
	for path, v := range w {
		if g[path] != v {
			out = append(out, fmt.Sprintf("%s: %.80s, want %.80s", path, g[path], v))
		}
	}
	for path, v := range g {
		if _, ok := w[path]; !ok {
			out = append(out, fmt.Sprintf("%s: %.80s, want it absent", path, v))
		}
	}
	return out
}

func flatten(path string, v any, into map[string]string) {
	switch v := v.(type) {
	case object:
		into[path] = "an object"
		for name, child := range v {
			flatten(path+"."+name, child, into)
		}
	case []any:
		into[path] = fmt.Sprintf("a list of %d", len(v))
		for i, child := range v {
			flatten(fmt.Sprintf("%s[%d]", path, i), child, into)
		}
	default:
		into[path] = fmt.Sprintf("%#v", v)
	}
}

const tokenPrefix = "kube-api-access-"

func removeToken(spec object) {
	isToken := func(v any) bool {
		name, _ := v.(object)["name"].(string)
		return strings.HasPrefix(name, tokenPrefix)
	}
	without := func(list any) []any {
		var kept []any
		all, _ := list.([]any)
		for _, v := range all {
			if !isToken(v) {
				kept = append(kept, v)
			}
		}
		return kept
	}
	spec["volumes"] = without(spec["volumes"])
	containers, _ := spec["containers"].([]any)
	for _, c := range containers {
		c.(object)["volumeMounts"] = without(c.(object)["volumeMounts"])
	}
}
