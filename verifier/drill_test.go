package verifier_test

import (
	"context"
	"errors"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

func unchanged(_ string, content []byte) []byte { return content }

func truncatedArchive(key string, content []byte) []byte {
	if key == store.Contents(velerosBackup) {
		return content[:len(content)/2]
	}
	return content
}

// doomed is a sandbox that does not start.
type doomed struct {
	up, down int
	onUp     func()
	err      error
}

func (d *doomed) Up(ctx context.Context) (sandbox.Cluster, error) {
	d.up++
	if d.onUp != nil {
		d.onUp()
	}
	if d.err == nil {
		<-ctx.Done()
		return sandbox.Cluster{}, context.Cause(ctx)
	}
	return sandbox.Cluster{}, d.err
}

func (d *doomed) Down(context.Context) error {
	d.down++
	return nil
}

func drill(s store.Store, level report.Level, box sandbox.Sandbox) verifier.Drill {
	return verifier.Drill{Store: s, Backup: velerosBackup, Level: level, Sandbox: box, Now: time.Now, Version: "test"}
}

// evidence reads all reports of a location.
func evidence(t *testing.T, s store.Store) []report.Report {
	t.Helper()
	var out []report.Report
	for info, err := range s.List(t.Context(), store.DrillsPrefix, true) {
		require.NoError(t, err)
		if _, _, ok := store.SplitEvidence(info.Key); !ok {
			continue
		}
		r, err := s.Get(t.Context(), info.Key)
		require.NoError(t, err)
		rep, err := report.Decode(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		assert.Equal(t, store.Evidence(rep.Backup.Name, rep.ID), info.Key)
		out = append(out, rep)
	}
	return out
}

func TestAPassedDrillLeavesItsEvidenceInTheLocation(t *testing.T) {
	s := velerosLocation(t, unchanged)
	rep, err := drill(s, report.LevelIntegrity, nil).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, report.Passed, rep.Verdict)
	assert.Equal(t, "notes-1h", rep.Backup.Schedule)
	assert.Equal(t, "v1.34.4", rep.Backup.KubernetesVersion)
	assert.Equal(t, time.Date(2026, 11, 22, 8, 42, 42, 0, time.UTC), rep.Backup.Started)
	assert.Contains(t, rep.NotProven, "that an API server accepts the objects")
	stored := evidence(t, s)
	require.Len(t, stored, 1)
	assert.Equal(t, rep.ID, stored[0].ID)
	assert.Equal(t, rep.Verdict, stored[0].Verdict)
}

func TestABackupThatHasExpiredIsStillProven(t *testing.T) {
	d := drill(velerosLocation(t, unchanged), report.LevelIntegrity, nil)
	expires := time.Date(2026, 11, 23, 9, 42, 42, 0, time.UTC)
	for now, gone := range map[time.Time]bool{expires.Add(-time.Minute): false, expires.Add(time.Minute): true} {
		d.Now = func() time.Time { return now }
		rep, err := d.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, report.Passed, rep.Verdict, rep.Summary)
		assert.Equal(t, expires, rep.Backup.Expires)
		said := slices.ContainsFunc(rep.NotProven, func(s string) bool { return strings.Contains(s, "it expired at 2026-11-23T09:42:42Z") })
		assert.Equal(t, gone, said, rep.NotProven)
	}
}

func TestADamagedBackupIsRefutedBeforeASandboxIsStarted(t *testing.T) {
	s := velerosLocation(t, truncatedArchive)
	box := &doomed{err: errors.New("must not be started")}
	rep, err := drill(s, report.LevelControlPlane, box).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, report.Failed, rep.Verdict)
	assert.NotEmpty(t, rep.Findings)
	assert.Zero(t, box.up)
	require.Len(t, evidence(t, s), 1)
}

func TestASandboxThatDoesNotStartIsAnErrorAndNotABadBackup(t *testing.T) {
	s := velerosLocation(t, unchanged)
	box := &doomed{err: errors.New("no such binary")}
	rep, err := drill(s, report.LevelControlPlane, box).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, report.Error, rep.Verdict)
	assert.Contains(t, rep.Summary, "sandbox: no such binary")
	assert.False(t, rep.TimedOut)
	assert.Empty(t, rep.Findings)
	assert.Equal(t, 1, box.down, "a sandbox that failed to start is removed too")
	stored := evidence(t, s)
	require.Len(t, stored, 1)
	assert.Equal(t, report.Error, stored[0].Verdict)
}

func TestEvidenceSaysWhichPolicyAskedAndWhenItDrills(t *testing.T) {
	s := velerosLocation(t, unchanged)
	d := drill(s, report.LevelIntegrity, nil)
	d.Policy, d.Spec.Cron = "nightly", "CRON_TZ=Europe/Berlin 0 3 * * *"
	_, err := d.Run(t.Context())
	require.NoError(t, err)
	stored := evidence(t, s)
	require.Len(t, stored, 1)
	assert.Equal(t, "nightly", stored[0].Policy)
	assert.Equal(t, "CRON_TZ=Europe/Berlin 0 3 * * *", stored[0].PolicySchedule)
}

