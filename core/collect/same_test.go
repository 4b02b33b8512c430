package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// sameServed is what the generated clusters serve, namesakes in other groups
// included.
var sameServed = []item.Resource{
	resource("", "v1", "configmaps", "ConfigMap", true),
	resource("", "v1", "namespaces", "Namespace", false),
	resource("", "v1", "nodes", "Node", false),
	resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true),
	resource("", "v1", "persistentvolumes", "PersistentVolume", false),
	resource("", "v1", "pods", "Pod", true),
	resource("", "v1", "serviceaccounts", "ServiceAccount", true),
	resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false),
	resource("apps", "v1", "deployments", "Deployment", true),
	resource("cluster.example.com", "v1", "configmaps", "ConfigMap", false),
	resource("example.com", "v1", "pods", "Pod", true),
	resource("example.com", "v1", "widgets", "Widget", true),
	resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", false),
	resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false),
	resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false),
	resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true),
	resource("rbac.authorization.k8s.io", "v1", "roles", "Role", true),
	resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false),
	resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", false),
}

type sameFake struct{ *fake }

func (f sameFake) Resources(context.Context) ([]item.Resource, []cluster.GroupFailure, error) {
	return sameServed, nil, nil
}

// pick is one of the choices.
func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

// some are up to three of the choices.
func some(r *rand.Rand, choices ...string) []string {
	var out []string
	for range r.IntN(4) {
		if c := pick(r, choices...); !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// generated is a cluster whose objects refer to each other, also to such as do not
// exist.
func generated(r *rand.Rand) *fake {
	f := new(fake)
	name := func() string { return pick(r, "a", "b", "c") }
	seen := map[item.Key]bool{}
	spaces := []string{"shop", "web", "lab", "empty"}
	for i := range 70 {
		res := pick(r, sameServed...)
		if i < len(spaces) {
			res = sameServed[1] // each namespace exists
		}
		k := item.Key{Group: res.Group, Resource: res.Name, Name: name()}
		if res.Namespaced {
			k.Namespace = pick(r, "shop", "web", "lab")
		}
		switch res.GroupResource() {
		case "namespaces":
			k.Name = spaces[i%len(spaces)]
		case "customresourcedefinitions.apiextensions.k8s.io":
			k.Name = pick(r, "widgets.example.com", "pods.example.com", "configmaps.cluster.example.com", "unused.example.com")
		}
		if seen[k] {
			continue
		}
		seen[k] = true
		pod := map[string]any{"priorityClassName": name(), "runtimeClassName": name(), "serviceAccountName": pick(r, "a", "b", "default", ""),
			"volumes": []any{map[string]any{"persistentVolumeClaim": map[string]any{"claimName": name()}}}}
		object := map[string]any{
			"apiVersion": res.APIVersion(), "kind": res.Kind,
			"roleRef":  map[string]any{"kind": pick(r, "Role", "ClusterRole"), "name": name()},
			"subjects": []any{map[string]any{"kind": "ServiceAccount", "namespace": pick(r, "shop", "web"), "name": name()}},
		}
		switch res.Kind {
		case "Deployment":
			object["spec"] = map[string]any{"template": map[string]any{"spec": pod}}
		case "Pod":
			object["spec"] = pod
		case "PersistentVolumeClaim":
			object["spec"] = map[string]any{"volumeName": name(), "storageClassName": name()}
		}
		meta := map[string]any{"name": k.Name}
		if k.Namespace != "" {
			meta["namespace"] = k.Namespace
		}
		meta["labels"] = pick(r, nil, map[string]any{"app": "x"}, map[string]any{"app": "y"}, map[string]any{"app": "x", "tier": "db"})
		object["metadata"] = meta
		raw, _ := json.Marshal(object)
		f.objects = append(f.objects, item.Item{Key: k, Version: res.Version, Kind: res.Kind, Raw: raw})
	}
	return f
}

// generatedFilter is one that a restore may have: it does not select by scope.
func generatedFilter(r *rand.Rand) filter.Filter {
	resources := []string{"pods", "Deployment", "persistentvolumeclaims", "configmaps", "widget", "pods.example.com", "clusterroles", "namespaces", "persistentvolumes",
		"*.rbac.authorization.k8s.io", "serviceaccounts", "customresourcedefinitions", "storage*", "configmaps.cluster.example.com", "rolebindings"}
	yes, no := true, false
	f := filter.Filter{IncludeClusterResources: pick(r, nil, nil, &yes, &no)}
	if r.IntN(2) == 0 {
		f.IncludedNamespaces = some(r, "shop", "web", "l*", "*")
	}
	if r.IntN(3) == 0 {
		f.ExcludedNamespaces = some(r, "web", "e*")
	}
	if r.IntN(2) == 0 {
		f.IncludedResources = some(r, resources...)
	}
	if r.IntN(2) == 0 {
		f.ExcludedResources = some(r, resources...)
	}
	switch r.IntN(4) {
	case 0:
		f.LabelSelector = pick(r, "app=x", "app", "tier=db", "!app")
	case 1:
		f.OrLabelSelectors = some(r, "app=y", "tier=db", "app=z")
	}
	return f
}

// One filter means the same on a backup and on a restore.
func TestARestoreWithAFilterTakesWhatABackupWithItHolds(t *testing.T) {
	const clusters = 300
	taken, tried := 0, 0
	for seed := range uint64(clusters) {
		r := rand.New(rand.NewPCG(seed, 4))
		f, only := generated(r), generatedFilter(r)
		if only.Check() != nil {
			continue // includes and excludes the same
		}
		c, err := Begin(t.Context(), sameFake{f}, only, nil)
		if err != nil {
			require.ErrorContains(t, err, "no namespace of the cluster is selected")
			continue
		}
		var held []string
		for it, err := range c.Items(t.Context()) {
			require.NoError(t, err)
			held = append(held, it.Key.String())
		}
		resolved, unknown := only.Resolved(sameServed)
		require.Empty(t, unknown)
		var entries []plan.Entry
		for _, it := range f.objects {
			e, err := plan.Examine(it, plan.Options{Filter: resolved})
			require.NoError(t, err)
			entries = append(entries, e)
		}
		var restored []string
		for _, e := range plan.ComeAlong(entries) {
			if !strings.Contains(e.Leave, "by the filter of the restore") {
				restored = append(restored, e.Source().String())
			}
		}
		slices.Sort(held)
		slices.Sort(restored)
		require.Equal(t, held, restored, "seed %d: %+v, cluster resources %s", seed, only, pointed(only.IncludeClusterResources))
		tried++
		taken += len(held)
	}
	t.Logf("%d clusters and filters, %d objects taken", tried, taken)
	require.Greater(t, tried, clusters/2)
}

func pointed(b *bool) string {
	if b == nil {
		return "unset"
	}
	return fmt.Sprint(*b)
}
