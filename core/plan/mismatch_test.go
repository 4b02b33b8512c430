package plan

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

func TestOptionsThatMatchNothingAreMistakes(t *testing.T) {
	backup := []item.Item{
		object(t, "v1 Namespace namespaces shop", ""), object(t, "v1 ConfigMap configmaps shop/a", `"metadata":{"labels":{"app":"web"}}`),
		object(t, "v1 PersistentVolumeClaim persistentvolumeclaims store/data", `"spec":{"storageClassName":"fast"}`),
		object(t, "v1 Node nodes n1", ""), object(t, "serving.knative.dev/v1 Service services store/api", `"metadata":{"labels":{"app":"api"}}`),
	}
	known := []item.Resource{
		{Name: "configmaps", Kind: "ConfigMap", ShortNames: []string{"cm"}, Namespaced: true}, {Name: "namespaces", Kind: "Namespace"}, {Name: "nodes", Kind: "Node"},
		{Name: "persistentvolumeclaims", Kind: "PersistentVolumeClaim", Namespaced: true}, {Name: "services", Kind: "Service", Namespaced: true},
		{Group: "serving.knative.dev", Name: "services", Kind: "Service", Namespaced: true, Preference: 1},
	}
	for name, c := range map[string]struct {
		options Options
		want    string
	}{
		"everything":                              {Options{}, ""},
		"a namespace":                             {Options{Filter: filter.Filter{IncludedNamespaces: []string{"shop"}}}, ""},
		"a wildcard":                              {Options{Filter: filter.Filter{IncludedNamespaces: []string{"sh*"}}}, ""},
		"a namespace that only items have":        {Options{Filter: filter.Filter{IncludedNamespaces: []string{"store"}}}, ""},
		"a misspelled namespace":                  {Options{Filter: filter.Filter{IncludedNamespaces: []string{"shop", "shopp"}}}, `holds no namespace named "shopp", which the filter includes; it holds shop, store`},
		"a wildcard that matches nothing":         {Options{Filter: filter.Filter{IncludedNamespaces: []string{"prod-*"}}}, `holds no namespace named "prod-*", which the filter includes; it holds shop, store`},
		"a misspelled mapping":                    {Options{NamespaceMapping: map[string]string{"shpo": "sandbox"}}, `holds no namespace named "shpo", which is mapped; it holds shop, store`},
		"a storage class":                         {Options{StorageClassMapping: map[string]string{"fast": "slow"}}, ""},
		"a storage class that nothing uses":       {Options{StorageClassMapping: map[string]string{"fats": "slow"}}, `holds nothing that uses storage class "fats", which is mapped; it uses fast`},
		"the status of a resource":                {Options{StatusResources: []string{"configmaps", "*"}}, ""},
		"the status of a misspelled resource":     {Options{StatusResources: []string{"podz"}}, `holds no resource named "podz", whose status is to be restored or not`},
		"a label":                                 {Options{Filter: filter.Filter{LabelSelector: "app=web"}}, ""},
		"a label that nothing has":                {Options{Filter: filter.Filter{LabelSelector: "app=wbe"}}, `holds nothing with labels "app=wbe" that the rest of the filter selects`},
		"a label that nothing has there":          {Options{Filter: filter.Filter{LabelSelector: "app=web", IncludedNamespaces: []string{"store"}}}, `holds nothing with labels "app=web" that the rest of the filter selects`},
		"one of two labels":                       {Options{Filter: filter.Filter{OrLabelSelectors: []string{"app=web", "app=wbe"}}}, `holds nothing with labels "app=wbe" that the rest of the filter selects`},
		"two labels":                              {Options{Filter: filter.Filter{OrLabelSelectors: []string{"app=web", "app=api"}}}, ""},
		"a resource":                              {Options{Filter: filter.Filter{IncludedResources: []string{"CM"}}}, ""},
		"a resource that is not there":            {Options{Filter: filter.Filter{IncludedResources: []string{"cm", "secretz"}}}, `holds no resource named "secretz"`},
		"a resource of another group":             {Options{Filter: filter.Filter{IncludedResources: []string{"services"}}}, `holds no resource named "services"; it holds services.serving.knative.dev, which is named with its group`},
		"an excluded resource of the cluster":     {Options{Filter: filter.Filter{ExcludedResources: []string{"services"}}}, ""},
		"a misspelled excluded resource":          {Options{Filter: filter.Filter{ExcludedResources: []string{"cmm"}}}, `holds no resource named "cmm", and neither does the cluster`},
		"everything is excluded":                  {Options{Filter: filter.Filter{ExcludedResources: []string{"*s", "*.serving.knative.dev"}}}, "holds nothing that the filter selects"},
		"what is never restored":                  {Options{Filter: filter.Filter{IncludedResources: []string{"nodes"}}}, "holds nothing to restore that the filter selects: nodes are never restored"},
		"what is never restored, and other items": {Options{Filter: filter.Filter{IncludedResources: []string{"nodes", "configmaps"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var entries []Entry
			for _, it := range backup {
				o := c.options
				o.Filter, _ = o.Filter.Resolved(known)
				e, err := Examine(it, o)
				assert.NoError(t, err)
				entries = append(entries, e)
			}
			err := errors.Join(c.options.Mismatches(entries, known)...)
			if c.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, c.want)
		})
	}
	assert.Empty(t, Options{NamespaceMapping: map[string]string{"a": "b"}}.Mismatches(nil, nil), "an empty backup is reported as such")
}

func TestAnExcludedNamespaceHasToBeSomewhere(t *testing.T) {
	held := entries(t, filter.Filter{}, object(t, config, ""))
	seen := everything()
	seen.Existing[item.Key{Resource: "namespaces", Name: "kube-system"}] = Live{}
	o := Options{Filter: filter.Filter{ExcludedNamespaces: []string{"shop", "kube-system", "kube-sytem", "tmp-*"}}}
	assert.Equal(t, []string{"kube-sytem"}, o.MissingNamespaces(held, seen))
	assert.Empty(t, o.MissingNamespaces(held, everything()), "the namespaces of the target are not known")
	assert.Empty(t, Options{}.MissingNamespaces(held, seen))
}
