package exporter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/bucket"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/metrics"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence/evidencetest"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// noon is the time of the tests of Derive.
var noon = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func cron(t testing.TB, expr string) schedule.Cron {
	t.Helper()
	c, err := schedule.Parse(expr)
	require.NoError(t, err)
	return c
}

// completedBackup is a Completed backup of a schedule that took ten minutes.
func completedBackup(scheduleName, name string, start time.Time) fact.Backup {
	return fact.Backup{
		Name: name, UID: "uid-" + name, Schedule: scheduleName, Phase: velerov1.BackupPhaseCompleted,
		Start: start, Completed: start.Add(10 * time.Minute), Items: 100, ArchiveSize: 1 << 20,
	}
}

func endedAs(phase velerov1.BackupPhase, b fact.Backup) fact.Backup {
	b.Phase = phase
	return b
}

// drillOfBackup is a drill that ended an hour after the backup was completed.
func drillOfBackup(b fact.Backup, level report.Level, verdict report.Verdict) fact.Drill {
	return fact.Drill{
		Backup: b.Name, BackupUID: b.UID, Schedule: b.Schedule, BackupStart: b.Start,
		Level: level, Verdict: verdict, Started: b.Completed.Add(50 * time.Minute), Finished: b.Completed.Add(time.Hour),
		Expected: 100, Restored: 100, Stages: []fact.Stage{{Name: "restore", Seconds: 12.5}, {Name: "cleanup", Seconds: 1}},
	}
}

// readAt is a source that was read to its end at t.
func readAt(t time.Time) state.SourceState {
	return state.SourceState{LastAttempt: t, LastSuccess: t, Duration: time.Second}
}

func assembled(started time.Time, locations []state.LocationState, cfg state.Config) state.State {
	return state.Assemble(state.State{Started: started, Locations: locations}, cfg)
}

// oneLocation is the state of a location read just before noon.
func oneLocation(cfg state.Config, backups []fact.Backup, drills ...fact.Drill) state.State {
	return assembled(noon.Add(-24*time.Hour), []state.LocationState{{
		Name: "default", Answered: true, Backups: readAt(noon), Drills: readAt(noon),
		BackupList: located(backups, "default"), DrillList: drills,
	}}, cfg.WithDefaults())
}

// derived is Derive as a map from series to value.
func derived(t testing.TB, now time.Time, known state.State, cfg state.Config) map[string]float64 {
	t.Helper()
	cfg.CompatNames, cfg.CompatAliases = true, true
	out := map[string]float64{}
	for _, s := range metrics.Of(now, known, cfg) {
		require.NotContains(t, out, s.String(), "each series is served once")
		out[s.String()] = s.Value
	}
	return out
}

// names are the names of metrics that begin with a prefix.
func seriesOf(m map[string]float64, prefix string) []string {
	var out []string
	for series := range m {
		if strings.HasPrefix(series, prefix) {
			out = append(out, series)
		}
	}
	return out
}

func unix(t time.Time) float64 { return float64(t.Unix()) }

// bucket is a store with backups and evidence in it, made by tests.
type fakeBucket struct {
	*mem.Store
	t testing.TB
}

func newBucket(t testing.TB) fakeBucket { return fakeBucket{mem.New(), t} }

func (b fakeBucket) put(key string, content []byte) {
	b.t.Helper()
	if err := b.Delete(context.Background(), key); err != nil {
		require.ErrorIs(b.t, err, store.ErrNotFound)
	}
	require.NoError(b.t, b.Put(context.Background(), key, strings.NewReader(string(content))))
}

// backup writes a backup the way Velero does: archive, then metadata.
func (b fakeBucket) backup(v fact.Backup) {
	b.t.Helper()
	b.put(store.Contents(v.Name), make([]byte, v.ArchiveSize))
	b.put(store.Metadata(v.Name), metadataOf(b.t, v))
}

func metadataOf(t testing.TB, v fact.Backup) []byte {
	t.Helper()
	o := velerov1.Backup{}
	o.APIVersion, o.Kind, o.Name, o.UID = velerov1.APIVersion, "Backup", v.Name, types.UID(v.UID)
	if v.Schedule != "" {
		o.Labels = map[string]string{api.LabelScheduleName: v.Schedule}
	}
	o.Status.Phase = v.Phase
	if !v.Start.IsZero() {
		o.Status.StartTimestamp = &metav1.Time{Time: v.Start}
	}
	if !v.Completed.IsZero() {
		o.Status.CompletionTimestamp = &metav1.Time{Time: v.Completed}
	}
	o.Status.Progress = &velerov1.BackupProgress{TotalItems: v.Items, ItemsBackedUp: v.Items}
	o.Status.Errors = v.Errors
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	return raw
}

