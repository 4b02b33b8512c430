package spec

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

var yes, no = true, false

// fields are the JSON names of a spec's fields.
func fields(spec any) []string {
	var out []string
	for f := range reflect.TypeOf(spec).Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// What does not do anything without the data of volumes, hooks or a server.
var (
	carriedByBackup = []string{
		"metadata", "storageLocation", "volumeSnapshotLocations", "volumeGroupSnapshotLabelKey",
		"csiSnapshotTimeout", "itemOperationTimeout", "datamover", "uploaderConfig",
	}
	carriedByRestore = []string{"itemOperationTimeout", "uploaderConfig"}
)

func TestEveryFieldOfABackupSpecIsActedOnCarriedOrRejected(t *testing.T) {
	var rejected []string
	for name, s := range map[string]velerov1.BackupSpec{
		"hooks":                    {Hooks: velerov1.BackupHooks{Resources: []velerov1.BackupResourceHookSpec{{}}}},
		"snapshotVolumes":          {SnapshotVolumes: &yes},
		"snapshotMoveData":         {SnapshotMoveData: &yes},
		"defaultVolumesToFsBackup": {DefaultVolumesToFsBackup: &yes},
		"defaultVolumesToRestic":   {DefaultVolumesToRestic: &yes},
		"resourcePolicy":           {ResourcePolicy: &corev1.TypedLocalObjectReference{}},
	} {
		_, err := ReadBackup(s)
		require.ErrorIs(t, err, ErrUnsupported, name)
		assert.ErrorContains(t, err, "spec."+name)
		rejected = append(rejected, name)
	}
	settings := []string{
		"includedNamespaces", "excludedNamespaces", "includedResources", "excludedResources", "includeClusterResources",
		"includedClusterScopedResources", "excludedClusterScopedResources", "includedNamespaceScopedResources", "excludedNamespaceScopedResources",
		"labelSelector", "orLabelSelectors", "orderedResources", "ttl",
	}
	all := slices.Concat(settings, rejected, carriedByBackup)
	slices.Sort(all)
	assert.Equal(t, fields(velerov1.BackupSpec{}), all)
}

func TestEveryFieldOfARestoreSpecIsActedOnCarriedOrRejected(t *testing.T) {
	var rejected []string
	for name, s := range map[string]velerov1.RestoreSpec{
		"hooks":      {BackupName: "b", Hooks: velerov1.RestoreHooks{Resources: []velerov1.RestoreResourceHookSpec{{}}}},
		"restorePVs": {BackupName: "b", RestorePVs: &yes},
	} {
		_, err := ReadRestore(s)
		require.ErrorIs(t, err, ErrUnsupported, name)
		assert.ErrorContains(t, err, "spec."+name)
		rejected = append(rejected, name)
	}
	settings := []string{
		"backupName", "scheduleName", "includedNamespaces", "excludedNamespaces", "includedResources", "excludedResources",
		"includeClusterResources", "namespaceMapping", "labelSelector", "orLabelSelectors", "restoreStatus", "preserveNodePorts",
		"existingResourcePolicy", "resourceModifier",
	}
	all := slices.Concat(settings, rejected, carriedByRestore)
	slices.Sort(all)
	assert.Equal(t, fields(velerov1.RestoreSpec{}), all)
}

func TestABackupSpecNamesEveryFieldThatIsWrong(t *testing.T) {
	_, err := ReadBackup(velerov1.BackupSpec{
		IncludedNamespaces: []string{"Shop", "a"}, ExcludedNamespaces: []string{"a"},
		IncludedResources: []string{"pods"}, IncludedClusterScopedResources: []string{"*"},
		LabelSelector:    &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}},
		OrLabelSelectors: []*metav1.LabelSelector{{}},
		OrderedResources: map[string]string{"pods": "a/b/c"},
		TTL:              metav1.Duration{Duration: -time.Hour},
		SnapshotVolumes:  &yes,
		Hooks:            velerov1.BackupHooks{Resources: []velerov1.BackupResourceHookSpec{{Name: "freeze"}}},
	})
	var p Problems
	require.ErrorAs(t, err, &p)
	assert.Equal(t, []string{
		`spec.labelSelector: "Near" is not a valid label selector operator`,
		`spec.orLabelSelectors[0]: an empty selector selects everything`,
		`spec.includedNamespaces: namespace "Shop" is not valid: lower case letters, digits, '-' and the wildcards *, ? and [abc]`,
		`spec.excludedNamespaces: namespace "a" is both included and excluded`,
		`spec.includedResources: includedResources, excludedResources and includeClusterResources cannot be used together with the lists of cluster-scoped and namespace-scoped resources`,
		`spec.orderedResources: "a/b/c" of pods is not of the form name or namespace/name`,
		`spec.ttl: -1h0m0s is negative`,
		`spec.hooks: not supported yet`,
		`spec.snapshotVolumes=true: not supported yet: a backup holds objects only`,
	}, p.Strings())
	assert.ErrorIs(t, err, ErrUnsupported)
	assert.NotErrorIs(t, errors.Join(p[0], p[6]), ErrUnsupported)
}

