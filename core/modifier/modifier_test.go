package modifier_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/modifier"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	u := &unstructured.Unstructured{}
	require.NoError(t, u.UnmarshalJSON(data))
	return u
}

// The claim is owned, and its labels have characters that JSON pointers escape.
const claim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
  namespace: shop
  labels: {app: db, "example.com/a~b": old}
  ownerReferences: [{apiVersion: v1, kind: Pod, name: db-0, uid: u-1}]
spec:
  storageClassName: premium
  accessModes: [ReadWriteOnce]
`

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {tier: front}}
spec:
  replicas: 3
  template:
    spec:
      containers:
      - {name: proxy, image: proxy:1}
      - {name: web, image: web:1, env: [{name: MODE, value: a}]}
`

func rules(t *testing.T, text string) modifier.Rules {
	t.Helper()
	r, err := modifier.Parse([]byte(text))
	require.NoError(t, err)
	return r
}

// rule is a document of one rule, given as the YAML of its fields.
func rule(fields string) string {
	return "version: v1\nresourceModifierRules:\n- " + strings.ReplaceAll(strings.TrimSpace(fields), "\n", "\n  ") + "\n"
}

// patched applies the document to the object and returns what became of it.
func patched(t *testing.T, doc, text, groupResource string) (*unstructured.Unstructured, []int) {
	t.Helper()
	u := object(t, text)
	applied, err := rules(t, doc).Apply(u.DeepCopy(), u, groupResource, cluster.NewBuiltIn)
	require.NoError(t, err)
	return u, applied
}

func at(t *testing.T, u *unstructured.Unstructured, path ...string) any {
	t.Helper()
	v, _, err := unstructured.NestedFieldNoCopy(u.Object, path...)
	require.NoError(t, err)
	return v
}

func TestTheExampleDoesWhatItsCommentsSay(t *testing.T) {
	data, err := os.ReadFile("testdata/example.yaml")
	require.NoError(t, err)

	u, applied := patched(t, string(data), claim, "persistentvolumeclaims")
	assert.Equal(t, []int{1}, applied)
	assert.Equal(t, "standard", at(t, u, "spec", "storageClassName"))

	u, applied = patched(t, string(data), strings.ReplaceAll(claim, "premium", "slow"), "persistentvolumeclaims")
	assert.Empty(t, applied)
	assert.Equal(t, "slow", at(t, u, "spec", "storageClassName"))

	u, applied = patched(t, string(data), deployment, "deployments.apps")
	assert.Equal(t, []int{2, 3}, applied)
	assert.Equal(t, int64(1), at(t, u, "spec", "replicas"))
	assert.Equal(t, []any{
		map[string]any{"name": "proxy", "image": "proxy:1"},
		map[string]any{"name": "web", "image": "registry.staging.example/web:1.4", "env": []any{
			map[string]any{"name": "LOG_LEVEL", "value": "debug"},
			map[string]any{"name": "MODE", "value": "a"},
		}},
	}, at(t, u, "spec", "template", "spec", "containers"))

	_, applied = patched(t, string(data), strings.ReplaceAll(deployment, "front", "database"), "deployments.apps")
	assert.Equal(t, []int{3}, applied)
	_, applied = patched(t, string(data), strings.ReplaceAll(deployment, "namespace: shop", "namespace: other"), "deployments.apps")
	assert.Equal(t, []int{3}, applied)

	features := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: features}\ndata: {beta: \"true\"}"
	u, applied = patched(t, string(data), features, "configmaps")
	assert.Equal(t, []int{4}, applied)
	assert.Equal(t, "false", at(t, u, "data", "beta"))
	_, applied = patched(t, string(data), strings.ReplaceAll(features, "true", "maybe"), "configmaps")
	assert.Empty(t, applied, "a test that fails leaves the rule out")
}

