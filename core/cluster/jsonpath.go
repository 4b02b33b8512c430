package cluster

import (
	"fmt"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/util/jsonpath"
)

// JSONPath is an expression in kubectl's JSONPath. The zero value finds
// nothing.
type JSONPath struct{ template string }

// ParseJSONPath reads an expression as kubectl does: {.a.b}, .a.b or a.b.
func ParseJSONPath(expr string) (JSONPath, error) {
	template := expr
	if !strings.Contains(expr, "{") {
		template = "{." + strings.TrimPrefix(strings.TrimPrefix(expr, "$"), ".") + "}"
	}
	if strings.TrimSpace(strings.Trim(template, "{}.")) == "" {
		return JSONPath{}, fmt.Errorf("JSONPath %q names nothing", expr)
	}
	if err := jsonpath.New("").Parse(template); err != nil {
		return JSONPath{}, fmt.Errorf("JSONPath %q: %w", expr, err)
	}
	return JSONPath{template}, nil
}

// Find is what kubectl prints for the expression: the values, with a space
// between them. The error says that the document is no JSON or has nothing
// there.
func (p JSONPath) Find(document []byte) (string, error) {
	var v any
	if err := utiljson.Unmarshal(document, &v); err != nil {
		return "", fmt.Errorf("the answer is no JSON: %w", err)
	}
	j := jsonpath.New("")
	if err := j.Parse(p.template); err != nil {
		return "", err
	}
	var out strings.Builder
	if err := j.Execute(&out, v); err != nil {
		return "", err
	}
	return out.String(), nil
}
