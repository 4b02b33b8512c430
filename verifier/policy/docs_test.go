package policy

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// documented are the names of a struct's fields and of all below it.
func documented(t reflect.Type, into map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		documented(t.Elem(), into)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				into[name] = true
			} else if f.PkgPath == "" && f.Tag == "" {
				continue // a type of another package, a text in YAML
			}
			documented(f.Type, into)
		}
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/policy.md")
	require.NoError(t, err)
	fields := map[string]bool{}
	documented(reflect.TypeFor[Policy](), fields)
	require.Greater(t, len(fields), 60)
	for name := range fields {
		row := regexp.MustCompile("(?m)^\\| [^|]*`([a-zA-Z]+(\\[\\])?\\.)*" + name + "(\\[\\])?`")
		assert.True(t, row.Match(doc), "docs/policy.md has no row for %s", name)
	}
}

func TestTheExamplesAreGoodPolicies(t *testing.T) {
	files, err := filepath.Glob("../../deploy/drills/*.yaml")
	require.NoError(t, err)
	var names []string
	used := map[string]bool{}
	for _, path := range files {
		file, err := os.ReadFile(path)
		require.NoError(t, err)
		if !bytes.Contains(file, []byte("\nkind: "+Kind)) {
			continue // a manifest that runs drills
		}
		p, err := Load(path)
		require.NoError(t, err, path)
		names = append(names, p.Metadata.Name)
		tree := map[string]any{}
		require.NoError(t, yaml.Unmarshal(file, &tree))
		uses(tree, used)
	}
	assert.ElementsMatch(t, []string{"hourly", "daily", "monthly", "yearly", "full"}, names)
	fields := map[string]bool{}
	documented(reflect.TypeFor[Policy](), fields)
	for name := range fields {
		assert.True(t, used[name], "no example shows %s", name)
	}
}

func uses(v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, below := range v {
			into[name] = true
			uses(below, into)
		}
	case []any:
		for _, below := range v {
			uses(below, into)
		}
	}
}
