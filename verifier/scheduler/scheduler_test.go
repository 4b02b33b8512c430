package scheduler_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence/evidencetest"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/scheduler"
)

const minute, hour, day = time.Minute, time.Hour, 24 * time.Hour

// add puts a Completed backup into a location, as far as choosing looks at it.
func add(t *testing.T, s store.Store, schedule, name string, started time.Time) {
	t.Helper()
	json := fmt.Sprintf(`{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":%q,"labels":{"velero.io/schedule-name":%q}},"status":{"phase":"Completed","startTimestamp":%q}}`,
		name, schedule, started.UTC().Format(time.RFC3339))
	require.NoError(t, s.Put(t.Context(), store.Metadata(name), strings.NewReader(json)))
}

// drills replaces verifier.Drill: a drill takes a minute and passes, unless
// the script of its backup says another verdict for its first, second … time.
type drills struct {
	script map[string][]report.Verdict
	// stuck drills do not end by themselves, slow ones take this long.
	stuck bool
	slow  map[string]time.Duration

	mu      sync.Mutex
	begun   []string // backup@time
	running int
	most    int
}

func (d *drills) run(ctx context.Context, r scheduler.Request) (report.Report, error) {
	d.mu.Lock()
	n := 0
	for _, b := range d.begun {
		if strings.HasPrefix(b, r.Backup+"@") {
			n++
		}
	}
	began := time.Now().UTC()
	d.begun = append(d.begun, r.Backup+"@"+began.Format("02T15:04"))
	d.running++
	d.most = max(d.most, d.running)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running--
	}()
	r.Progress("restore", "1 of 2")
	took := time.After(cmp.Or(d.slow[r.Backup], minute))
	if d.stuck {
		took = nil
	}
	select {
	case <-ctx.Done():
		return report.Report{}, ctx.Err()
	case <-took:
	}
	verdict := report.Passed
	if script := d.script[r.Backup]; n < len(script) {
		verdict = script[n]
	}
	rep := report.Report{
		Schema: report.Schema, ID: r.ID, Policy: r.Policy.Metadata.Name, Level: r.Policy.Spec.Level, Verdict: verdict, Started: began, Finished: time.Now().UTC(),
		Backup: report.Backup{Name: r.Backup},
	}
	rep, err := evidencetest.Drilled(ctx, r.Store, rep)
	if err != nil {
		return rep, err
	}
	return rep, evidence.Write(ctx, r.Store, rep)
}

func (d *drills) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.begun)
}

func nightly(t *testing.T, s store.Store, change ...func(*policy.Spec)) scheduler.Job {
	t.Helper()
	p := policy.Policy{Metadata: policy.Metadata{Name: "nightly"}, Spec: policy.Spec{
		Select: policy.Select{Schedules: []string{"*"}}, Cron: "0 3 * * *", Level: report.LevelControlPlane,
	}}
	for _, c := range change {
		c(&p.Spec)
	}
	cron, err := schedule.Parse(p.Spec.Cron)
	require.NoError(t, err)
	return scheduler.Job{Policy: p, Cron: cron, Store: s}
}

func newScheduler(instance string, d *drills, jobs ...scheduler.Job) *scheduler.Scheduler {
	return &scheduler.Scheduler{
		Jobs: jobs, Drill: d.run, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		By: drilllog.Owner{Instance: instance}, Ended: func(o drilllog.Owner) bool { return o.Instance == "killed" },
	}
}

// running is a scheduler at work in the bubble.
type running struct {
	*scheduler.Scheduler
	stop func() // and wait until it has ended
}

func start(t *testing.T, s *scheduler.Scheduler) running {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	return running{s, func() {
		cancel()
		require.NoError(t, <-done)
	}}
}