// drill writes evidence.
func (b fakeBucket) drill(id string, d fact.Drill) {
	b.t.Helper()
	r := report.Report{
		Schema: report.Schema, ID: id, Level: d.Level, Verdict: d.Verdict,
		Backup:  report.Backup{Name: d.Backup, UID: d.BackupUID, Schedule: d.Schedule, Started: d.BackupStart, MetadataSHA256: d.MetadataSHA256},
		Started: d.Started, Finished: d.Finished, Items: report.Items{Expected: d.Expected, Restored: d.Restored, RestoredBytes: d.RestoredBytes},
		Policy: d.Policy, PolicySchedule: d.Cron.String(), TimedOut: d.Reason == fact.ReasonTimeout,
	}
	if d.RTOTarget > 0 {
		r.Recovery = &report.Recovery{TimeTargetSeconds: d.RTOTarget.Seconds()}
	}
	for _, c := range d.Checks {
		r.Checks = append(r.Checks, report.Check{Name: c.Name, Verdict: c.Result, Kind: map[bool]string{false: "http"}[c.BuiltIn]})
	}
	for _, s := range d.Stages {
		r.Stages = append(r.Stages, report.Stage{Name: s.Name, Seconds: s.Seconds})
	}
	r, err := evidencetest.Drilled(context.Background(), b, r)
	require.NoError(b.t, err)
	raw, err := r.Encode()
	require.NoError(b.t, err)
	// Modification times differ in length from run to run.
	b.put(store.Evidence(d.Backup, id), append(raw, bytes.Repeat([]byte(" "), max(4<<10-len(raw), 0))...))
}

func (b fakeBucket) open(context.Context) (store.Store, error) { return b, nil }

// location reads a store.
func locationOf(s store.Store) (*bucket.Location, Location) {
	l := bucket.New(func(context.Context) (store.Store, error) { return s, nil }, silent())
	return l, Location{Name: "default", Backups: l, Drills: l, Claims: l, Storage: l, Requests: l.Requests}
}

var errGone = errors.New("the location does not answer")

// flaky is a store that can be cut off.
type flaky struct {
	store.Store
	gone atomic.Bool
}

func (f *flaky) open(context.Context) (store.Store, error) {
	if f.gone.Load() {
		return nil, errGone
	}
	return f, nil
}

func (f *flaky) List(ctx context.Context, prefix string, recursive bool) iter.Seq2[store.Info, error] {
	if f.gone.Load() {
		return func(yield func(store.Info, error) bool) { yield(store.Info{}, errGone) }
	}
	return f.Store.List(ctx, prefix, recursive)
}

// failingGet is a store in which one object cannot be read.
type failingGet struct {
	store.Store
	key string
}

func (f *failingGet) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if key == f.key {
		return nil, errGone
	}
	return f.Store.Get(ctx, key)
}

// countdown is a store that calls done at the given Get.
type countdown struct {
	store.Store
	left atomic.Int64
	done func()
}

func (c *countdown) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if c.left.Add(-1) == 0 {
		c.done()
	}
	return c.Store.Get(ctx, key)
}

// paged is a store that lists in pages, can begin in the middle and counts what
// it is asked, as S3 does.
type paged struct {
	store.Store
	size      int // entries of a page
	list, get atomic.Uint64
}

func (p *paged) List(ctx context.Context, prefix string, recursive bool) iter.Seq2[store.Info, error] {
	return p.pages(p.Store.List(ctx, prefix, recursive), "")
}

func (p *paged) ListAfter(ctx context.Context, prefix, after string) iter.Seq2[store.Info, error] {
	return p.pages(p.Store.List(ctx, prefix, true), after)
}

func (p *paged) pages(all iter.Seq2[store.Info, error], after string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		p.list.Add(1)
		n := 0
		for info, err := range all {
			if info.Key <= after {
				continue
			}
			if n++; n > p.size {
				p.list.Add(1)
				n = 1
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

func (p *paged) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	p.get.Add(1)
	return p.Store.Get(ctx, key)
}

func (p *paged) Requests() map[string]uint64 {
	return map[string]uint64{"ListObjectsV2": p.list.Load(), "GetObject": p.get.Load()}
}

// protected is a store that says how it keeps objects, and until when: until the
// same moment for all, or the moment of one key.
type protected struct {
	store.Store
	protection store.Protection
	err        error
	until      time.Time
	of         map[string]time.Time
	asked      atomic.Int64
}

func (p *protected) Protection(context.Context) (store.Protection, error) { return p.protection, p.err }

func (p *protected) RetainedUntil(_ context.Context, key string) (time.Time, error) {
	p.asked.Add(1)
	if until, ok := p.of[key]; ok {
		return until, p.err
	}
	return p.until, p.err
}