func TestARestoreSpecNamesEveryFieldThatIsWrong(t *testing.T) {
	_, err := ReadRestore(velerov1.RestoreSpec{
		BackupName: "b", ScheduleName: "s",
		NamespaceMapping:       map[string]string{"a": "B"},
		ExistingResourcePolicy: "replace",
		ResourceModifier:       &corev1.TypedLocalObjectReference{Kind: "Secret", Name: "x"},
	})
	var p Problems
	require.ErrorAs(t, err, &p)
	var named []string
	for _, one := range p {
		named = append(named, one.Field)
	}
	assert.Equal(t, []string{"spec.resourceModifier", "spec.backupName", "spec.namespaceMapping", "spec.existingResourcePolicy"}, named)
}

func TestARestoreThatASpecCannotSayIsNamed(t *testing.T) {
	_, err := Restore{Backup: "b", Options: plan.Options{StorageClassMapping: map[string]string{"a": "b"}}}.Spec()
	assert.EqualError(t, err, "storageClassMapping: a RestoreSpec has no field for it")
}

func TestACompletedSpecHasVelerosDefaultsAndKeepsWhatWasSet(t *testing.T) {
	asked := velerov1.BackupSpec{
		StorageLocation: "offsite", TTL: metav1.Duration{Duration: time.Hour}, ExcludedResources: []string{snapshots, "pods"},
		SnapshotMoveData: &no, DataMover: "mine",
	}
	room := make([]string, 1, 8)
	asked.ExcludedNamespaces = room
	room[0] = "x"
	before := asked.DeepCopy()
	got := CompleteBackup(asked, []string{"x", "scratch"})
	assert.Equal(t, *before, asked)
	assert.Empty(t, room[:2][1], "the list of the caller is not written to")
	assert.Equal(t, velerov1.BackupSpec{
		StorageLocation: "offsite", TTL: metav1.Duration{Duration: time.Hour}, DataMover: "mine",
		IncludedNamespaces: []string{"*"}, ExcludedNamespaces: []string{"x", "scratch"},
		ExcludedResources: []string{snapshots, "pods", snapshotContents},
		SnapshotMoveData:  &no, DefaultVolumesToFsBackup: &no,
		CSISnapshotTimeout: metav1.Duration{Duration: 10 * time.Minute}, ItemOperationTimeout: metav1.Duration{Duration: 4 * time.Hour},
		VolumeGroupSnapshotLabelKey: "velero.io/volume-group",
	}, got)
	assert.Equal(t, got, CompleteBackup(got, nil), "complete is complete")
	_, err := ReadBackup(got)
	assert.NoError(t, err)
}

// draw makes values of the bytes of a fuzzer, always some.
type draw struct{ bytes []byte }

