package evidence_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence/evidencetest"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

var night = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func drill(backup, id string, v report.Verdict, started time.Time) report.Report {
	return evidencetest.Complete(report.Report{
		Schema: report.Schema, ID: id, Level: report.LevelControlPlane, Verdict: v, Summary: "so it is", Started: started, Finished: started.Add(time.Minute),
		Backup: report.Backup{Name: backup, Schedule: "daily"},
	})
}

func write(t *testing.T, s store.Store, reports ...report.Report) {
	t.Helper()
	for _, r := range reports {
		require.NoError(t, evidence.Write(t.Context(), s, r))
	}
}

func keys(t *testing.T, s store.Store) []string {
	t.Helper()
	var out []string
	for info, err := range s.List(t.Context(), "", true) {
		require.NoError(t, err)
		out = append(out, info.Key)
	}
	return out
}

func TestEvidenceIsThreeFormsOfOneReport(t *testing.T) {
	s := storetest.Calls(mem.New())
	r := drill("b", "d1", report.Passed, night)
	write(t, s, r)
	var order []string
	for _, c := range s.Calls() {
		order = append(order, c.Key)
	}
	assert.Equal(t, []string{store.EvidencePage("b", "d1"), store.EvidenceJUnit("b", "d1"), store.Evidence("b", "d1")}, order, "the JSON commits, so it is last")
	got, err := drilllog.ReadEvidence(t.Context(), s, drilllog.Ref{Backup: "b", Drill: "d1"})
	require.NoError(t, err)
	assert.Equal(t, r, got)
	page, err := s.Get(t.Context(), store.EvidencePage("b", "d1"))
	require.NoError(t, err)
	content, err := io.ReadAll(page)
	require.NoError(t, err)
	assert.Contains(t, string(content), "so it is")
}

func TestADrillWhoseEvidenceWasNotWrittenToItsEndDidNotHappen(t *testing.T) {
	for n := 1; n <= 3; n++ {
		for _, when := range []storetest.When{storetest.Before, storetest.During} {
			behind := mem.New()
			s := storetest.NewFaults(behind, storetest.Fault{Method: storetest.Put, Nth: n, When: when, Kill: true})
			err := evidence.Write(t.Context(), s, drill("b", "d1", report.Passed, night))
			assert.ErrorIs(t, err, storetest.ErrInjected)
			assert.ErrorContains(t, err, "is the location writable?")
			s.AssertAllFired(t)
			records, unreadable, err := (&evidence.Index{Store: behind}).List(t.Context())
			require.NoError(t, err)
			assert.Empty(t, records)
			assert.Empty(t, unreadable)
		}
	}
}

func TestADrillIsDeletedWholeByWhoeverTriesAgain(t *testing.T) {
	ref := drilllog.Ref{Backup: "b", Drill: "d1"}
	for n := 1; n <= 3; n++ {
		behind := mem.New()
		write(t, behind, drill("b", "d1", report.Passed, night), drill("b", "d2", report.Passed, night))
		s := storetest.NewFaults(behind, storetest.Fault{Method: storetest.Delete, Nth: n})
		assert.ErrorIs(t, evidence.Delete(t.Context(), s, ref), storetest.ErrInjected)
		_, err := drilllog.ReadEvidence(t.Context(), behind, ref)
		require.NoError(t, err, "it is listed, so that it is deleted later")
		require.NoError(t, evidence.Delete(t.Context(), s, ref))
		assert.Equal(t, []string{store.EvidencePage("b", "d2"), store.Evidence("b", "d2"), store.EvidenceJUnit("b", "d2")}, keys(t, behind))
	}
}

func TestEvidenceThatMakesNoSenseIsNamedAndStopsNoneOfTheOthers(t *testing.T) {
	s := mem.New()
	write(t, s, drill("b", "good", report.Passed, night))
	put := func(id, content string) {
		require.NoError(t, s.Put(t.Context(), store.Evidence("b", id), strings.NewReader(content)))
	}
	raw := func(change func(*report.Report)) string {
		r := drill("b", "bad", report.Passed, night)
		change(&r)
		out, err := r.Encode()
		require.NoError(t, err)
		return string(out)
	}
	want := map[string]string{}
	for id, c := range map[string]struct{ content, want string }{
		"another":   {raw(func(*report.Report) {}), `drill "bad" of backup "b"`},
		"cut":       {"{", "decode"},
		"far":       {`{"schema":"` + strings.Repeat("x", report.MaxSize) + `"}`, "more than"},
		"elsewhere": {raw(func(r *report.Report) { r.ID, r.Backup.Name = "elsewhere", "c" }), `of backup "c"`},
		"guess":     {raw(func(r *report.Report) { r.ID, r.Verdict = "guess", "maybe" }), "unknown verdict"},
		"many":      {`{"findings":[` + strings.Repeat("{},", 1<<20) + `{}]}`, "values"},
		"schema":    {raw(func(r *report.Report) { r.ID, r.Schema = "schema", "other/v1" }), "unknown evidence schema"},
		"timeless":  {raw(func(r *report.Report) { r.ID, r.Started = "timeless", time.Time{} }), "when the drill ran"},
	} {
		put(id, c.content)
		want[id] = c.want
	}
	records, unreadable, err := (&evidence.Index{Store: s}).List(t.Context())
	require.NoError(t, err)
	require.Len(t, records, 1)
	assert.Equal(t, "good", records[0].Drill)
	assert.Len(t, unreadable, len(want))
	for _, u := range unreadable {
		assert.ErrorContains(t, u.Err, want[u.Ref.Drill], u.Ref.Drill)
		assert.ErrorContains(t, u.Err, store.Evidence("b", u.Ref.Drill), "it is named")
	}
}

