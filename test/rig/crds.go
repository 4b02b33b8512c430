package rig

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/api/crds"
	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// InstallCRDs creates the definitions of core/api/crds in a cluster and returns
// when all their kinds are served.
func InstallCRDs(t testing.TB, c *cluster.Client) {
	t.Helper()
	definitions := item.Resource{Group: "apiextensions.k8s.io", Version: "v1", Name: "customresourcedefinitions", Kind: "CustomResourceDefinition"}
	files, err := crds.Files.ReadDir(".")
	require.NoError(t, err)
	var made []item.Key
	for _, f := range files {
		content, err := crds.Files.ReadFile(f.Name())
		require.NoError(t, err)
		object, err := yaml.YAMLToJSON(content)
		require.NoError(t, err, f.Name())
		_, err = c.Create(t.Context(), definitions, "", object, cluster.StrictFields())
		require.NoError(t, err, f.Name())
		group, plural, _ := strings.Cut(strings.TrimSuffix(f.Name(), ".yaml"), "_")
		made = append(made, item.Key{Group: definitions.Group, Resource: definitions.Name, Name: plural + "." + group})
	}
	for _, k := range made {
		require.NoError(t, (&apply.Applier{Cluster: c}).Established(t.Context(), k))
	}
}
