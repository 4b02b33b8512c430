package modifier

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"
)

// maxCopied bounds, in bytes, what the copy operations of a rule may add to an
// object: the most an API server takes in one request. Copies of copies would
// otherwise double an object with every line.
const maxCopied = 3 << 20

// Value is a JSON value written as text. Its type depends on its form, as with
// Velero (see json).
type Value string

// UnmarshalJSON takes numbers and booleans, which are easily left unquoted in
// YAML, for the text they were written as, as Velero does.
func (v *Value) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case '"':
		return json.Unmarshal(data, (*string)(v))
	case '{', '[':
		return errors.New(`value: write objects and lists as a string that holds JSON, as in value: '{"name": "web"}'`)
	case 'n': // null means no value, as in encoding/json
		return nil
	}
	*v = Value(data)
	return nil
}

// json is the value that the text represents (Velero v1.18,
// internal/resourcemodifiers/json_patch.go):
//
//   - null, true and false (in any case of letters), what Go takes for a
//     number, and what begins with { or [ is itself
//   - a text in double quotes, and every other text, is a string; nothing in
//     it is escaped, so a backslash in it is one of JSON's
//   - no text is the empty string
//
// If the result is not JSON, Velero fails for every object; Parse returns an
// error.
func (v Value) json() (json.RawMessage, error) {
	text := string(v)
	switch {
	case text == `"`: // begins and ends with the same quote
		text = `""`
	case !v.quoted() && !v.literal():
		text = `"` + text + `"`
	}
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("value %q is read as %s, which is not JSON (to make it a string, write it in quotes within quotes: '%s')", string(v), text, strconv.Quote(string(v)))
	}
	return json.RawMessage(text), nil
}

func (v Value) quoted() bool {
	return strings.HasPrefix(string(v), `"`) && strings.HasSuffix(string(v), `"`)
}

func (v Value) literal() bool {
	text := string(v)
	if text == "null" || strings.EqualFold(text, "true") || strings.EqualFold(text, "false") {
		return true
	}
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		return true
	}
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// jsonPatch is a list of operations that are applied together or not at all.
type jsonPatch jsonpatch.Patch

func newJSONPatch(operations []Operation) (jsonPatch, error) {
	type decoded struct {
		Op    string          `json:"op"`
		From  string          `json:"from"`
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	list := make([]decoded, len(operations))
	var errs []error
	for i, o := range operations {
		value, err := o.Value.json()
		if err != nil {
			errs = append(errs, fmt.Errorf("[%d]: %w", i, err))
			continue
		}
		list[i] = decoded{Op: o.Operation, From: o.From, Path: o.Path, Value: value}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	p, err := jsonpatch.DecodePatch(text)
	return jsonPatch(p), err
}

func (p jsonPatch) apply(object map[string]any, _ Types) (map[string]any, error) {
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit = maxCopied
	return viaJSON(object, func(text []byte) ([]byte, error) {
		return jsonpatch.Patch(p).ApplyWithOptions(text, options)
	})
}

func isTestFailed(err error) bool { return errors.Is(err, jsonpatch.ErrTestFailed) }
func isMissing(err error) bool    { return errors.Is(err, jsonpatch.ErrMissing) }

// mergePatches are applied one after the other.
type mergePatches []json.RawMessage

func (p mergePatches) apply(object map[string]any, _ Types) (map[string]any, error) {
	return viaJSON(object, func(text []byte) ([]byte, error) {
		var err error
		for _, patch := range p {
			if text, err = jsonpatch.MergePatch(text, patch); err != nil {
				return nil, err
			}
		}
		return text, nil
	})
}

func viaJSON(object map[string]any, change func([]byte) ([]byte, error)) (map[string]any, error) {
	text, err := utiljson.Marshal(object)
	if err != nil {
		return nil, err
	}
	if text, err = change(text); err != nil {
		return nil, err
	}
	var changed map[string]any
	if err := utiljson.Unmarshal(text, &changed); err != nil {
		return nil, fmt.Errorf("the result is not an object: %w", err)
	}
	return changed, nil
}

// strategicPatches are applied one after the other.
type strategicPatches []map[string]any

func (p strategicPatches) apply(object map[string]any, types Types) (map[string]any, error) {
	gvk := (&unstructured.Unstructured{Object: object}).GroupVersionKind()
	like, err := types(gvk)
	if runtime.IsNotRegisteredError(err) {
		return nil, fmt.Errorf("no strategic merge patch is possible for %s, which is not a built-in kind; use mergePatches or patches", gvk)
	}
	if err != nil {
		return nil, err
	}
	for _, patch := range p {
		// The result shares what the patch brings, and rules outlive objects.
		if object, err = strategicpatch.StrategicMergeMapPatch(object, runtime.DeepCopyJSON(patch), like); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// decode reads the data of a merge patch: an object in YAML or JSON.
func (p Patch) decode() (json.RawMessage, error) {
	text, err := yaml.YAMLToJSONStrict([]byte(p.Data))
	if err != nil {
		return nil, err
	}
	if text[0] != '{' {
		return nil, errors.New("it is not a mapping of fields")
	}
	return text, nil
}