// The table is Velero v1.18's: json_patch.go and its tests.
func TestValuesAreQuotedAsVeleroDoes(t *testing.T) {
	for written, want := range map[string]any{
		`premium`:            "premium",
		`"premium"`:          "premium",
		`'"quoted"'`:         "quoted",
		`""`:                 "",
		`'"'`:                "",
		`true`:               true,
		`"true"`:             true,
		`'"true"'`:           "true",
		`"null"`:             nil,
		`null`:               "", // YAML's null is no value
		`'"null"'`:           "null",
		`3`:                  int64(3),
		`"3"`:                int64(3),
		`'"3"'`:              "3",
		`-1.5`:               -1.5,
		`1e3`:                int64(1000),
		`"1e999"`:            "1e999", // out of range is no number
		`10.0.0.1`:           "10.0.0.1",
		`2026-01-01`:         "2026-01-01",
		`'{"a": [1, "b"]}'`:  map[string]any{"a": []any{int64(1), "b"}},
		`'[true]'`:           []any{true},
		`'a\tb'`:             "a\tb", // a backslash is JSON's
		`yes`:                true,
		`"a, b"`:             "a, b",
		`'"a", "op": "test'`: nil,
	} {
		doc := rule("conditions: {groupResource: persistentvolumeclaims}\npatches:\n- {operation: add, path: /spec/x, value: " + written + "}")
		if written == `'"a", "op": "test'` {
			_, err := modifier.Parse([]byte(doc))
			assert.ErrorContains(t, err, "not JSON", "a value cannot become another field of the operation")
			continue
		}
		u, applied := patched(t, doc, claim, "persistentvolumeclaims")
		assert.Equal(t, []int{1}, applied)
		assert.Equal(t, want, at(t, u, "spec", "x"), "value: %s", written)
	}
	u, _ := patched(t, rule("conditions: {groupResource: persistentvolumeclaims}\npatches:\n- {operation: add, path: /spec/x}"), claim, "persistentvolumeclaims")
	assert.Equal(t, "", at(t, u, "spec", "x"), "no value is the empty string")
}

func TestConditionsChooseTheObjects(t *testing.T) {
	const (
		pod      = "apiVersion: v1\nkind: Pod\nmetadata: {name: web-1, namespace: shop, labels: {app: web}}"
		ingress  = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web, namespace: shop}"
		class    = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fast}"
		ds       = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: web, namespace: shop}"
		podsGR   = "pods"
		ingresGR = "ingresses.networking.k8s.io"
		classGR  = "storageclasses.storage.k8s.io"
		dsGR     = "daemonsets.apps"
	)
	for _, c := range []struct {
		name, conditions, object, groupResource string
		holds                                   bool
	}{
		{"a resource is named with its group", "groupResource: daemonsets.apps", ds, dsGR, true},
		{"a resource without its group is another", "groupResource: daemonsets", ds, dsGR, false},
		{"one star is the core group", `groupResource: "*"`, pod, podsGR, true},
		{"one star is no other group", `groupResource: "*"`, ds, dsGR, false},
		{"a star and a group are the group", `groupResource: "*.apps"`, ds, dsGR, true},
		{"a group may have dots", `groupResource: "*.networking.k8s.io"`, ingress, ingresGR, true},
		{"a star holds no dot", `groupResource: "*.*"`, ingress, ingresGR, false},
		{"two stars are everything", `groupResource: "**"`, ingress, ingresGR, true},
		{"alternatives", `groupResource: "{pods,daemonsets.apps}"`, ds, dsGR, true},
		{"a namespace in the list", "groupResource: pods\nnamespaces: [a, shop]", pod, podsGR, true},
		{"a namespace not in the list", "groupResource: pods\nnamespaces: [a, b]", pod, podsGR, false},
		{"a pattern of namespaces", "groupResource: pods\nnamespaces: [sh*]", pod, podsGR, true},
		{"namespaces say nothing of cluster-scoped objects", "groupResource: storageclasses.storage.k8s.io\nnamespaces: [a]", class, classGR, true},
		{"an expression finds in the name", "groupResource: pods\nresourceNameRegex: eb-", pod, podsGR, true},
		{"an expression that does not match", "groupResource: pods\nresourceNameRegex: ^eb", pod, podsGR, false},
		{"labels that match", "groupResource: pods\nlabelSelector: {matchLabels: {app: web}}", pod, podsGR, true},
		{"labels that do not", "groupResource: pods\nlabelSelector: {matchLabels: {app: db}}", pod, podsGR, false},
		{"an empty selector matches all", "groupResource: pods\nlabelSelector: {}", pod, podsGR, true},
		{"all matches hold", "groupResource: pods\nmatches: [{path: /metadata/labels/app, value: web}, {path: /kind, value: Pod}]", pod, podsGR, true},
		{"one match does not hold", "groupResource: pods\nmatches: [{path: /metadata/labels/app, value: web}, {path: /kind, value: Node}]", pod, podsGR, false},
		{"a match of what is not there", "groupResource: pods\nmatches: [{path: /spec/nodeName, value: a}]", pod, podsGR, false},
		{"a match of null is of what is not there", "groupResource: pods\nmatches: [{path: /metadata/annotations, value: 'null'}]", pod, podsGR, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := rule("conditions:\n  " + strings.ReplaceAll(c.conditions, "\n", "\n  ") + "\nmergePatches:\n- patchData: '{metadata: {annotations: {seen: \"y\"}}}'")
			u, applied := patched(t, doc, c.object, c.groupResource)
			assert.Equal(t, c.holds, len(applied) == 1)
			assert.Equal(t, c.holds, u.GetAnnotations()["seen"] == "y")
		})
	}
}