// The bubble's clock begins at midnight of 2000-01-01, UTC.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTheNewestUnprovenBackupIsDrilledAtNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		add(t, s, "db", "db-1", time.Now().Add(-2*day))
		add(t, s, "db", "db-2", time.Now().Add(-day))
		add(t, s, "shop", "shop-1", time.Now().Add(-day))
		r := start(t, newScheduler("a", d, nightly(t, s)))
		assert.Equal(t, time.Date(2000, 1, 1, 3, 0, 0, 0, time.UTC), r.Status()[0].Next)
		pass(3*hour - time.Second)
		assert.Empty(t, d.all())
		pass(30 * time.Second)
		now := r.Status()[0]
		require.Len(t, now.Running, 1, "one at a time")
		assert.True(t, now.Busy)
		assert.Equal(t, "db-2", now.Running[0].Backup)
		assert.Equal(t, "restore", now.Running[0].Stage)
		assert.Equal(t, "1 of 2", now.Running[0].Detail)
		pass(hour)
		assert.Equal(t, []string{"db-2@01T03:00", "shop-1@01T03:01"}, d.all())
		now = r.Status()[0]
		assert.Empty(t, now.Running)
		assert.False(t, now.Busy)
		assert.Equal(t, map[scheduler.Total]int{{Level: report.LevelControlPlane, Verdict: report.Passed}: 2}, now.Totals)
		assert.Equal(t, 60.0, now.Seconds)
		assert.Len(t, now.Recent, 2)
		assert.Equal(t, time.Date(2000, 1, 2, 3, 0, 0, 0, time.UTC), now.Next)

		add(t, s, "shop", "shop-2", time.Now())
		pass(day)
		assert.Equal(t, []string{"db-2@01T03:00", "shop-1@01T03:01", "shop-2@02T03:00"}, d.all(), "what is proven is left alone")
		r.stop()
	})
}

func TestARestartGoesOnWhereTheLastOneStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		for _, name := range []string{"a", "b", "c"} {
			add(t, s, name, name+"-1", time.Now())
		}
		r := start(t, newScheduler("first", d, nightly(t, s)))
		pass(3*hour + 90*time.Second) // in the middle of the second drill
		r.stop()
		add(t, s, "d", "d-1", time.Now())
		pass(10 * minute)
		r = start(t, newScheduler("second", d, nightly(t, s)))
		pass(hour)
		assert.Equal(t, []string{"a-1@01T03:00", "b-1@01T03:01", "b-1@01T03:11", "c-1@01T03:12"}, d.all(), "what was given up is drilled at once; what is new waits for the next run")
		r.stop()
		r = start(t, newScheduler("third", d, nightly(t, s)))
		pass(hour)
		assert.Len(t, d.all(), 4, "a run that is done is done")
		r.stop()
	})
}

func TestADrillWhoseVerifierWasKilledIsTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct{ instance, again string }{
		"at once, when it is known to have ended": {"killed", "01T03:11"},
		"else when its time is over":              {"elsewhere", "01T03:35"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := mem.New(), &drills{stuck: true}
				add(t, s, "db", "db-1", time.Now())
				dying := storetest.Calls(s)
				r := start(t, newScheduler(tc.instance, d, nightly(t, dying)))
				pass(3*hour + minute)
				require.Len(t, r.Status()[0].Running, 1)
				dying.Kill(errors.New("killed"))
				r.stop()
				pass(10 * minute)
				d.stuck = false
				r = start(t, newScheduler("next", d, nightly(t, s)))
				pass(hour)
				assert.Equal(t, []string{"db-1@01T03:00", "db-1@" + tc.again}, d.all())
				assert.Equal(t, report.Passed, r.Status()[0].Recent[0].Verdict)
				r.stop()
			})
		})
	}
}

func TestADrillThatKillsItsVerifierIsNotTriedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{stuck: true}
		add(t, s, "db", "db-1", time.Now())
		pass(3*hour - minute)
		for range 6 {
			dying := storetest.Calls(s)
			r := start(t, newScheduler("killed", d, nightly(t, dying)))
			// Each is another process, of which only the next one knows.
			pass(5 * minute)
			dying.Kill(errors.New("killed"))
			r.stop()
		}
		assert.Len(t, d.all(), 3)
	})
}

func TestStoppingAVerifierUsesNoAttemptsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		add(t, s, "db", "db-1", time.Now())
		pass(3*hour - time.Second)
		for n := range 5 {
			r := start(t, newScheduler(fmt.Sprint(n), d, nightly(t, s)))
			pass(30 * time.Second)
			r.stop()
		}
		require.Len(t, d.all(), 5)
		r := start(t, newScheduler("last", d, nightly(t, s)))
		pass(2 * minute)
		assert.Len(t, r.Status()[0].Recent, 1)
		r.stop()
	})
}