func (d *draw) number(below int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	n := int(d.bytes[0]) % below
	d.bytes = d.bytes[1:]
	return n
}

func (d *draw) names(from ...string) []string {
	var out []string
	for range d.number(3) {
		out = append(out, from[d.number(len(from))])
	}
	return out
}

func (d *draw) optional() *bool { return [...]*bool{nil, &yes, &no}[d.number(3)] }

// selector is one in the order in which ReadBackup gives it.
func (d *draw) selector() string {
	terms := []string{"", "app=a", "app=a,tier in (b,c)", "!x", "x notin (,y),z", "in in (in,notin)", "a.example/b=", "k=v,k in (w)"}
	return terms[d.number(len(terms))]
}

func (d *draw) filter(scoped bool) filter.Filter {
	namespaces := []string{"*", "shop", "a-*", "?", "x[ab]"}
	resources := []string{"*", "pods", "deployments.apps", "*.example.com", "Secret"}
	f := filter.Filter{
		IncludedNamespaces: d.names(namespaces...), ExcludedNamespaces: d.names(namespaces...),
		IncludedResources: d.names(resources...), ExcludedResources: d.names(resources...),
		IncludeClusterResources: d.optional(), LabelSelector: d.selector(),
	}
	if scoped {
		f.IncludedClusterScopedResources, f.ExcludedClusterScopedResources = d.names(resources...), d.names(resources...)
		f.IncludedNamespaceScopedResources, f.ExcludedNamespaceScopedResources = d.names(resources...), d.names(resources...)
	}
	for range d.number(3) {
		f.OrLabelSelectors = append(f.OrLabelSelectors, d.selector())
	}
	return f
}

func seed(f *testing.F) {
	for i := range 40 {
		b := make([]byte, 40)
		for k := range b {
			b[k] = byte((i + 1) * (k + 3) * 7 / 3)
		}
		f.Add(b)
		f.Add(b[:i])
	}
}

func FuzzBackupSpecRoundTrip(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &draw{b}
		want := Backup{Filter: d.filter(d.number(2) == 1), TTL: time.Duration(d.number(4)) * time.Hour}
		for _, r := range d.names("pods", "pv") {
			if want.Order == nil {
				want.Order = filter.Order{}
			}
			want.Order[r] = []string{"shop/a", "b"}[:1+d.number(2)]
		}
		s := want.Spec()
		got, err := ReadBackup(s)
		if want.Filter.Check() != nil {
			require.Error(t, err, "what a filter rejects, a spec of it rejects")
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, s, got.Spec())
		again, err := ReadBackup(CompleteBackup(s, nil))
		require.NoError(t, err, "what a server completes, it can read again")
		require.Equal(t, CompleteBackup(s, nil), CompleteBackup(again.Spec(), nil))
	})
}

func FuzzRestoreSpecRoundTrip(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &draw{b}
		want := Restore{Options: plan.Options{
			Filter: d.filter(false), PreserveNodePorts: d.number(2) == 1, StatusResources: d.names("*", "pods"),
			ExistingResourcePolicy: []plan.Policy{"", plan.PolicyNone, plan.PolicyUpdate, plan.PolicyRecreate}[d.number(4)],
			NamespaceMapping:       []map[string]string{nil, {"a": "b"}, {"a": "b", "c": "d"}}[d.number(3)],
		}}
		want.ModifierConfigMap = []string{"", "rules"}[d.number(2)]
		want.Backup, want.Schedule = [...]string{"b", ""}[d.number(2)], ""
		if want.Backup == "" {
			want.Schedule = "s"
		}
		if len(want.Options.StatusResources) > 0 {
			want.Options.ExcludedStatusResources = d.names("jobs")
		}
		s, err := want.Spec()
		require.NoError(t, err)
		got, err := ReadRestore(s)
		if want.Options.Check() != nil {
			require.Error(t, err, "what options reject, a spec of them rejects")
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
		again, err := got.Spec()
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}
