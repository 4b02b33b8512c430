package policy

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// shape looks for what a type has no place for: unknown fields and values of
// the wrong kind. It takes them out of the tree, so that the rest can be decoded
// and judged in the same run. A decoder would stop at the first.
func shape(m *mistakes, at *field.Path, v any, t reflect.Type) (keep bool) {
	if v == nil { // as if it were not there
		return true
	}
	if t.Kind() == reflect.Pointer {
		return shape(m, at, v, t.Elem())
	}
	switch t {
	case reflect.TypeFor[Duration]():
		text, ok := v.(string)
		if !ok {
			m.add(at, "%s: %s", show(v), errDuration)
			return false
		}
		if _, err := ParseDuration(text); err != nil {
			m.add(at, "%q: %s", text, err)
			return false
		}
		return true
	case reflect.TypeFor[intstr.IntOrString]():
		if _, ok := v.(string); ok {
			return true
		}
		return whole(m, at, v, 32)
	}
	switch t.Kind() {
	case reflect.Struct:
		return shapeStruct(m, at, v, t)
	case reflect.Map:
		return shapeMap(m, at, v, t)
	case reflect.Slice:
		return shapeSlice(m, at, v, t)
	case reflect.String:
		return is[string](m, at, v, "must be text (write it in quotes)")
	case reflect.Bool:
		return is[bool](m, at, v, "must be true or false")
	case reflect.Int:
		return whole(m, at, v, strconv.IntSize)
	case reflect.Float64:
		n, ok := v.(json.Number)
		if _, err := n.Float64(); !ok || err != nil {
			m.add(at, "%s: must be a number", show(v))
			return false
		}
	}
	return true
}

func is[T any](m *mistakes, at *field.Path, v any, must string) bool {
	_, ok := v.(T)
	if !ok {
		m.add(at, "%s: %s", show(v), must)
	}
	return ok
}

func whole(m *mistakes, at *field.Path, v any, bits int) bool {
	n, ok := v.(json.Number)
	if _, err := strconv.ParseInt(n.String(), 10, bits); !ok || err != nil {
		m.add(at, "%s: must be a whole number", show(v))
		return false
	}
	return true
}

func shapeStruct(m *mistakes, at *field.Path, v any, t reflect.Type) bool {
	tree, ok := v.(map[string]any)
	if !ok {
		m.add(at, "%s: must have fields: %s", show(v), strings.Join(fieldNames(t), ", "))
		return false
	}
	fields := map[string]reflect.Type{}
	gather(t, fields)
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		child := at.Child(name)
		if at == nil {
			child = field.NewPath(name)
		}
		ft, known := fields[name]
		if !known {
			m.add(child, "unknown field%s; known fields: %s", meant(name, fieldNames(t)), strings.Join(fieldNames(t), ", "))
		}
		if !known || !shape(m, child, tree[name], ft) {
			delete(tree, name)
		}
	}
	return true
}

func shapeMap(m *mistakes, at *field.Path, v any, t reflect.Type) bool {
	tree, ok := v.(map[string]any)
	if !ok {
		m.add(at, "%s: must have fields", show(v))
		return false
	}
	if t.Elem().Kind() == reflect.Interface { // whatever it is
		return true
	}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if !shape(m, at.Key(name), tree[name], t.Elem()) {
			delete(tree, name)
		}
	}
	return true
}

func shapeSlice(m *mistakes, at *field.Path, v any, t reflect.Type) bool {
	list, ok := v.([]any)
	if !ok {
		m.add(at, "%s: must be a list", show(v))
		return false
	}
	for i := range list {
		// The place in the list stays, so that the others keep theirs.
		if !shape(m, at.Index(i), list[i], t.Elem()) {
			list[i] = nil
		}
	}
	return true
}

// gather are the fields of a struct, those of embedded ones included.
func gather(t reflect.Type, into map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			gather(f.Type, into)
			continue
		}
		into[name] = f.Type
	}
}

func fieldNames(t reflect.Type) []string {
	fields := map[string]reflect.Type{}
	gather(t, fields)
	return slices.Sorted(maps.Keys(fields))
}

// mostShown bounds how much of a wrong value a message repeats.
const mostShown = 60

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "this"
	}
	if len(b) > mostShown {
		return strings.ToValidUTF8(string(b[:mostShown]), "") + "…"
	}
	return string(b)
}
