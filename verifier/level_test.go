package verifier

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
	"github.com/lifeboat-backup/lifeboat/verifier/workload"
)

func TestEachLevelDoesWhatTheOneBeforeDoesAndMore(t *testing.T) {
	names := func(level report.Level) []string {
		var out []string
		for _, s := range (&run{Drill: Drill{Level: level}}).stages() {
			out = append(out, s.name)
		}
		return out
	}
	assert.Equal(t, []string{"integrity"}, names(report.LevelIntegrity))
	assert.Equal(t, []string{"integrity", "sandbox", "plan", "restore", "compare"}, names(report.LevelControlPlane))
	assert.Equal(t, []string{"integrity", "sandbox", "plan", "images", "contain", "restore", "compare", "workloads", "checks", "contained"}, names(report.LevelKind),
		"nothing is restored before the sandbox is closed, and it is closed after the images are there")
}

func TestWhatPolicyAcceptsIsSetApartAndDecidesNothing(t *testing.T) {
	r := &run{Drill: Drill{Spec: policy.Spec{Waivers: []policy.Waiver{
		{Check: "workloads_ready", Object: "deployments.apps shop/*", Reason: "known"},
		{Check: "claims_bound", Reason: "all of them"},
	}}}}
	finding := func(check, object string) report.Finding {
		return report.Finding{Check: check, Object: object, Message: "m"}
	}
	ask := func(check string, findings, environment []report.Finding) {
		a := passing(check, "1 of 2")
		a.findings, a.environment = findings, environment
		r.record(a)
	}
	ask("workloads_ready", []report.Finding{finding("workloads_ready", "deployments.apps shop/web"), finding("workloads_ready", "deployments.apps other/web")}, nil)
	ask("claims_bound", nil, []report.Finding{finding("claims_bound", "persistentvolumeclaims shop/a")})
	ask("images_provided", nil, []report.Finding{finding("images_provided", "pods shop/a")})
	ask("crds_established", nil, nil)
	r.record(answer{Check: report.Check{Name: "rto", Verdict: report.Error, Message: "not measured"}})
	assert.Equal(t, []report.Check{
		{Name: "workloads_ready", Verdict: report.Failed, Message: "1 of 2; 1 waived by the policy"},
		{Name: "claims_bound", Verdict: report.Passed, Message: "1 of 2; 1 waived by the policy"},
		{Name: "images_provided", Verdict: report.Error, Message: "1 of 2"},
		{Name: "crds_established", Verdict: report.Passed, Message: "1 of 2"},
		{Name: "rto", Verdict: report.Error, Message: "not measured"},
	}, r.report.Checks)
	assert.Equal(t, []report.Finding{finding("workloads_ready", "deployments.apps other/web")}, r.report.Findings)
	assert.Equal(t, []report.Finding{finding("images_provided", "pods shop/a")}, r.report.Environment)
	assert.Equal(t, []report.Waived{{Finding: finding("workloads_ready", "deployments.apps shop/web"), Reason: "known"}, {Finding: finding("claims_bound", "persistentvolumeclaims shop/a"), Reason: "all of them"}}, r.report.Waived)
}

func TestWhatTheEnvironmentLacksIsNeitherPassedNorFailed(t *testing.T) {
	rep := report.Report{
		Level:       report.LevelKind,
		Items:       report.Items{InBackup: 3, Expected: 2, Restored: 2, Equal: 2, Skipped: 1},
		Checks:      []report.Check{{Name: "images_provided", Verdict: report.Error}},
		Environment: []report.Finding{{Check: "images_provided", Object: "deployments.apps shop/web", Message: "image a is not available"}},
	}
	got := concluded(rep, nil)
	assert.Equal(t, report.Error, got.Verdict)
	assert.Equal(t, "No fault of the backup was found, but the sandbox could not prove it: deployments.apps shop/web: image a is not available", got.Summary)

	rep.Findings = []report.Finding{{Check: "workloads_ready", Object: "pods shop/a", Message: "no ConfigMap"}}
	assert.Equal(t, report.Failed, concluded(rep, nil).Verdict, "what proves the backup bad does so all the same")

	rep.Environment, rep.Findings = nil, nil
	assert.Equal(t, report.Error, concluded(rep, nil).Verdict, "a check without an answer is not passed")
	rep.Checks[0].Verdict = report.Passed
	assert.Equal(t, report.Passed, concluded(rep, nil).Verdict)

	rep.Items.Equal, rep.Items.Different = 1, 1
	assert.Equal(t, report.Error, concluded(rep, nil).Verdict, "a difference that nobody speaks of")
	rep.Waived = []report.Waived{{Finding: report.Finding{Check: "items_equal", Object: "pods shop/a"}}}
	got = concluded(rep, nil)
	assert.Equal(t, report.Passed, got.Verdict)
	assert.Contains(t, got.NotProven, "what the policy waives: 1 findings")

	rep.Waived, rep.Items.Equal, rep.Items.Different = nil, 2, 0
	rep.Findings = []report.Finding{{Check: "rpo", Message: "the newest backup began 3h before the drill; at most 1h is allowed"}}
	assert.Equal(t, "Recovery would miss its target: the newest backup began 3h before the drill; at most 1h is allowed", concluded(rep, nil).Summary)
	rep.Findings = append(rep.Findings, report.Finding{Check: "items_equal", Object: "pods shop/a", Message: "differs"})
	assert.Equal(t, "The backup is bad: pods shop/a: differs", concluded(rep, nil).Summary)
}

