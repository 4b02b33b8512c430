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
)

// The files below record what the exporter served before its parts were packages
// of their own: every series of the state of the benchmarks, and digests of what
// 400 states of chance give. They are only ever changed by a change of behaviour.

// seriesText is all samples, one a line, sorted.
func seriesText(all []Sample) string {
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
func statusJSON(t *testing.T, s Status) string {
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
func firstSchedules(n int, state State, cfg Config) (State, Config) {
	last := fmt.Sprintf("schedule-%03d", n)
	kept := cfg.Schedules
	cfg.Schedules = map[string]schedule.Cron{}
	for name, c := range kept {
		if name < last {
			cfg.Schedules[name] = c
		}
	}
	l := &state.Locations[0]
	l.BackupList = slices.DeleteFunc(l.BackupList, func(b Backup) bool { return b.Schedule >= last })
	l.DrillList = slices.DeleteFunc(l.DrillList, func(d Drill) bool { return d.Schedule >= last })
	state.Kube.Backups = l.BackupList
	state.Kube.Schedules = slices.DeleteFunc(state.Kube.Schedules, func(s Schedule) bool { return s.Name >= last })
	maps.DeleteFunc(state.Ledger.Counts, func(k RunKey, _ Count) bool { return k.Subject >= last || k.Outcome == "Failed" })
	return state, cfg
}

func TestTheSeriesOfALargeStateAreAsRecorded(t *testing.T) {
	state, cfg := large(t, largeBackups)
	state, cfg = firstSchedules(3, state, cfg)
	state.Locations[0].Backups, state.Locations[0].Drills, state.Kube.Source, state.Ledger.Source = readAt(noon), readAt(noon), readAt(noon), readAt(noon)
	cfg.Repositories = true
	state.Kube.Repositories = []Repository{{Name: "repository", Location: "default", LastMaintained: noon.Add(-time.Hour)}}
	state = assemble(state, cfg)
	golden(t, "large.txt", seriesText(Derive(noon.Add(time.Minute), state, cfg)))
	golden(t, "large.json", statusJSON(t, StatusOf(noon.Add(time.Minute), state, cfg)))
}

func TestWhatStatesOfChanceGiveIsAsRecorded(t *testing.T) {
	var digests strings.Builder
	for seed := range uint64(400) {
		c := chance{rand.New(rand.NewPCG(seed, 2))}
		cfg := Config{CompatNames: c.IntN(4) > 0, CompatAliases: c.IntN(2) == 0, Repositories: c.IntN(2) == 0}
		if c.IntN(2) == 0 {
			cfg.Schedules = map[string]schedule.Cron{"a": cron(t, "0 3 * * *"), "f": cron(t, "@hourly")}
		}
		cfg = cfg.withDefaults()
		state := assemble(c.state(), cfg)
		now := noon.Add(time.Duration(c.IntN(7200)) * time.Second)
		fmt.Fprintf(&digests, "%d %.8x %.8x\n", seed,
			sha256.Sum256([]byte(seriesText(Derive(now, state, cfg)))), sha256.Sum256([]byte(statusJSON(t, StatusOf(now, state, cfg)))))
	}
	golden(t, "chance.txt", digests.String())
}
