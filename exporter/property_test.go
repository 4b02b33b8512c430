package exporter

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/metrics"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// chance makes states that no cluster would, of few names, so that things meet.
type chance struct{ *rand.Rand }

func one[T any](c chance, of ...T) T { return of[c.IntN(len(of))] }

// moment is around noon, far off, or not known.
func (c chance) moment() time.Time {
	switch c.IntN(8) {
	case 0:
		return time.Time{}
	case 1:
		return noon.AddDate(c.IntN(600)-300, 0, 0)
	}
	return noon.Add(time.Duration(c.Int64N(int64(60*24*time.Hour))) - 50*24*time.Hour)
}

func (c chance) duration() time.Duration {
	return one(c, 0, 0, time.Second, time.Hour, 25*time.Hour, 30*24*time.Hour, 20*365*24*time.Hour, -time.Hour, math.MaxInt64)
}

func (c chance) source() state.SourceState {
	return one(c, state.SourceState{}, readAt(noon), readAt(noon.Add(-time.Hour)), state.SourceState{LastAttempt: noon}, state.SourceState{LastAttempt: noon, LastSuccess: noon.Add(-time.Minute)})
}

func (c chance) schedule() fact.Schedule {
	expr := one(c, "@every 1h", "0 2 * * *", "CRON_TZ=Europe/Berlin 30 2 * * *", "0 0 29 2 *", "* * * * *", "0 0 30 2 *", "no", "")
	s := fact.Schedule{
		Name: one(c, "a", "b", "c"), Expr: expr, Paused: c.IntN(4) == 0, Resumed: c.moment(), Created: c.moment(), Location: one(c, "", "x", "y"),
		TTL: c.duration(), LastBackup: c.moment(), LastSkipped: c.moment(), Grace: c.duration(), RPO: c.duration(), RTO: c.duration(), ProvenRPO: c.duration(),
	}
	parsed, err := schedule.Parse(expr)
	if err != nil {
		s.Invalid = err.Error()
	} else {
		s.Cron, s.Interval = parsed, parsed.Interval(noon)
	}
	return s
}

func (c chance) backup() fact.Backup {
	b := fact.Backup{
		Name: fmt.Sprint("b-", c.IntN(12)), Location: one(c, "", "x", "y"), UID: one(c, "", "u1", "u2"), Schedule: one(c, "", "a", "b", "c", "d"),
		Phase: one(c, velerov1.BackupPhaseCompleted, velerov1.BackupPhaseCompleted, velerov1.BackupPhaseFailed, velerov1.BackupPhaseFailedValidation,
			velerov1.BackupPhaseInProgress, velerov1.BackupPhaseDeleting, "", "Unheard"),
		Start: c.moment(), Completed: c.moment(), Created: c.moment(), Expires: c.moment(), LockedUntil: c.moment(),
		GCFailure: one(c, "", "BSLNotFound", "x"), ArchiveSize: c.Int64N(1 << 40), MetadataSHA256: one(c, "", "s1"),
	}
	if c.IntN(3) == 0 {
		b.Volumes = &fact.Volumes{Added: c.Int64N(1 << 40)}
	}
	return b
}

func many[T any](c chance, most int, make func() T) []T {
	var out []T
	for range c.IntN(most) {
		out = append(out, make())
	}
	return out
}

// unique are backups as one side lists them: each name once.
func (c chance) unique() []fact.Backup {
	var out []fact.Backup
	seen := map[string]bool{}
	for _, b := range many(c, 12, c.backup) {
		if !seen[b.Location+"/"+b.Name] {
			seen[b.Location+"/"+b.Name] = true
			out = append(out, b)
		}
	}
	return out
}

func (c chance) state() state.State {
	s := state.State{Started: noon.Add(-time.Hour)}
	for _, name := range []string{"x", "z"}[:c.IntN(3)] {
		l := state.LocationState{Name: name, Backups: c.source(), Drills: c.source(), Answered: c.IntN(2) == 0, BackupList: c.unique()}
		for range c.IntN(6) {
			d := drillOfBackup(c.backup(), one(c, state.Levels()...), one(c, report.Passed, report.Failed, report.Error))
			d.Finished = c.moment()
			l.DrillList = append(l.DrillList, d)
		}
		s.Locations = append(s.Locations, l)
	}
	if c.IntN(4) > 0 {
		s.Kube = &state.KubeState{Source: c.source(), KubeScan: fact.KubeScan{Backups: c.unique()}}
		seen := map[string]bool{}
		for _, k := range many(c, 5, c.schedule) {
			if !seen[k.Name] {
				seen[k.Name] = true
				s.Kube.Schedules = append(s.Kube.Schedules, k)
			}
		}
		for _, name := range []string{"x", "y"}[:c.IntN(3)] {
			s.Kube.Locations = append(s.Kube.Locations, fact.StorageLocation{Name: name, Default: c.IntN(2) == 0, Validated: c.moment(), ValidationInterval: c.duration()})
			s.Kube.Repositories = append(s.Kube.Repositories, fact.Repository{Name: "repository-" + name, Location: one(c, "", name), LastMaintained: c.moment()})
		}
	}
	if c.IntN(2) == 0 {
		s.Ledger = &state.LedgerState{Source: c.source(), Totals: fact.Totals{Since: noon, Counts: map[fact.RunKey]fact.Count{
			{Kind: fact.RunBackup, Subject: one(c, "a", "b", ""), Outcome: one(c, "Completed", "Failed", "x")}: {Runs: 1, LastStarted: c.moment()},
		}}}
	}
	return s
}

func checkState(t *testing.T, seed uint64) {
	c := chance{rand.New(rand.NewPCG(seed, 1))}
	cfg := state.Config{CompatNames: true, CompatAliases: true, Repositories: true}
	if c.IntN(2) == 0 {
		cfg.Schedules = map[string]schedule.Cron{"a": cron(t, "0 3 * * *"), "f": cron(t, "@hourly")}
	}
	cfg = cfg.WithDefaults()
	known := state.Assemble(c.state(), cfg)
	now := noon.Add(time.Duration(c.IntN(7200)) * time.Second)
	values := map[string]float64{}
	for _, s := range metrics.Of(now, known, cfg) {
		_, twice := values[s.String()]
		require.False(t, twice, "seed %d: %s is served twice", seed, s)
		require.Len(t, s.Labels, len(metrics.Catalog[s.Metric].Labels), "seed %d: %s", seed, s.Name())
		require.False(t, math.IsNaN(s.Value) || math.IsInf(s.Value, 0), "seed %d: %s", seed, s)
		values[s.String()] = s.Value
	}
	for _, s := range known.Schedules {
		if low, known := values[fmt.Sprintf(`lifeboat_schedule_expected_backups_min{schedule=%q}`, s.Name)]; known {
			require.LessOrEqual(t, low, values[fmt.Sprintf(`lifeboat_schedule_expected_backups_max{schedule=%q}`, s.Name)], "seed %d", seed)
		}
	}
	// Made on and on it is the same as made at once.
	again := state.Assemble(known, cfg)
	next := metrics.Of(now, again, cfg)
	require.Len(t, next, len(values), "seed %d", seed)
	for _, s := range next {
		require.Equal(t, values[s.String()], s.Value, "seed %d: %s", seed, s)
	}
}

func TestEverySeriesIsServedOnceWhateverTheState(t *testing.T) {
	for seed := range uint64(200) {
		checkState(t, seed)
	}
}

func FuzzDerive(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(checkState)
}