func TestWhatWasSeenInASandboxThatDiedSaysNothingAboutTheBackup(t *testing.T) {
	late, crash := report.Finding{Check: "rpo", Message: "too old"}, report.Finding{Check: "workloads_ready", Object: "pods shop/a", Message: "crashes"}
	rep := report.Report{Level: report.LevelKind, Findings: []report.Finding{late, crash}}
	got := conclude(rep, facts{before: 1, err: fmt.Errorf("remove it: %w", sandbox.ErrDied)})
	assert.Equal(t, []report.Finding{late}, got.Findings, "what was found before stays")
	assert.Equal(t, []report.Finding{crash}, got.Environment)

	got = concluded(report.Report{Level: report.LevelKind, Findings: []report.Finding{crash}}, sandbox.ErrDied)
	assert.Equal(t, report.Error, got.Verdict)
	assert.Empty(t, got.Findings)
}

func TestTheSummaryIsOneLineWhateverALogSays(t *testing.T) {
	got := concluded(report.Report{Level: report.LevelKind}, &logged{})
	assert.Equal(t, "The drill could not complete, so nothing is proven: no node; last lines of its logs: (see the stages)", got.Summary)
}

type logged struct{}

func (*logged) Error() string { return "no node; last lines of its logs:\na\nb" }

func TestWhatControllersDoAfterwardsIsNoDifference(t *testing.T) {
	pod := func(name string, a plan.Action) plan.Step {
		return plan.Step{Key: item.Key{Resource: "pods", Namespace: "n", Name: name}, Version: "v1", Kind: "Pod", Action: a, Digest: plan.Digest{1}}
	}
	same, other := plan.Digest{1}, plan.Digest{2}
	p := plan.Plan{Steps: []plan.Step{step("changed-since", plan.Create, ""), step("made-otherwise", plan.Create, ""), step("gone", plan.Create, ""), step("made-first", plan.Create, ""), pod("gone", plan.Create), pod("made-otherwise", plan.Create)}}
	changes := apply.ChangeSet{
		{Key: key("changed-since"), Outcome: apply.Created, Made: &same}, {Key: key("made-otherwise"), Outcome: apply.Created, Made: &other},
		{Key: key("gone"), Outcome: apply.Created, Made: &same}, {Key: key("made-first"), Outcome: apply.Skipped, Reason: plan.ReasonDiffers},
		{Key: pod("gone", "").Key, Outcome: apply.Created, Made: &same}, {Key: pod("made-otherwise", "").Key, Outcome: apply.Created, Made: &other},
	}
	c := comparison{}.compare(p, changes, map[item.Key]plan.Live{key("changed-since"): {Digest: other}, key("made-otherwise"): {Digest: other}})
	assert.Equal(t, report.Items{InBackup: 6, Expected: 5, Restored: 3, Equal: 2, Different: 1, Missing: 2, Skipped: 1, SkippedBy: map[string]int{createdFirst: 1}}, c.items)
	require.Len(t, c.missing, 2)
	assert.Equal(t, "configmaps n/gone", c.missing[0].Object, "nothing takes away ConfigMaps")
	assert.Equal(t, "pods n/made-otherwise", c.missing[1].Object)
}

func TestAMissingImageIsListedWithWhatUsesIt(t *testing.T) {
	users := map[string][]string{"a:1": {"pods n/b", "pods n/a"}, "fine": {"pods n/c"}}
	for range 12 {
		users["b:1"] = append(users["b:1"], "deployments.apps n/x")
	}
	got := missingImages(users, map[string]string{"a:1": "not known", "b:1": "no network"})
	require.Len(t, got, 2)
	assert.Equal(t, "deployments.apps n/x", got[0].Object)
	assert.Contains(t, got[0].Message, "and 2 more")
	assert.Equal(t, report.Finding{Check: "images_provided", Object: "pods n/a", Message: "image a:1 is not available: not known; used by pods n/a, pods n/b"}, got[1])
}

func TestAVolumeIsForOneClaimAndFitsIt(t *testing.T) {
	fast, named := "fast", "pv-7"
	c := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data", UID: "u"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, StorageClassName: &fast,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("3Gi")}},
		},
	}
	v := volumeFor(c, "/var/v", "node-1")
	assert.Equal(t, "lifeboat-u", v.Name)
	assert.Equal(t, "fast", v.Spec.StorageClassName)
	assert.Equal(t, c.Spec.AccessModes, v.Spec.AccessModes)
	assert.Equal(t, "3Gi", v.Spec.Capacity.Storage().String())
	assert.Equal(t, corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "data", UID: "u"}, *v.Spec.ClaimRef)
	assert.Equal(t, "/var/v", v.Spec.Local.Path)
	assert.Equal(t, []string{"node-1"}, v.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values)

	c.Spec.VolumeName, c.Annotations = named, map[string]string{oldClass: "old"}
	v = volumeFor(c, "/var/v", "node-1")
	assert.Equal(t, "pv-7", v.Name, "a claim that asks for one volume gets one of that name")
	assert.Equal(t, "old", v.Spec.StorageClassName)
}