func TestConditionsLookAtTheObjectAsItWasBackedUp(t *testing.T) {
	doc := `
version: v1
resourceModifierRules:
- conditions: {groupResource: persistentvolumeclaims, namespaces: [shop]}
  mergePatches: [{patchData: '{"metadata": {"labels": {"app": null, "new": "1"}}}'}]
- conditions: {groupResource: persistentvolumeclaims, namespaces: [shop], labelSelector: {matchLabels: {app: db}}}
  mergePatches: [{patchData: '{"metadata": {"labels": {"second": "1"}}}'}]
- conditions: {groupResource: persistentvolumeclaims, namespaces: [elsewhere]}
  mergePatches: [{patchData: '{"metadata": {"labels": {"third": "1"}}}'}]
`
	original := object(t, claim)
	mapped := original.DeepCopy()
	mapped.SetNamespace("elsewhere")
	applied, err := rules(t, doc).Apply(original, mapped, "persistentvolumeclaims", cluster.NewBuiltIn)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, applied)
	assert.Equal(t, map[string]string{"new": "1", "second": "1", "example.com/a~b": "old"}, mapped.GetLabels())
	assert.Equal(t, "elsewhere", mapped.GetNamespace())
	assert.Equal(t, object(t, claim), original, "the original is left alone")
}

func TestOperationsOfAJSONPatch(t *testing.T) {
	u, _ := patched(t, rule(`
conditions: {groupResource: persistentvolumeclaims}
patches:
- {operation: remove, path: /metadata/labels/example.com~1a~0b}
- {operation: copy, from: /metadata/labels/app, path: /metadata/labels/copied}
- {operation: move, from: /metadata/labels/app, path: /metadata/labels/moved}
- {operation: add, path: /spec/accessModes/-, value: ReadOnlyMany}
- {operation: test, path: /spec/accessModes/1, value: ReadOnlyMany}
- {operation: replace, path: /spec/accessModes/0, value: ReadWriteMany}
`), claim, "persistentvolumeclaims")
	assert.Equal(t, map[string]string{"copied": "db", "moved": "db"}, u.GetLabels())
	assert.Equal(t, []any{"ReadWriteMany", "ReadOnlyMany"}, at(t, u, "spec", "accessModes"))
}

func TestARuleThatCannotBeAppliedIsAnErrorAndChangesNothing(t *testing.T) {
	const first = `
version: v1
resourceModifierRules:
- conditions: {groupResource: "**"}
  mergePatches: [{patchData: '{"metadata": {"labels": {"first": "1"}}}'}]
- conditions: {groupResource: "**"}
`
	copies := "  patches:\n  - {operation: add, path: /spec/x, value: '" + strings.Repeat("x", 1000) + "'}\n"
	for i := range 30 {
		copies += fmt.Sprintf("  - {operation: copy, from: /spec, path: /spec/x%d}\n", i)
	}
	for _, c := range []struct{ name, patch, want string }{
		{"a field that is not there is not replaced", "  patches: [{operation: replace, path: /spec/volumeMode, value: Block}]", "missing key: /spec/volumeMode"},
		{"a field that is not there is not removed", "  patches: [{operation: remove, path: /spec/volumeMode}]", "nonexistent key"},
		{"a test of a path without a parent is no test that fails", "  patches: [{operation: test, path: /status/a/b, value: c}]", "missing path"},
		{"all operations or none", "  patches: [{operation: remove, path: /spec/storageClassName}, {operation: remove, path: /spec/volumeMode}]", "nonexistent key"},
		{"a name stays", "  patches: [{operation: replace, path: /metadata/name, value: other}]", `it would change metadata.name from "data" to "other"`},
		{"a namespace stays", "  mergePatches: [{patchData: 'metadata: {namespace: other}'}]", `it would change metadata.namespace from "shop" to "other"`},
		{"an API version stays", "  mergePatches: [{patchData: 'apiVersion: v2'}]", `it would change apiVersion from "v1" to "v2"`},
		{"a kind stays", "  strategicPatches: [{patchData: 'kind: Pod'}]", `it would change kind from "PersistentVolumeClaim" to "Pod"`},
		{"metadata stays", "  patches: [{operation: remove, path: /metadata}]", `it would change metadata.name from "data" to ""`},
		{"a strategic patch of an element without its key", "  strategicPatches: [{patchData: 'metadata: {ownerReferences: [{name: x}, {name: y}]}'}]", "merge key: uid"},
		{"copies of copies are bounded", copies, "copy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := object(t, claim)
			want := u.DeepCopy()
			want.SetLabels(map[string]string{"app": "db", "example.com/a~b": "old", "first": "1"})
			applied, err := rules(t, first+c.patch).Apply(object(t, claim), u, "persistentvolumeclaims", cluster.NewBuiltIn)
			assert.ErrorContains(t, err, "resource modifier rule 2 cannot be applied to persistentvolumeclaims shop/data: ")
			assert.ErrorContains(t, err, c.want)
			assert.Equal(t, []int{1}, applied)
			assert.Equal(t, want, u)
		})
	}
}