func TestADrillThatWaitedUntilTheNextRunIsChosenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{slow: map[string]time.Duration{"big-1": 7 * minute}}
		add(t, s, "big", "big-1", time.Now())
		add(t, s, "db", "db-1", time.Now())
		big := nightly(t, s, func(p *policy.Spec) { p.Select.Schedules, p.Cron = []string{"big"}, "4 0 * * *" })
		often := nightly(t, s, func(p *policy.Spec) { p.Select.Schedules, p.Cron = []string{"db"}, "*/5 * * * *" })
		often.Policy.Metadata.Name = "often"
		r := start(t, newScheduler("x", d, big, often))
		pass(6 * minute)
		add(t, s, "db", "db-2", time.Now())
		pass(20 * minute)
		assert.Equal(t, []string{"big-1@01T00:04", "db-2@01T00:11"}, d.all(), "what was chosen at 00:05 is not drilled when 00:10 has chosen")
		r.stop()
	})
}

// Whoever may write to the location knows when tonight's run is due.
func TestNoRecordCancelsTonightsDrill(t *testing.T) {
	const schema = `"schema":"lifeboat.dev/run/v1alpha1"`
	bomb := `{` + schema + `,"drills":[` + strings.Repeat("{},", 1<<20) + `{}]}`
	for name, tc := range map[string]struct {
		run, content string
		named        bool
		want         string // when db-1 is drilled
	}{
		"a run of the future":                 {"20300101T000000Z", `{` + schema + `}`, false, "01T03:00"},
		"another file":                        {"readme", "hello", false, "01T03:00"},
		"tonight's, empty":                    {"20000101T030000Z", "", true, "01T03:00"},
		"tonight's, no record":                {"20000101T030000Z", "{}", true, "01T03:00"},
		"tonight's, of another schema":        {"20000101T030000Z", `{"schema":"lifeboat.dev/run/v9"}`, true, "01T03:00"},
		"tonight's, begun last week":          {"20000101T030000Z", `{` + schema + `,"began":"1999-12-24T03:00:00Z"}`, true, "01T03:00"},
		"tonight's, begun in a century":       {"20000101T030000Z", `{` + schema + `,"began":"2099-12-24T03:00:00Z"}`, true, "01T03:00"},
		"tonight's, of nothing":               {"20000101T030000Z", `{` + schema + `,"began":"2000-01-01T03:00:00Z","drills":[]}`, false, "01T03:00"},
		"tonight's, of another backup":        {"20000101T030000Z", `{` + schema + `,"began":"2000-01-01T03:00:00Z","drills":[{"backup":"x"}]}`, false, "01T03:01"},
		"tonight's, of no backup's name":      {"20000101T030000Z", `{` + schema + `,"drills":[{"backup":"../../etc"}]}`, true, "01T03:00"},
		"tonight's, a bomb":                   {"20000101T030000Z", bomb, true, "01T03:00"},
		"between two runs, of nothing":        {"20000101T030001Z", `{` + schema + `,"began":"2000-01-01T03:00:00Z"}`, false, "01T03:00"},
		"last night's, damaged: it is redone": {"19991231T030000Z", "{", true, "01T00:00"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := mem.New(), &drills{}
				add(t, s, "db", "db-1", time.Now().Add(-minute))
				require.NoError(t, s.Put(t.Context(), store.Run("nightly", tc.run), strings.NewReader(tc.content)))
				r := start(t, newScheduler("x", d, nightly(t, s)))
				pass(2 * hour)
				require.NoError(t, r.Status()[0].Err)
				pass(2 * hour)
				require.NoError(t, r.Status()[0].Err)
				var got []string
				for _, drill := range d.all() {
					if strings.HasPrefix(drill, "db-1@") {
						got = append(got, drill)
					}
				}
				assert.Equal(t, []string{"db-1@" + tc.want}, got, "once")
				if tc.named {
					require.Len(t, r.Status()[0].Damaged, 1)
					assert.Contains(t, r.Status()[0].Damaged[0], tc.run)
				}
				r.stop()
			})
		})
	}
}

