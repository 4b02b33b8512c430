package manifest

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheDocumentedManifestHasEveryFieldAndNoOther(t *testing.T) {
	doc, err := os.ReadFile("../../docs/backup.md")
	require.NoError(t, err)
	_, example, found := strings.Cut(string(doc), "```json\n")
	require.True(t, found, "docs/backup.md has no block that starts with ```json")
	example, _, _ = strings.Cut(example, "```")

	strict := json.NewDecoder(strings.NewReader(example))
	strict.DisallowUnknownFields()
	var m Manifest
	require.NoError(t, strict.Decode(&m))
	assert.Equal(t, Schema, m.Schema)

	for _, v := range []any{Manifest{}, Digest{}, Resource{}, Item{}} {
		for _, name := range jsonNames(reflect.TypeOf(v)) {
			assert.Contains(t, example, `"`+name+`":`, "%T", v)
		}
	}
}

func jsonNames(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			out = append(out, jsonNames(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}