func TestAStrategicPatchNeedsABuiltInKind(t *testing.T) {
	u := object(t, "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}")
	doc := rule("conditions: {groupResource: widgets.example.com}\nstrategicPatches: [{patchData: 'spec: {a: 1}'}]")
	_, err := rules(t, doc).Apply(u.DeepCopy(), u, "widgets.example.com", cluster.NewBuiltIn)
	assert.EqualError(t, err, "resource modifier rule 1 cannot be applied to widgets.example.com w: no strategic merge patch is possible for example.com/v1, Kind=Widget, which is not a built-in kind; use mergePatches or patches")
}

func TestOneRuleServesManyObjects(t *testing.T) {
	r := rules(t, rule("conditions: {groupResource: deployments.apps}\nstrategicPatches: [{patchData: 'metadata: {annotations: {a: b}}'}]"))
	one, two := object(t, deployment), object(t, deployment)
	for _, u := range []*unstructured.Unstructured{one, two} {
		_, err := r.Apply(u.DeepCopy(), u, "deployments.apps", cluster.NewBuiltIn)
		require.NoError(t, err)
	}
	one.Object["metadata"].(map[string]any)["annotations"].(map[string]any)["a"] = "changed"
	assert.Equal(t, "b", two.GetAnnotations()["a"])
	three := object(t, deployment)
	_, err := r.Apply(three.DeepCopy(), three, "deployments.apps", cluster.NewBuiltIn)
	require.NoError(t, err)
	assert.Equal(t, "b", three.GetAnnotations()["a"])
}

func TestRulesMayStandInAConfigMap(t *testing.T) {
	doc := rule("conditions: {groupResource: pods}\npatches: [{operation: remove, path: /spec/nodeName}]")
	indented := strings.ReplaceAll(doc, "\n", "\n    ")
	head := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: velero, uid: x, creationTimestamp: '2026-01-02T03:04:05Z'}\ndata:\n"
	assert.Equal(t, rules(t, doc), rules(t, head+"  rules.yaml: |\n    "+indented))
	_, err := modifier.Parse([]byte(head + "  a: |\n    " + indented + "\n  b: x\n"))
	assert.ErrorContains(t, err, "ConfigMap m must contain the document under exactly one key of data, found 2")
	_, err = modifier.Parse([]byte(strings.TrimSuffix(head, "data:\n")))
	assert.ErrorContains(t, err, "found 0")
	_, err = modifier.Parse([]byte(head + "  a: |\n    version: v2\n"))
	assert.ErrorContains(t, err, `version is "v2"`)
}

func TestRulesGoThroughJSON(t *testing.T) {
	data, err := os.ReadFile("testdata/example.yaml")
	require.NoError(t, err)
	r := rules(t, string(data))
	type carrier struct {
		Modifiers modifier.Rules `json:"modifiers,omitzero"`
	}
	text, err := json.Marshal(carrier{r})
	require.NoError(t, err)
	var back carrier
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, r, back.Modifiers)

	text, err = json.Marshal(carrier{})
	require.NoError(t, err)
	assert.Equal(t, "{}", string(text))
	require.NoError(t, json.Unmarshal([]byte(`{"modifiers": null}`), &back))
	assert.True(t, back.Modifiers.IsZero())
	assert.ErrorContains(t, json.Unmarshal([]byte(`{"modifiers": {"version": "v1", "resourceModifierRules": [{}]}}`), &back), "groupResource is required")

	u := object(t, claim)
	applied, err := modifier.Rules{}.Apply(u.DeepCopy(), u, "persistentvolumeclaims", nil)
	require.NoError(t, err)
	assert.Empty(t, applied, "no rules change nothing")
}