// A claim, a release or evidence in advance does not cancel a drill either.
func TestNoClaimCancelsTonightsDrill(t *testing.T) {
	const claim = `{"schema":"lifeboat.dev/claim/v1alpha1","drill":"x","at":"2000-01-01T03:00:00Z","until":%q}`
	for name, tc := range map[string]struct {
		content string
		numbers []string
		within  time.Duration // of three o'clock
	}{
		"damaged":                 {"{}", []string{"1", "2", "3", "4"}, time.Minute},
		"for a thousand years":    {fmt.Sprintf(claim, "3000-01-01T00:00:00Z"), []string{"1"}, time.Minute},
		"for a day":               {fmt.Sprintf(claim, "2000-01-02T03:00:00Z"), []string{"1"}, hour},
		"as often as is allowed":  {fmt.Sprintf(claim, "2000-01-01T03:30:00Z"), []string{"1", "2", "3"}, hour},
		"with the largest number": {"{}", []string{"9223372036854775807"}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := mem.New(), &drills{}
				add(t, s, "db", "db-1", time.Now().Add(-minute))
				for _, n := range tc.numbers {
					require.NoError(t, s.Put(t.Context(), store.Attempts("nightly", "20000101T030000Z", "db-1")+n+".json", strings.NewReader(tc.content)))
				}
				x := newScheduler("x", d, nightly(t, s))
				x.By.Machine = "here"
				r := start(t, x)
				pass(3*hour + tc.within)
				assert.Len(t, d.all(), 1)
				r.stop()
			})
		})
	}
}

func TestWhatClaimsToBeRestorableIsChosenAndADamagedBackupByItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		put := func(name, content string) {
			require.NoError(t, s.Put(t.Context(), store.Metadata(name), strings.NewReader(content)))
		}
		add(t, s, "db", "db-1", time.Now().Add(-day))
		for i, phase := range []string{"Failed", "InProgress", "FailedValidation", "Deleting"} {
			name := fmt.Sprint("db-", i+2)
			put(name, fmt.Sprintf(`{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":%q,"labels":{"velero.io/schedule-name":"db"}},"status":{"phase":%q,"startTimestamp":"2000-01-01T00:00:00Z"}}`, name, phase))
		}
		require.NoError(t, s.Put(t.Context(), store.Contents("torn"), strings.NewReader("half")))
		put("damaged", "{")
		r := start(t, newScheduler("x", d, nightly(t, s, func(p *policy.Spec) { p.Select.Backups = []string{"damaged", "torn"} })))
		pass(4 * hour)
		assert.Equal(t, []string{"db-1@01T03:00", "damaged@01T03:01"}, d.all())
		assert.Equal(t, []string{"backup torn"}, r.Status()[0].Missing)
		r.stop()
	})
}

// A proof is of the files that were drilled.
func TestABackupWhoseFilesHaveChangedIsDrilledAgain(t *testing.T) {
	for name, change := range map[string]func(*testing.T, store.Store){
		"another tarball": func(t *testing.T, s store.Store) {
			require.NoError(t, s.Delete(t.Context(), store.Contents("db-1")))
			require.NoError(t, s.Put(t.Context(), store.Contents("db-1"), strings.NewReader("garbage")))
		},
		"a file that is gone": func(t *testing.T, s store.Store) { require.NoError(t, s.Delete(t.Context(), store.Results("db-1"))) },
		"a file that came later": func(t *testing.T, s store.Store) {
			require.NoError(t, s.Put(t.Context(), store.VolumeInfo("db-1"), strings.NewReader("[]")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := mem.New(), &drills{}
				add(t, s, "db", "db-1", time.Now())
				require.NoError(t, s.Put(t.Context(), store.Contents("db-1"), strings.NewReader("archive")))
				require.NoError(t, s.Put(t.Context(), store.Results("db-1"), strings.NewReader("{}")))
				r := start(t, newScheduler("x", d, nightly(t, s)))
				pass(2 * day)
				assert.Equal(t, []string{"db-1@01T03:00"}, d.all(), "it is proven")
				change(t, s)
				pass(2 * day)
				assert.Equal(t, []string{"db-1@01T03:00", "db-1@03T03:00"}, d.all())
				r.stop()
			})
		})
	}
}

