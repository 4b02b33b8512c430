package item

// Child is the object at a path of an unstructured object, nil when there is
// none. Reading a nil map and deleting from it do no harm.
func Child(m map[string]any, path ...string) map[string]any {
	for _, p := range path {
		next, ok := m[p].(map[string]any)
		if !ok {
			return nil
		}
		m = next
	}
	return m
}

// Maps are the objects of a list, elements of other kinds left out; none when
// it is no list.
func Maps(list any) []map[string]any {
	elements, _ := list.([]any)
	var out []map[string]any
	for _, e := range elements {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}
