package filter

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestSelectorsAreSeparatedAsVeleroSeparatesThem(t *testing.T) {
	for text, want := range map[string][]string{
		"app=shop":                            {"app=shop"},
		"app=shop or tier in (a,b),x or !y":   {"app=shop", "tier in (a,b),x", "!y"},
		" app = shop  or  team ":              {"app = shop", "team"},
		"or or orange":                        {"or", "orange"},
		"app=shop or app=shop":                {"app=shop", "app=shop"},
		"vendor=or,door=for or corridor=moor": {"vendor=or,door=for", "corridor=moor"},
	} {
		got, err := ParseSelectors(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", " or ", "a=b or ", " or a=b", "a=b or c in (", "a>1", "a=b || c=d"} {
		_, err := ParseSelectors(text)
		assert.Error(t, err, text)
	}
}

func TestASelectorStandsInABackupAsItWasMeant(t *testing.T) {
	for text, want := range map[string]string{
		"a=b":                  "a=b",
		"a==b,c=":              "a=b,c=",
		"a!=b":                 "a notin (b)",
		"a in (c,b),!d,e":      "a in (b,c),!d,e",
		"a notin (b)":          "a notin (b)",
		"a=1,a=2":              "a=1,a in (2)",
		"app in (x), app != y": "app in (x),app notin (y)",
		"":                     "<none>",
	} {
		s, err := LabelSelector(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, metav1.FormatLabelSelector(s), text)
	}
}

func TestAnOrderIsReadAsVeleroReadsIt(t *testing.T) {
	o, err := ParseOrder("pods=ns1/a, ns1/b ; persistentvolumes = x")
	require.NoError(t, err)
	assert.Equal(t, Order{"pods": {"ns1/a", "ns1/b"}, "persistentvolumes": {"x"}}, o)
	assert.Equal(t, map[string]string{"pods": "ns1/a,ns1/b", "persistentvolumes": "x"}, o.Spec())
	assert.Nil(t, Order{}.Spec())
	for text, want := range map[string]string{
		"":                "not of the form resource=name,name",
		"pods":            "not of the form resource=name,name",
		"pods=a/b;":       "not of the form resource=name,name",
		"pods=":           `"" of pods is not of the form`,
		"pods=a/b,":       `"" of pods is not of the form`,
		"=a":              `"" is not a resource that can be ordered`,
		"*=a":             `"*" is not a resource that can be ordered`,
		"pods=/a":         `"/a" of pods is not of the form`,
		"pods=a/":         `"a/" of pods is not of the form`,
		"pods=a/b/c":      `"a/b/c" of pods is not of the form`,
		"pods=a=b":        `"a=b" of pods is not of the form`,
		"pods=a b":        `"a b" of pods is not of the form`,
		"pods=n/a,n/a":    `"n/a" of pods is listed twice`,
		"pods=n/a;pods=b": `resource "pods" is listed twice`,
	} {
		_, err := ParseOrder(text)
		assert.ErrorContains(t, err, want, text)
	}
}

func FuzzParseSelectors(f *testing.F) {
	for _, s := range []string{"app=shop or tier in (a,b)", " or ", "a=1,a=2", "!x or y", "a in (b or c)", "a notin (),b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		selectors, err := ParseSelectors(text)
		if err != nil {
			return
		}
		filter := Filter{OrLabelSelectors: selectors}
		require.NoError(t, filter.Check(), text)
		for _, s := range selectors {
			// What a Backup holds of it selects the same.
			spec, err := LabelSelector(s)
			require.NoError(t, err)
			kept, err := metav1.LabelSelectorAsSelector(spec)
			require.NoError(t, err)
			asked, err := labels.Parse(s)
			require.NoError(t, err)
			for _, set := range []labels.Set{nil, {"app": "shop"}, {"a": "1"}, {"tier": "a", "x": ""}} {
				assert.Equal(t, asked.Matches(set), kept.Matches(set), "%s %v", s, set)
			}
		}
		again, err := ParseSelectors(strings.Join(selectors, " or "))
		require.NoError(t, err)
		assert.Equal(t, selectors, again)
	})
}

func FuzzParseOrder(f *testing.F) {
	for _, s := range []string{"pods=ns1/a,ns1/b;persistentvolumes=x", "=", ";", "a=b=c", "a=,", "*=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOrder(text)
		if err != nil {
			return
		}
		var again []string
		for resource, names := range o.Spec() {
			again = append(again, resource+"="+names)
		}
		same, err := ParseOrder(strings.Join(again, ";"))
		require.NoError(t, err, text)
		assert.Equal(t, o, same, text)
	})
}