// A proof that never gets old would be one for good.
func TestEvidenceOfTheFutureProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		add(t, s, "db", "db-1", time.Now())
		far := report.Report{
			Schema: report.Schema, ID: "far", Policy: "nightly", Level: report.LevelKind, Verdict: report.Passed,
			Started: time.Now(), Finished: time.Now().AddDate(100, 0, 0), Backup: report.Backup{Name: "db-1"},
		}
		far, err := evidencetest.Drilled(t.Context(), s, far)
		require.NoError(t, err)
		require.NoError(t, evidence.Write(t.Context(), s, far))
		r := start(t, newScheduler("x", d, nightly(t, s)))
		pass(4 * hour)
		assert.Equal(t, []string{"db-1@01T03:00"}, d.all())
		r.stop()
	})
}

func TestTwoVerifiersOnOneLocationShareARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		for i := range 9 {
			add(t, s, fmt.Sprint("s", i), fmt.Sprint("s", i, "-1"), time.Now())
		}
		one, two := start(t, newScheduler("one", d, nightly(t, s))), start(t, newScheduler("two", d, nightly(t, s)))
		pass(4 * hour)
		names := map[string]int{}
		for _, b := range d.all() {
			names[b[:4]]++
		}
		assert.Len(t, names, 9)
		assert.Len(t, d.all(), 9, "no backup is drilled twice")
		assert.Equal(t, 2, d.most, "both work")
		assert.Equal(t, time.Date(2000, 1, 1, 3, 0, 0, 0, time.UTC), one.Status()[0].LastDue)
		assert.Equal(t, one.Status()[0].LastDue, two.Status()[0].LastDue)
		assert.False(t, two.Status()[0].LastEnded.IsZero())
		one.stop()
		two.stop()
	})
}

func TestOneVerifierTakesOverFromAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{stuck: true}
		add(t, s, "db", "db-1", time.Now())
		one := start(t, newScheduler("one", d, nightly(t, s)))
		pass(3*hour + minute)
		two := start(t, newScheduler("two", d, nightly(t, s)))
		pass(5 * minute)
		assert.Len(t, d.all(), 1, "it is waited for")
		d.mu.Lock()
		d.stuck = false
		d.mu.Unlock()
		one.stop()
		pass(2 * minute)
		assert.Len(t, d.all(), 2)
		assert.Equal(t, report.Passed, two.Status()[0].Recent[0].Verdict)
		two.stop()
	})
}

func TestDowntimeIsCaughtUpByOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		add(t, s, "db", "db-1", time.Now())
		r := start(t, newScheduler("a", d, nightly(t, s)))
		pass(4 * hour)
		r.stop()
		for i := range 6 {
			pass(day)
			add(t, s, "db", fmt.Sprint("db-", i+2), time.Now())
		}
		r = start(t, newScheduler("b", d, nightly(t, s)))
		pass(hour)
		assert.Equal(t, []string{"db-1@01T03:00", "db-7@07T04:00"}, d.all())
		pass(day)
		assert.Len(t, d.all(), 2)
		r.stop()
	})
}

func TestAnInconclusiveDrillIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p, f := report.Error, report.Passed, report.Failed
		s, d := mem.New(), &drills{script: map[string][]report.Verdict{"a-1": {e, e, e}, "b-1": {e, p}, "c-1": {f}}}
		for _, name := range []string{"a", "b", "c"} {
			add(t, s, name, name+"-1", time.Now())
		}
		r := start(t, newScheduler("x", d, nightly(t, s)))
		pass(6 * hour)
		got := map[string]int{}
		for _, b := range d.all() {
			got[b[:3]]++
		}
		assert.Equal(t, map[string]int{"a-1": 3, "b-1": 2, "c-1": 1}, got)
		assert.Equal(t, []string{"a-1@01T03:00", "b-1@01T03:01", "c-1@01T03:02"}, d.all()[:3], "the others do not wait for the second attempt")
		pass(day)
		again := d.all()[6:]
		assert.Equal(t, []string{"a-1@02T03:00", "c-1@02T03:01"}, again, "the next night both are tried again")
		r.stop()
	})
}

