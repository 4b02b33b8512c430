package restore

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// tenantTarget is a cluster as an identity sees it that has rights in namespaces.
type tenantTarget struct {
	*fakeTarget
	namespaces map[string]bool
}

func denied(r item.Resource) error {
	return apierrors.NewForbidden(schema.GroupResource{Group: r.Group, Resource: r.Name}, "", errors.New("no"))
}

func (f tenantTarget) List(ctx context.Context, r item.Resource, o cluster.ListOptions, info *cluster.ListInfo) iter.Seq2[item.Item, error] {
	if !f.namespaces[o.Namespace] {
		return func(yield func(item.Item, error) bool) { yield(item.Item{}, denied(r)) }
	}
	return f.fakeTarget.List(ctx, r, o, info)
}

func (f tenantTarget) Get(ctx context.Context, r item.Resource, namespace, name string) (item.Item, error) {
	if namespace == "" {
		return item.Item{}, denied(r)
	}
	return f.fakeTarget.Get(ctx, r, namespace, name)
}

func (f tenantTarget) Create(ctx context.Context, r item.Resource, namespace string, object []byte, p ...cluster.Param) ([]byte, error) {
	if !f.namespaces[namespace] {
		return nil, denied(r)
	}
	return f.fakeTarget.Create(ctx, r, namespace, object, p...)
}

func TestATenantRestoresItsNamespace(t *testing.T) {
	to := tenantTarget{newTarget(), map[string]bool{"shop": true}}
	there := configMap("a")
	to.objects[there.Key] = there
	shop := item.Item{
		Key: item.Key{Resource: "namespaces", Name: "shop"}, Version: "v1", Kind: "Namespace",
		Raw: []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`),
	}
	j := job(written(t, true, shop, configMap("a"), configMap("b")), to.fakeTarget)
	j.Cluster = to
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Empty(t, failures(r.Changes))
	assert.Equal(t, 1, r.Changes.Count(apply.Created))
	assert.Equal(t, 1, r.Changes.Count(apply.Unchanged), "it sees what is in its namespace")
	assert.Equal(t, 1, r.Changes.Count(apply.Skipped), "the namespace, which it may not read")
	assert.Equal(t, []string{"no permission to read in the target cluster: namespaces shop"}, r.Warnings)
}

// What is asked for by name is tried, so that the API server's answer is seen.
func TestATenantThatAsksForClusterScopedObjectsIsRefusedThem(t *testing.T) {
	to := tenantTarget{newTarget(), map[string]bool{"shop": true}}
	shop := item.Item{
		Key: item.Key{Resource: "namespaces", Name: "shop"}, Version: "v1", Kind: "Namespace",
		Raw: []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`),
	}
	j := job(written(t, true, shop), to.fakeTarget)
	j.Cluster = to
	j.Options.Filter.IncludedResources = []string{"namespaces"}
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, failures(r.Changes), 1)
	assert.Contains(t, failures(r.Changes)[0], "forbidden")
}