func TestEveryMistakeIsNamedAtOnceWithItsRule(t *testing.T) {
	_, err := modifier.Parse([]byte(`
version: v3
extra: 1
resourceModifierRules:
- conditions: {groupResource: pods}
  patches: [{operation: remove, path: /spec/nodeName}]
- conditions:
    namespaces: ["", "[a"]
    resourceNameRegex: (
    labelSelector: {matchExpressions: [{key: a, operator: Near}]}
    matches: [{path: kind, value: Pod}, {path: /a, value: "007"}]
  patches:
  - {operation: Replace, path: /a~2b, value: x}
  - {operation: copy, path: /a}
  - {operation: add, path: "", value: 'say "hi"'}
- conditions: {groupResource: "[a", kind: Pod}
  patch: []
- conditions: {groupResource: "[a"}
- conditions: {groupResource: pods}
  mergePatches: [{patchData: "[1]"}, {patchData: "a: 1\na: 2"}]
  strategicPatches: [{patchData: ""}]
- conditions: {groupResource: [pods]}
- conditions: {groupResource: pods}
  patches: [{operation: add, path: /a, value: {b: 1}}]
`))
	require.Error(t, err)
	const pointer = `and must be a JSON pointer such as /spec/replicas, with ~1 for a "/" and ~0 for a "~" in a name`
	assert.Equal(t, strings.NewReplacer("{POINTER}", pointer, "'('", "`(`").Replace(strings.TrimSpace(`
resource modifiers: unknown field "extra"
resource modifiers: version is "v3" and must be "v1"
resource modifier rule 2: conditions.groupResource is required
resource modifier rule 2: conditions.namespaces: "" is not a name or pattern
resource modifier rule 2: conditions.namespaces: "[a" is not a name or pattern
resource modifier rule 2: conditions.resourceNameRegex: error parsing regexp: missing closing ): '('
resource modifier rule 2: conditions.labelSelector: "Near" is not a valid label selector operator
resource modifier rule 2: conditions.matches[0].path is "kind" {POINTER}
resource modifier rule 2: conditions.matches[1]: value "007" is read as 007, which is not JSON (to make it a string, write it in quotes within quotes: '"007"')
resource modifier rule 2: patches[0].operation is "Replace" and must be one of add, remove, replace, move, copy and test
resource modifier rule 2: patches[0].path is "/a~2b" {POINTER}
resource modifier rule 2: patches[1].from is "" {POINTER}
resource modifier rule 2: patches[2].path is "" {POINTER}
resource modifier rule 2: patches[2]: value "say \"hi\"" is read as "say "hi"", which is not JSON (to make it a string, write it in quotes within quotes: '"say \"hi\""')
resource modifier rule 3: unknown field "conditions.kind"
resource modifier rule 3: unknown field "patch"
resource modifier rule 4: conditions.groupResource "[a": glob: syntax error at 2: unexpected end of input
resource modifier rule 4: exactly one of patches, mergePatches and strategicPatches is required, found 0
resource modifier rule 5: mergePatches[0].patchData: it is not a mapping of fields
resource modifier rule 5: mergePatches[1].patchData: yaml: unmarshal errors:
  line 2: key "a" already set in map
resource modifier rule 5: strategicPatches[0].patchData: it is not a mapping of fields
resource modifier rule 5: exactly one of patches, mergePatches and strategicPatches is required, found 2
resource modifier rule 6: json: cannot unmarshal array into Go struct field Conditions.conditions.groupResource of type string
resource modifier rule 7: value: write objects and lists as a string that holds JSON, as in value: '{"name": "web"}'
`)), err.Error())
}

func TestOneDocumentOfABoundedSize(t *testing.T) {
	doc := rule("conditions: {groupResource: pods}\npatches: [{operation: remove, path: /spec/nodeName}]")
	for text, want := range map[string]string{
		"":                  "the file is empty",
		"# nothing\n---\n":  "the file is empty",
		doc + "---\n" + doc: "more than one YAML document",
		"a: 1\na: 2":        "already set",
		"- a":               "has no version",
		"version: v1":       "resourceModifierRules is empty",
		"\xff":              "resource modifiers: ",
		doc + strings.Repeat("#", modifier.MaxSize): "exceed the 1048576",
	} {
		_, err := modifier.Parse([]byte(text))
		assert.ErrorContains(t, err, want)
	}
	padded := doc + "#" + strings.Repeat("x", modifier.MaxSize-len(doc)-1)
	assert.NotPanics(t, func() { rules(t, "---\n"+doc+"---\n# only a comment\n") })
	_, err := modifier.Parse([]byte(padded))
	assert.NoError(t, err)
}