func TestTheNextRunEndsTheAttemptsOfTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := report.Error
		s, d := mem.New(), &drills{script: map[string][]report.Verdict{"a-1": {e, e, e, e, e, e}}}
		add(t, s, "a", "a-1", time.Now())
		r := start(t, newScheduler("x", d, nightly(t, s, func(p *policy.Spec) { p.Cron = "*/5 * * * *" })))
		pass(6 * minute)
		add(t, s, "a", "a-2", time.Now())
		pass(20 * minute)
		assert.Equal(t, []string{"a-1@01T00:05", "a-1@01T00:07", "a-2@01T00:10"}, d.all())
		r.stop()
	})
}

func TestAsManyDrillsRunAtATimeAsThePoliciesAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		for i := range 6 {
			add(t, s, fmt.Sprint("s", i), fmt.Sprint("s", i, "-1"), time.Now())
		}
		three := nightly(t, s, func(p *policy.Spec) { p.Limits.Concurrency = 3 })
		one := nightly(t, s)
		one.Policy.Metadata.Name = "other"
		r := start(t, newScheduler("x", d, three, one))
		pass(4 * hour)
		assert.Len(t, d.all(), 12, "each policy proves for itself")
		assert.Equal(t, 3, d.most, "over all policies")
		r.stop()
	})
}

func TestALocationThatDoesNotAnswerIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		add(t, s, "db", "db-1", time.Now())
		var faults []storetest.Fault
		for n := range 20 {
			faults = append(faults, storetest.Fault{Method: storetest.List, Nth: n + 1})
		}
		r := start(t, newScheduler("x", d, nightly(t, storetest.NewFaults(s, faults...))))
		pass(minute)
		now := r.Status()[0]
		assert.ErrorIs(t, now.Err, storetest.ErrInjected)
		assert.True(t, now.Read.IsZero())
		pass(4 * hour)
		now = r.Status()[0]
		assert.NoError(t, now.Err)
		assert.WithinDuration(t, time.Now(), now.Read, minute)
		assert.Equal(t, []string{"db-1@01T03:00"}, d.all())
		r.stop()
	})
}

func TestWhatAPolicyAsksForAndIsNotThereIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		r := start(t, newScheduler("x", d, nightly(t, s, func(p *policy.Spec) { p.Select.Backups = []string{"golden"} })))
		pass(4 * hour)
		assert.Equal(t, []string{"schedule *", "backup golden"}, r.Status()[0].Missing)
		r.stop()
	})
}

func TestOnceDoesWhatIsDueAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{script: map[string][]report.Verdict{"db-1": {report.Error, report.Passed}}}
		add(t, s, "db", "db-1", time.Now())
		require.NoError(t, newScheduler("x", d, nightly(t, s)).Once(t.Context()))
		assert.Equal(t, []string{"db-1@01T00:00", "db-1@01T00:02"}, d.all(), "a policy that never ran is due, and an error is tried again")
		add(t, s, "db", "db-2", time.Now())
		require.NoError(t, newScheduler("y", d, nightly(t, s)).Once(t.Context()))
		assert.Len(t, d.all(), 2, "nothing is due before its time")
		pass(4 * hour)
		require.NoError(t, newScheduler("z", d, nightly(t, s)).Once(t.Context()))
		assert.Len(t, d.all(), 3)

		broken := storetest.NewFaults(s, storetest.Fault{Method: storetest.List, Nth: 1})
		assert.ErrorContains(t, newScheduler("z", d, nightly(t, broken)).Once(t.Context()), "policy nightly")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, newScheduler("z", d, nightly(t, s)).Once(ctx), context.Canceled)
	})
}

// logged is a scheduler's log, as lines.
func logged(s *scheduler.Scheduler) *strings.Builder {
	b := new(strings.Builder)
	s.Log = slog.New(slog.NewTextHandler(b, nil))
	return b
}

