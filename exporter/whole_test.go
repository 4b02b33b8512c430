package exporter

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/metrics"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/status"
)

// The files below record what the exporter served before its parts were packages
// of their own: every series of the state of the benchmarks, and digests of what
// 400 states of chance give. They are only ever changed by a change of behaviour.

// seriesText is all samples, one a line, sorted.
func seriesText(all []metrics.Sample) string {
	var out []string
	for _, s := range all {
		line := fmt.Sprintf("%s %v", s, s.Value)
		if !s.Created.IsZero() {
			line += " created " + s.Created.UTC().Format(time.RFC3339Nano)
		}
		if h := s.Histogram; h != nil {
			line += fmt.Sprintf(" count %d sum %v", h.Count, h.Sum)
			for _, bound := range slices.Sorted(maps.Keys(h.Buckets)) {
				line += fmt.Sprintf(" %v:%d", bound, h.Buckets[bound])
			}
		}
		out = append(out, line+"\n")
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// statusJSON is a status without its sentences, with times to the millisecond.
func statusJSON(t *testing.T, s status.Status) string {
	t.Helper()
	for i := range s.Schedules {
		s.Schedules[i].Why = ""
	}
	roundTimes(reflect.ValueOf(&s).Elem())
	raw, err := json.MarshalIndent(s, "", " ")
	require.NoError(t, err)
	return string(raw) + "\n"
}

func roundTimes(v reflect.Value) {
	switch at, ok := v.Interface().(time.Time); {
	case ok:
		if at.Year() > 9999 || at.Year() < 0 {
			at = time.Time{} // JSON has no such year
		}
		v.Set(reflect.ValueOf(at.Round(time.Millisecond)))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			roundTimes(v.Field(i))
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			roundTimes(v.Index(i))
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		roundTimes(v.Elem())
	}
}

// firstSchedules keeps of a large state what is of its first schedules.
func firstSchedules(n int, known state.State, cfg state.Config) (state.State, state.Config) {
	last := fmt.Sprintf("schedule-%03d", n)
	kept := cfg.Schedules
	cfg.Schedules = map[string]schedule.Cron{}
	for name, c := range kept {
		if name < last {
			cfg.Schedules[name] = c
		}
	}
	l := &known.Locations[0]
	l.BackupList = slices.DeleteFunc(l.BackupList, func(b fact.Backup) bool { return b.Schedule >= last })
	l.DrillList = slices.DeleteFunc(l.DrillList, func(d fact.Drill) bool { return d.Schedule >= last })
	known.Kube.Backups = l.BackupList
	known.Kube.Schedules = slices.DeleteFunc(known.Kube.Schedules, func(s fact.Schedule) bool { return s.Name >= last })
	maps.DeleteFunc(known.Ledger.Counts, func(k fact.RunKey, _ fact.Count) bool { return k.Subject >= last || k.Outcome == "Failed" })
	return known, cfg
}

func TestTheSeriesOfALargeStateAreAsRecorded(t *testing.T) {
	known, cfg := large(t, largeBackups)
	known, cfg = firstSchedules(3, known, cfg)
	known.Locations[0].Backups, known.Locations[0].Drills, known.Kube.Source, known.Ledger.Source = readAt(noon), readAt(noon), readAt(noon), readAt(noon)
	cfg.Repositories = true
	known.Kube.Repositories = []fact.Repository{{Name: "repository", Location: "default", LastMaintained: noon.Add(-time.Hour)}}
	known = state.Assemble(known, cfg)
	golden(t, "large.txt", seriesText(metrics.Of(noon.Add(time.Minute), known, cfg)))
	golden(t, "large.json", statusJSON(t, status.Of(noon.Add(time.Minute), known, cfg)))
}

func TestWhatStatesOfChanceGiveIsAsRecorded(t *testing.T) {
	var digests strings.Builder
	for seed := range uint64(400) {
		c := chance{rand.New(rand.NewPCG(seed, 2))}
		cfg := state.Config{CompatNames: c.IntN(4) > 0, CompatAliases: c.IntN(2) == 0, Repositories: c.IntN(2) == 0}
		if c.IntN(2) == 0 {
			cfg.Schedules = map[string]schedule.Cron{"a": cron(t, "0 3 * * *"), "f": cron(t, "@hourly")}
		}
		cfg = cfg.WithDefaults()
		known := state.Assemble(c.state(), cfg)
		now := noon.Add(time.Duration(c.IntN(7200)) * time.Second)
		fmt.Fprintf(&digests, "%d %.8x %.8x\n", seed,
			sha256.Sum256([]byte(seriesText(metrics.Of(now, known, cfg)))), sha256.Sum256([]byte(statusJSON(t, status.Of(now, known, cfg)))))
	}
	golden(t, "chance.txt", digests.String())
}
