package exporter

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// largeWithCluster is large, and a cluster that has a Schedule and a Backup object
// for everything in it.
func largeWithCluster(t testing.TB) (State, Config) {
	l, cfg := large(t)
	var scan KubeScan
	for name, c := range cfg.Schedules {
		k := kubeSchedule(t, name, c.String(), noon.AddDate(-1, 0, 0))
		k.TTL = 200 * time.Hour
		scan.Schedules = append(scan.Schedules, k)
	}
	for i := range l.BackupList {
		l.BackupList[i].Expires = l.BackupList[i].Start.Add(200 * time.Hour)
	}
	scan.Backups = inCluster(l.Name, l.BackupList...)
	scan.Locations = []StorageLocation{{Name: l.Name, Default: true, Available: true}}
	state := State{Started: noon.Add(-time.Hour), Locations: []LocationState{l}, Kube: &KubeState{Source: readAt(noon), KubeScan: scan}}
	return state, cfg
}

// BenchmarkMerge is what a refresh does apart from reading, for 500 schedules and
// 100,000 backups that both a cluster and a location hold.
func BenchmarkMerge(b *testing.B) {
	state, cfg := largeWithCluster(b)
	state = assemble(state, cfg)
	b.ReportAllocs()
	for b.Loop() {
		assemble(state, cfg)
	}
}

// BenchmarkDeriveMerged is the pure part of a scrape of it.
func BenchmarkDeriveMerged(b *testing.B) {
	state, cfg := largeWithCluster(b)
	state = assemble(state, cfg)
	b.ReportMetric(float64(len(Derive(noon, state, cfg))), "series")
	for b.Loop() {
		Derive(noon, state, cfg)
	}
}

func TestMoreBackupsMakeNoMoreSeriesBesideACluster(t *testing.T) {
	state, cfg := largeWithCluster(t)
	all := Derive(noon, assemble(state, cfg), cfg)
	kept := state.Kube.Backups
	state.Kube.Backups = nil
	state.Locations[0].BackupList = nil
	for _, b := range kept {
		if b.Start.After(noon.Add(-3 * time.Hour)) {
			state.Kube.Backups = append(state.Kube.Backups, b)
			state.Locations[0].BackupList = append(state.Locations[0].BackupList, b)
		}
	}
	require.Len(t, state.Kube.Backups, 1500)
	few := Derive(noon, assemble(state, cfg), cfg)
	assert.Len(t, all, len(few))
	runtime.KeepAlive(kept)
}