func TestOnceAsksTheTargetAndTheSelectionAlsoIfNothingIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{script: map[string][]report.Verdict{"db-2": {report.Failed}}}
		target := func(p *policy.Spec) { p.Targets.RPO.Duration = 10 * hour }
		once := func() (scheduler.Outcome, string) {
			r := newScheduler("x", d, nightly(t, s, target))
			log := logged(r)
			require.NoError(t, r.Once(t.Context()))
			return r.Status()[0].Outcome, log.String()
		}
		o, log := once()
		assert.Equal(t, []string{"schedule *"}, o.Missing)
		assert.Contains(t, log, `level=WARN msg="not found in the location" policy=nightly selected="schedule *"`)
		assert.Contains(t, log, `level=WARN msg="run ended" policy=nightly outcome="nothing to drill: the location does not hold what the policy selects"`)

		add(t, s, "db", "db-1", time.Now())
		pass(4 * hour)
		o, log = once()
		assert.Equal(t, scheduler.Outcome{Due: time.Date(2000, 1, 1, 3, 0, 0, 0, time.UTC), Drills: []string{"db-1"}, Passed: []string{"db-1"}}, o)
		assert.NotContains(t, log, "WARN")
		o, log = once()
		assert.Equal(t, []string{"db-1"}, o.Passed)
		assert.Equal(t, 1, strings.Count(log, "\n"), log)
		assert.Contains(t, log, `level=INFO msg="run ended" policy=nightly outcome="nothing is due: the last run is done"`)

		pass(7 * hour)
		o, log = once()
		assert.Len(t, d.all(), 1, "it is proven")
		require.Len(t, o.Targets, 1)
		assert.Contains(t, o.Targets[0], "schedule db: the newest backup, db-1, began 11h")
		assert.Contains(t, log, `level=WARN msg="target missed"`)

		add(t, s, "db", "db-2", time.Now())
		pass(16 * hour)
		o, _ = once()
		assert.Equal(t, []string{"db-2"}, o.Failed)
		o, log = once()
		assert.Equal(t, []string{"db-2"}, o.Failed, "a failure lasts until it is mended, whether or not a run is due")
		assert.Contains(t, log, "failed=[db-2]")
		pass(20 * hour)
		add(t, s, "db", "db-3", time.Now())
		pass(5 * hour)
		_, _ = once()
		o, log = once()
		assert.Equal(t, []string{"db-3"}, o.Passed)
		assert.Equal(t, 1, strings.Count(log, "\n"), log)
	})
}

// hanging is a store that stops answering.
type hanging struct {
	store.Store
	since time.Time
}

func (h hanging) List(ctx context.Context, prefix string, recursive bool) iter.Seq2[store.Info, error] {
	if time.Now().Before(h.since) {
		return h.Store.List(ctx, prefix, recursive)
	}
	return func(yield func(store.Info, error) bool) {
		<-ctx.Done()
		yield(store.Info{}, ctx.Err())
	}
}

func TestARunEndsAlsoIfTheLocationDoesNotAnswer(t *testing.T) {
	for name, tc := range map[string]struct{ after, most time.Duration }{
		"from the start":           {0, 2 * minute},
		"in the middle of a drill": {10 * time.Second, 2*minute + 5*minute + 2*minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := mem.New(), &drills{}
				add(t, s, "db", "db-1", time.Now())
				began := time.Now()
				limit := func(p *policy.Spec) { p.Limits.Timeout.Duration = 2 * minute }
				r := newScheduler("x", d, nightly(t, hanging{s, began.Add(tc.after)}, limit))
				log := logged(r)
				err := r.Once(t.Context())
				assert.ErrorContains(t, err, "did not answer within 2m0s (check the location, or raise spec.limits.timeout)")
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, tc.most, time.Since(began))
				assert.Contains(t, log.String(), `level=ERROR msg="location not usable" policy=nightly location=mem:// retry=false`)
			})
		})
	}
}

func TestADrillThatIgnoresItsTimeoutIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{stuck: true}
		add(t, s, "db", "db-1", time.Now())
		began := time.Now()
		r := newScheduler("x", d, nightly(t, s, func(p *policy.Spec) { p.Limits.Timeout.Duration = 2 * minute }))
		require.NoError(t, r.Once(t.Context()))
		assert.Equal(t, []string{"db-1"}, r.Status()[0].Outcome.Inconclusive)
		assert.Len(t, d.all(), 3)
		assert.Equal(t, 3*7*minute+6*minute, time.Since(began), "three attempts, and the waits between them")
	})
}