func TestRecoveryIsHeldAgainstItsTargets(t *testing.T) {
	assert.Equal(t, passing("rpo", "the newest backup began 1h30m0s before the drill; at most 2h0m0s is allowed"), rpo(90*time.Minute, 2*time.Hour))
	assert.Len(t, rpo(3*time.Hour, 2*time.Hour).findings, 1)
	assert.Empty(t, rto(10*time.Second, time.Minute).findings)
	assert.Len(t, rto(2*time.Minute, time.Minute).findings, 1)
	assert.Equal(t, report.Error, rto(0, time.Minute).Verdict, "without a recovery there is no answer")
}

func TestRecoveryIsTimedOnlyIfAllCameUp(t *testing.T) {
	late, crash := report.Finding{Check: "rpo"}, report.Finding{Check: "workloads_ready"}
	for seconds, rep := range map[float64]report.Report{
		60: {Findings: []report.Finding{late}, Recovery: &report.Recovery{PointSeconds: 7}},
		0:  {Findings: []report.Finding{late, crash}, Recovery: &report.Recovery{PointSeconds: 7}},
	} {
		got := timeRecovery(rep, time.Minute, 2*time.Minute)
		assert.Equal(t, report.Recovery{PointSeconds: 7, TimeSeconds: seconds, TimeTargetSeconds: 120}, *got.Recovery)
		assert.Zero(t, rep.Recovery.TimeTargetSeconds, "the report given is not changed")
	}
	got := timeRecovery(report.Report{Environment: []report.Finding{crash}}, time.Minute, 0)
	assert.Equal(t, report.Recovery{}, *got.Recovery)
}

func TestWhatACheckLookedAtIsCounted(t *testing.T) {
	d := workload.Decision{
		Problems: []workload.Problem{{Check: "workloads_ready", Class: workload.Proof}, {Check: "workloads_ready", Class: workload.Running}, {Check: "claims_bound", Class: workload.Proof}},
		Asked:    map[string]int{"workloads_ready": 3},
	}
	assert.Equal(t, "2 of 3; 1 of them Jobs that still ran after 1m0s", countReady("workloads_ready", d, time.Minute))
	assert.Equal(t, "0 of 0", countReady("claims_bound", d, time.Minute), "a claim that is not there was not counted")
	assert.Equal(t, "0 of 0", countReady("crds_established", d, time.Minute))
}

func TestOnlyWhatCameFromTheBackupIsAskedAfter(t *testing.T) {
	bare := plan.Step{Key: item.Key{Resource: "namespaces", Name: "n"}, Action: plan.Create, Bare: true}
	p := plan.Plan{Steps: []plan.Step{bare, step("made", plan.Create, ""), step("there", plan.Unchanged, ""), step("refused", plan.Create, ""), step("own", plan.Skip, "")}}
	got := restored(p, apply.ChangeSet{
		{Key: bare.Key, Outcome: apply.Created}, {Key: key("made"), Outcome: apply.Created}, {Key: key("there"), Outcome: apply.Unchanged},
		{Key: key("refused"), Outcome: apply.Failed}, {Key: key("own"), Outcome: apply.Skipped},
	})
	assert.Equal(t, map[item.Key]bool{key("made"): true, key("there"): true}, got)
}

func TestWhatHasToLastIsMeasuredFromItsBeginning(t *testing.T) {
	var l lasting
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	assert.Zero(t, l.when(true, at(10)))
	assert.Equal(t, 4*time.Second, l.when(true, at(14)))
	assert.Zero(t, l.when(false, at(15)))
	assert.Zero(t, l.when(true, at(16)), "it begins anew")
	assert.Equal(t, time.Second, l.when(true, at(17)))
}

func TestAClaimWhoseDataIsInTheBackupIsAFinding(t *testing.T) {
	got := volumeData([]plan.Volume{
		{Object: "persistentvolumeclaims shop/saved", Method: "CSISnapshot"}, {Object: "persistentvolumeclaims shop/not-saved"}, {Object: "persistentvolumes pv", Method: "CSISnapshot"},
	})
	require.Len(t, got.findings, 1)
	assert.Equal(t, "persistentvolumeclaims shop/saved", got.findings[0].Object)
	assert.Contains(t, got.findings[0].Message, "volume data not restored: the backup has it (CSISnapshot)")
	rep := record(report.Report{}, nil, got)
	assert.Equal(t, []report.Check{{Name: "volume_data_restored", Verdict: report.Failed, Message: "1 claims have data in the backup"}}, rep.Checks)
}
