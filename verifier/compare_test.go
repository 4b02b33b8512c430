package verifier

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func key(name string) item.Key { return item.Key{Resource: "configmaps", Namespace: "n", Name: name} }

func step(name string, a plan.Action, reason string) plan.Step {
	return plan.Step{Key: key(name), Version: "v1", Kind: "ConfigMap", Action: a, Reason: reason, Digest: plan.Digest{1}}
}

func TestEvidenceOfAnEncryptedBackupShowsNoValues(t *testing.T) {
	object := func(value string) item.Item {
		return item.Item{Key: key("a"), Version: "v1", Kind: "ConfigMap", Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"` + value + `"}}`)}
	}
	b := velerov1.Backup{}
	for encryption, want := range map[string]string{
		"":                `data.k: "old" in the backup, "new" in the cluster`,
		api.EncryptionAge: "data.k: a value (not shown) in the backup, a value (not shown) in the cluster",
	} {
		b.Annotations = map[string]string{api.AnnotationEncryption: encryption}
		paths, err := differ(b)(object("old"), object("new"))
		require.NoError(t, err)
		assert.Equal(t, []string{want}, paths)
	}
}

func TestEveryItemOfAComparisonIsCountedOnce(t *testing.T) {
	p := plan.Plan{Steps: []plan.Step{
		{Key: item.Key{Resource: "namespaces", Name: "n"}, Action: plan.Create, Bare: true},
		step("equal", plan.Create, ""), step("there-already", plan.Unchanged, ""),
		step("different", plan.Create, ""), step("vanished", plan.Create, ""),
		step("refused", plan.Create, ""), step("not-served", plan.Fail, "the target cluster does not serve it"),
		step("mirror", plan.Skip, "mirror pod"), step("own", plan.Skip, plan.ReasonDiffers),
		step("forgotten", plan.Create, ""),
	}}
	for i := range p.Steps {
		p.Steps[i].Size = 100
	}
	changes := apply.ChangeSet{
		{Key: key("equal"), Outcome: apply.Created}, {Key: key("there-already"), Outcome: apply.Unchanged},
		{Key: key("different"), Outcome: apply.Created}, {Key: key("vanished"), Outcome: apply.Created},
		{Key: key("refused"), Outcome: apply.Failed, Reason: "quota exceeded"},
		{Key: key("not-served"), Outcome: apply.Failed, Reason: "the target cluster does not serve it"},
		{Key: key("mirror"), Outcome: apply.Skipped}, {Key: key("own"), Outcome: apply.Skipped},
	}
	live := map[item.Key]plan.Live{
		key("equal"): {Digest: plan.Digest{1}}, key("there-already"): {Digest: plan.Digest{1}}, key("different"): {Digest: plan.Digest{2}}, key("own"): {Digest: plan.Digest{3}},
	}
	c := comparison{}.compare(p, changes, live)
	assert.Equal(t, report.Items{
		InBackup: 9, Expected: 7, Restored: 3, RestoredBytes: 300, Equal: 2, Different: 1, Missing: 4, Skipped: 2,
		SkippedBy: map[string]int{"mirror pod": 1, "the sandbox has its own": 1},
	}, c.items)
	require.Len(t, c.restored, 3, "an item without an outcome was not restored either")
	assert.Equal(t, report.Finding{Check: "items_restored", Object: "configmaps n/refused", Message: "not restored: quota exceeded"}, c.restored[0])
	require.Len(t, c.missing, 1)
	assert.Equal(t, "configmaps n/vanished", c.missing[0].Object)
	require.Len(t, c.different, 1)
	assert.Equal(t, key("different"), c.different[0].Key)
}

func TestWhatALevelCannotHoldIsNotABadBackupAndNotProvenEither(t *testing.T) {
	aggregated := step("aggregated", plan.Fail, "does not serve")
	aggregated.Aggregated = true
	p := plan.Plan{Steps: []plan.Step{aggregated, step("converted", plan.Create, ""), step("equal", plan.Create, "")}}
	changes := apply.ChangeSet{
		{Key: key("aggregated"), Outcome: apply.Failed, Reason: "does not serve"},
		{Key: key("converted"), Outcome: apply.Failed, Reason: `conversion webhook for x failed: Post "https://x": the sandbox lets no connection out`},
		{Key: key("equal"), Outcome: apply.Created},
	}
	c := comparison{}.compare(p, changes, map[item.Key]plan.Live{key("equal"): {Digest: plan.Digest{1}}})
	assert.Empty(t, c.restored)
	assert.Equal(t, report.Items{InBackup: 3, Expected: 1, Restored: 1, Equal: 1, Skipped: 2, SkippedBy: map[string]int{needsServer: 1, needsWebhook: 1}}, c.items)

	got := conclude(report.Report{Level: report.LevelControlPlane, Items: c.items}, facts{beyond: c.beyond})
	assert.Equal(t, report.Passed, got.Verdict)
	assert.Contains(t, got.NotProven, "that 1 items can be restored: each "+needsWebhook)
	assert.Contains(t, got.NotProven, "that 1 items can be restored: each "+needsServer)
}

func concluded(rep report.Report, err error) report.Report {
	return conclude(rep, facts{err: err})
}

func TestAVerdictIsNeverBetterThanWhatWasSeen(t *testing.T) {
	good := report.Report{
		Level:  report.LevelControlPlane,
		Items:  report.Items{InBackup: 3, Expected: 2, Restored: 2, Equal: 2, Skipped: 1},
		Checks: []report.Check{{Name: "items_equal", Verdict: report.Passed}},
	}
	assert.Equal(t, report.Passed, concluded(good, nil).Verdict)

	found := good
	found.Findings = []report.Finding{{Object: "pods n/p", Message: "differs"}}
	assert.Equal(t, report.Failed, concluded(found, nil).Verdict)
	assert.Equal(t, report.Failed, concluded(found, assert.AnError).Verdict, "what was found stays found when the drill breaks later")
	assert.Equal(t, "The backup is bad: pods n/p: differs", concluded(found, nil).Summary)

	assert.Equal(t, report.Error, concluded(good, assert.AnError).Verdict)

	unanswered := good
	unanswered.Checks = []report.Check{{Name: "items_equal", Verdict: report.Error}}
	assert.Equal(t, report.Error, concluded(unanswered, nil).Verdict)

	uncounted := good
	uncounted.Items.InBackup = 4
	assert.Equal(t, report.Error, concluded(uncounted, nil).Verdict)

	unequal := good
	unequal.Items.Equal = 1
	assert.Equal(t, report.Error, concluded(unequal, nil).Verdict)
}

func TestOnlyALaterMinorOfKubernetesFillsInFields(t *testing.T) {
	for versions, want := range map[[2]string]bool{
		{"v1.34.4", "v1.33.9"}: true, {"v1.34.4", "v1.29.1-eks-1234"}: true, {"v2.0.0", "v1.34.0"}: true,
		{"v1.34.4", "v1.34.0"}: false, {"v1.34.4", "v1.35.0"}: false, {"v1.34.4", ""}: false, {"", "v1.33.0"}: false, {"v1.34.4", "none"}: false,
	} {
		assert.Equal(t, want, newerMinor(versions[0], versions[1]), versions)
	}
}

func TestWhatAdmissionChangedIsNotABadBackup(t *testing.T) {
	answer := plan.Digest{5}
	class := plan.Alteration{Field: "spec.storageClassName", Was: "absent", Is: `"standard"`, Cause: "the default StorageClass of the cluster", Admission: true, Adds: true}
	field := plan.Alteration{Field: "spec.new", Was: "absent", Is: `1`, Cause: plan.CauseDefault, Adds: true}
	lost := plan.Alteration{Field: "spec.old", Was: `1`, Is: "absent", Cause: plan.CauseDefault}
	change := func(made *plan.Digest, all ...plan.Alteration) apply.Change {
		return apply.Change{Key: key("a"), Outcome: apply.Created, Made: made, Altered: all}
	}
	p := plan.Plan{Steps: []plan.Step{step("a", plan.Create, "")}}
	for name, c := range map[string]struct {
		change      apply.Change
		live        plan.Digest
		controllers bool
		newer       bool
		altered     bool
	}{
		"a default class":                                      {change: change(&answer, class), live: answer, altered: true},
		"and a controller has changed it since":                {change: change(&answer, class), live: plan.Digest{6}, controllers: true, altered: true},
		"it changed since, and there are no controllers":       {change: change(&answer, class), live: plan.Digest{6}},
		"a field that the backup lacks and no plugin fills in": {change: change(&answer, class, field), live: answer},
		"the same in a later version":                          {change: change(&answer, class, field), live: answer, newer: true, altered: true},
		"only that":                                            {change: change(&answer, field), live: answer, newer: true},
		"a field that is lost":                                 {change: change(&answer, class, lost), live: answer, newer: true},
		"it differs, and the answer did not":                   {change: change(nil), live: answer},
		"an update":                                            {change: apply.Change{Key: key("a"), Outcome: apply.Updated, Made: &answer, Altered: []plan.Alteration{class}}, live: answer},
	} {
		got := comparison{controllers: c.controllers, newer: c.newer}.compare(p, apply.ChangeSet{c.change}, map[item.Key]plan.Live{key("a"): {Digest: c.live}})
		if !c.altered {
			assert.Equal(t, 1, got.items.Different, name)
			assert.Empty(t, got.altered, name)
			continue
		}
		assert.Equal(t, report.Items{InBackup: 1, Expected: 1, Restored: 1, Altered: 1, SkippedBy: map[string]int{}}, got.items, name)
		require.Len(t, got.altered, 1, name)
		assert.Contains(t, got.altered[0].Message, `spec.storageClassName is "standard", absent in the backup (the default StorageClass of the cluster)`)
	}

	rep := report.Report{Level: report.LevelControlPlane, Items: report.Items{InBackup: 3, Expected: 3, Restored: 3, Equal: 2, Altered: 1}, Checks: []report.Check{{Name: "items_equal", Verdict: report.Passed}}}
	got := concluded(rep, nil)
	assert.Equal(t, report.Passed, got.Verdict)
	assert.Contains(t, got.Summary, "2 equal the backup, and 1 differ only in what the admission of the sandbox changed")
	rep.Items.Altered = 0
	assert.Equal(t, report.Error, concluded(rep, nil).Verdict, "an object that is not counted")
}