func TestTwoPoliciesOfOneNameAreBothTold(t *testing.T) {
	for name, cron := range map[string]string{"at the same time": "0 3 * * *", "at another time": "0 5 * * *"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := mem.New(), &drills{}
				add(t, s, "db", "db-1", time.Now())
				one := newScheduler("one", d, nightly(t, s))
				two := newScheduler("two", d, nightly(t, s, func(p *policy.Spec) { p.Level, p.Cron = report.LevelIntegrity, cron }))
				logs := []*strings.Builder{logged(one), logged(two)}
				a, b := start(t, one), start(t, two)
				pass(2*day + 6*hour)
				for i, r := range []running{a, b} {
					assert.Len(t, r.Status()[0].Conflicts, 1)
					assert.Contains(t, logs[i].String(), `level=WARN msg="another policy of this name uses this location`)
					r.stop()
				}
				assert.NotEqual(t, a.Status()[0].Conflicts, b.Status()[0].Conflicts)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		add(t, s, "db", "db-1", time.Now())
		a, b := start(t, newScheduler("one", d, nightly(t, s))), start(t, newScheduler("two", d, nightly(t, s)))
		pass(2*day + 4*hour)
		assert.Empty(t, a.Status()[0].Conflicts, "one policy, shared by two verifiers")
		assert.Empty(t, b.Status()[0].Conflicts)
		a.stop()
		b.stop()
	})
}

func TestOldEvidenceOfAPolicyIsRemovedAfterARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := mem.New(), &drills{}
		add(t, s, "", "golden", time.Now())
		r := start(t, newScheduler("x", d, nightly(t, s, func(p *policy.Spec) {
			p.Select = policy.Select{Backups: []string{"golden"}}
			p.Evidence.Keep = 2
		})))
		pass(5 * day)
		require.Len(t, d.all(), 5)
		var keys []string
		for info, err := range s.List(t.Context(), store.DrillsPrefix, true) {
			require.NoError(t, err)
			keys = append(keys, info.Key)
		}
		assert.Len(t, keys, 6, "three forms of two drills")
		assert.Len(t, r.Status()[0].Recent, 2+1, "as of the last reading")
		r.stop()
	})
}

// One call of the store fails, whichever: before it took effect, in the middle,
// or so that only the answer is lost. In the end each backup has been proven
// once.
func TestNoSingleFailureOfTheLocationLosesOrRepeatsADrill(t *testing.T) {
	calls := 0
	scenario := func(t *testing.T, faults ...storetest.Fault) *storetest.Faults {
		var f *storetest.Faults
		synctest.Test(t, func(t *testing.T) {
			s, d := mem.New(), &drills{}
			add(t, s, "a", "a-1", time.Now())
			add(t, s, "b", "b-1", time.Now())
			f = storetest.NewFaults(s, faults...)
			r := start(t, newScheduler("x", d, nightly(t, f, func(p *policy.Spec) { p.Evidence.Keep = 1 })))
			pass(3*hour + 20*minute)
			r.stop()
			records, unreadable, err := (&evidence.Index{Store: s}).List(t.Context())
			require.NoError(t, err)
			assert.Empty(t, unreadable)
			var passed []string
			for _, r := range records {
				passed = append(passed, r.Backup)
			}
			assert.ElementsMatch(t, []string{"a-1", "b-1"}, passed, "%v", d.all())
		})
		return f
	}
	calls = scenario(t).Count(storetest.Any)
	require.Greater(t, calls, 25)
	for n := 1; n <= calls; n++ {
		for _, when := range []storetest.When{storetest.Before, storetest.During, storetest.After} {
			t.Run(fmt.Sprintf("call %d %s", n, when), func(t *testing.T) {
				scenario(t, storetest.Fault{Method: storetest.Any, Nth: n, When: when}).AssertAllFired(t)
			})
		}
	}
}
