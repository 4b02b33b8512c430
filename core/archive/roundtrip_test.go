package archive_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// object makes an item as the API server would serve it.
func object(k item.Key, version, kind, data string) item.Item {
	apiVersion := version
	if k.Group != "" {
		apiVersion = k.Group + "/" + version
	}
	namespace := ""
	if k.Namespace != "" {
		namespace = fmt.Sprintf(`,"namespace":%q`, k.Namespace)
	}
	raw := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q%s},"data":{"v":%q}}`, apiVersion, kind, k.Name, namespace, data)
	return item.Item{Key: k, Version: version, Kind: kind, Raw: []byte(raw)}
}

func write(t testing.TB, items ...item.Item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := archive.NewWriter(&b, archive.Options{})
	for _, it := range items {
		_, err := w.Add(it)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func read(t testing.TB, b []byte) []item.Item {
	t.Helper()
	var items []item.Item
	for it, err := range archive.NewReader(bytes.NewReader(b), archive.Limits{}).Items() {
		require.NoError(t, err)
		items = append(items, it)
	}
	return items
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	long := strings.Repeat("n", 253)
	want := []item.Item{
		object(item.Key{Resource: "namespaces", Name: "shop"}, "v1", "Namespace", ""),
		object(item.Key{Group: "apps", Resource: "deployments", Namespace: "shop", Name: "web"}, "v1", "Deployment", "x"),
		object(item.Key{Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Name: "system:node"}, "v1", "ClusterRole", ""),
		object(item.Key{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "widgets.example.com"}, "v1", "CustomResourceDefinition", ""),
		object(item.Key{Resource: "configmaps", Namespace: "cluster", Name: "namespaces"}, "v1", "ConfigMap", ""),
		object(item.Key{Resource: "configmaps", Namespace: "shop", Name: long}, "v1", "ConfigMap", ""),
		object(item.Key{Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Name: "größe 漢字 🚢"}, "v1", "ClusterRole", "ü"),
		object(item.Key{Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Name: ".json"}, "v1", "ClusterRole", "ü"),
	}
	require.Equal(t, want, read(t, write(t, want...)))
}