func TestADrillThatTakesTooLongIsAnError(t *testing.T) {
	s := velerosLocation(t, unchanged)
	d := drill(s, report.LevelControlPlane, &doomed{})
	d.Timeout = 50 * time.Millisecond
	rep, err := d.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, report.Error, rep.Verdict)
	assert.Contains(t, rep.Summary, "took longer than 50ms")
	assert.True(t, rep.TimedOut)
}

func TestAnInterruptedDrillRemovesItsSandboxAndWritesNoEvidence(t *testing.T) {
	s := velerosLocation(t, unchanged)
	ctx, cancel := context.WithCancel(t.Context())
	box := &doomed{onUp: cancel}
	_, err := drill(s, report.LevelControlPlane, box).Run(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, box.down)
	assert.Empty(t, evidence(t, s))
}

func TestABackupThatIsNotThereIsNoVerdict(t *testing.T) {
	s := mem.New()
	rep, err := drill(s, report.LevelIntegrity, nil).Run(t.Context())
	require.ErrorIs(t, err, catalog.ErrNoBackup)
	assert.Empty(t, rep.Verdict)
	assert.Empty(t, evidence(t, s))
}

// readOnly is a location that takes nothing.
type readOnly struct{ *mem.Store }

func (readOnly) Put(context.Context, string, io.Reader) error {
	return errors.New("read-only file system")
}

func TestEvidenceThatCannotBeWrittenIsAnErrorBesideTheVerdict(t *testing.T) {
	s := readOnly{velerosLocation(t, unchanged)}
	rep, err := drill(s, report.LevelIntegrity, nil).Run(t.Context())
	assert.Equal(t, report.Passed, rep.Verdict)
	require.Error(t, err)
	assert.Contains(t, err.Error(), "the verdict is passed")
	assert.Contains(t, err.Error(), "read-only file system")
}

func TestTheNewestRestorableBackupIsChosen(t *testing.T) {
	s := mem.New()
	add := func(name, schedule, phase, started string) {
		json := `{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"` + name + `","labels":{"velero.io/schedule-name":"` + schedule +
			`"}},"status":{"phase":"` + phase + `","startTimestamp":"` + started + `"}}`
		require.NoError(t, s.Put(t.Context(), store.Metadata(name), strings.NewReader(json)))
	}
	add("a-1", "a", "Completed", "2026-01-01T00:00:00Z")
	add("a-2", "a", "PartiallyFailed", "2026-01-02T00:00:00Z")
	add("a-3", "a", "Failed", "2026-01-03T00:00:00Z")
	add("b-1", "b", "Completed", "2026-01-02T12:00:00Z")
	require.NoError(t, s.Put(t.Context(), "backups/a-4/a-4.tar.gz", strings.NewReader("interrupted")))

	for want, choice := range map[string]verifier.Choice{
		"a-2": {Schedule: "a"},
		"b-1": {Latest: true},
		"a-1": {Backup: "a-1"},
	} {
		name, err := verifier.Choose(t.Context(), s, choice)
		require.NoError(t, err)
		assert.Equal(t, want, name)
	}
	_, err := verifier.Choose(t.Context(), s, verifier.Choice{Schedule: "c"})
	assert.ErrorContains(t, err, `no restorable backup of schedule "c"`)
	_, err = verifier.Choose(t.Context(), s, verifier.Choice{Backup: "../etc"})
	assert.Error(t, err)
}

func TestWhatCouldBeLostIsTheAgeOfTheNewestBackup(t *testing.T) {
	s := velerosLocation(t, unchanged)
	d := drill(s, report.LevelIntegrity, nil)
	d.Spec.Targets.RPO.Duration = time.Hour
	rep, err := d.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, report.Failed, rep.Verdict)
	assert.Contains(t, rep.Summary, "Recovery would miss its target: the newest backup began ")
	require.NotNil(t, rep.Recovery)
	assert.Equal(t, 3600.0, rep.Recovery.PointTargetSeconds)
	assert.InDelta(t, rep.Started.Sub(rep.Backup.Started).Seconds(), rep.Recovery.PointSeconds, 1)

	newer := `{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"newer","labels":{"velero.io/schedule-name":"notes-1h"}},"status":{"phase":"Completed","startTimestamp":"` +
		time.Now().Add(-time.Minute).UTC().Format(time.RFC3339) + `"}}`
	require.NoError(t, s.Put(t.Context(), store.Metadata("newer"), strings.NewReader(newer)))
	rep, err = d.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, report.Passed, rep.Verdict, "to drill an older one does not make what could be lost more: %s", rep.Summary)
}

func TestLevelKindNeedsASandboxThatRunsPods(t *testing.T) {
	box := &doomed{err: errors.New("must not be started")}
	rep, err := drill(velerosLocation(t, unchanged), report.LevelKind, box).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, report.Error, rep.Verdict)
	assert.Contains(t, rep.Summary, "needs a sandbox that runs pods")
	assert.Zero(t, box.up)
}