func TestAnIndexListsTheNewestFirstAndReadsNothingTwice(t *testing.T) {
	s := storetest.Calls(mem.New())
	for i := range 20 {
		write(t, s, drill(fmt.Sprint("b-", i%3), fmt.Sprintf("d%02d", i), report.Passed, night.Add(time.Duration(i*7%20)*time.Hour)))
	}
	x := evidence.Index{Store: s}
	records, _, err := x.List(t.Context())
	require.NoError(t, err)
	require.Len(t, records, 20)
	for i := 1; i < len(records); i++ {
		assert.True(t, records[i].Started.Before(records[i-1].Started))
	}
	assert.Equal(t, 20, s.Count(storetest.Get))
	write(t, s, drill("b-9", "new", report.Failed, night.Add(-time.Hour)))
	records, _, err = x.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "new", records[20].Drill)
	assert.Equal(t, 21, s.Count(storetest.Get), "only what is new is read")

	require.NoError(t, evidence.Delete(t.Context(), s, drilllog.Ref{Backup: "b-9", Drill: "new"}))
	records, _, err = x.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, records, 20, "what was deleted is gone")
	records, _, err = x.OfBackup(t.Context(), "b-1")
	require.NoError(t, err)
	assert.Len(t, records, 7)
	_, err = drilllog.ReadEvidence(t.Context(), s, drilllog.Ref{Backup: "b-1", Drill: "nope"})
	assert.ErrorIs(t, err, drilllog.ErrNoEvidence)
}

func TestWhichEvidenceAPolicyNeedNotKeep(t *testing.T) {
	const day = 24 * time.Hour
	ago := func(days int, v report.Verdict, change ...func(*evidence.Record)) evidence.Record {
		r := evidence.Record{Backup: "b", Drill: fmt.Sprintf("%02d", days), Policy: "p", Level: report.LevelControlPlane, Verdict: v, Finished: night.Add(-time.Duration(days) * day)}
		for _, c := range change {
			c(&r)
		}
		return r
	}
	by := func(policy string) func(*evidence.Record) { return func(r *evidence.Record) { r.Policy = policy } }
	of := func(backup string) func(*evidence.Record) { return func(r *evidence.Record) { r.Backup = backup } }
	at := func(l report.Level) func(*evidence.Record) { return func(r *evidence.Record) { r.Level = l } }
	p, f, e := report.Passed, report.Failed, report.Error
	for name, tc := range map[string]struct {
		keep    policy.Retention
		records []evidence.Record // newest first
		want    []string
	}{
		"no retention keeps everything":      {policy.Retention{}, []evidence.Record{ago(1, p), ago(9, p), ago(99, e)}, nil},
		"the newest of each backup are kept": {policy.Retention{Keep: 2}, []evidence.Record{ago(1, p), ago(2, p), ago(3, p), ago(4, p, of("c")), ago(5, p)}, []string{"03", "05"}},
		"the young are kept":                 {policy.Retention{MaxAge: policy.Duration{Duration: 5 * day}}, []evidence.Record{ago(1, p), ago(4, p), ago(6, p)}, []string{"06"}},
		"either reason is enough":            {policy.Retention{Keep: 1, MaxAge: policy.Duration{Duration: 5 * day}}, []evidence.Record{ago(1, p), ago(4, p), ago(6, p)}, []string{"06"}},
		"the last passed drill stays, however old": {
			policy.Retention{Keep: 1}, []evidence.Record{ago(1, e), ago(2, e), ago(3, p), ago(4, p)}, []string{"02", "04"}},
		"the last failed drill stays with the pass before it, which it takes back": {
			policy.Retention{Keep: 1}, []evidence.Record{ago(1, e), ago(2, f), ago(3, f), ago(4, p)}, []string{"03"}},
		"the proof of each level stays": {
			policy.Retention{Keep: 1}, []evidence.Record{ago(1, p, at(report.LevelIntegrity)), ago(2, p, at(report.LevelIntegrity)), ago(3, p), ago(4, p)}, []string{"02", "04"}},
		"what others asked for is not the policy's": {
			policy.Retention{Keep: 1}, []evidence.Record{ago(1, p), ago(2, p, by("")), ago(3, p, by("q")), ago(4, p)}, []string{"04"}},
		"a pass of another policy is the newest pass": {
			policy.Retention{Keep: 1}, []evidence.Record{ago(1, p, by("q")), ago(2, e), ago(3, p)}, []string{"03"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range evidence.Expired(tc.records, "p", tc.keep, night) {
				got = append(got, r.Drill)
			}
			assert.Equal(t, tc.want, got)
		})
	}
}
