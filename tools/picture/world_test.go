//go:build pictures

package picture_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	day = 24 * time.Hour
	mib = 1 << 20
	gib = 1 << 30
)

// plan is a schedule of the world, and what becomes of its runs.
type plan struct {
	name, expr, location string
	ttl, took, rto       time.Duration
	size, volumes        int64
	items                int
	drilled              bool
	pausedFor            time.Duration // until the end
	drillFails           bool          // in the last two days
	// phase is how a run ends that began the given time before the end.
	phase func(before time.Duration) velerov1.BackupPhase
}

func completes(time.Duration) velerov1.BackupPhase { return velerov1.BackupPhaseCompleted }

// failsIn fails in the given time before the end, and now and then before.
func failsIn(last time.Duration, phase velerov1.BackupPhase) func(time.Duration) velerov1.BackupPhase {
	return func(before time.Duration) velerov1.BackupPhase {
		if before < last || before > 12*day && before < 13*day {
			return phase
		}
		return velerov1.BackupPhaseCompleted
	}
}

// plans has a schedule of each kind one meets: well, overdue, failing, failed,
// never drilled, failed, paused, never run.
var plans = []plan{
	{name: "shop-hourly", expr: "0 * * * *", location: "default", ttl: 25 * time.Hour, took: 4 * time.Minute, rto: 15 * time.Minute, size: 38 * mib, volumes: 60 * gib, items: 2140, drilled: true,
		phase: failsIn(0, velerov1.BackupPhasePartiallyFailed)},
	{name: "crm-daily", expr: "30 1 * * *", location: "default", ttl: 30 * day, took: 22 * time.Minute, rto: 30 * time.Minute, size: 120 * mib, volumes: 210 * gib, items: 5230, drilled: true, phase: completes},
	{name: "db-daily", expr: "0 2 * * *", location: "default", ttl: 30 * day, took: 41 * time.Minute, rto: 20 * time.Minute, size: 64 * mib, volumes: 480 * gib, items: 1310, drilled: true,
		phase: failsIn(4*day, velerov1.BackupPhaseFailed)},
	{name: "mail-daily", expr: "15 3 * * *", location: "default", ttl: 30 * day, took: 18 * time.Minute, rto: time.Hour, size: 51 * mib, volumes: 300 * gib, items: 1875, drilled: true, drillFails: true, phase: completes},
	{name: "wiki-daily", expr: "45 0 * * *", location: "offsite", ttl: 30 * day, took: 7 * time.Minute, rto: time.Hour, size: 22 * mib, volumes: 14 * gib, items: 640, drilled: true,
		phase: failsIn(30*time.Hour, velerov1.BackupPhasePartiallyFailed)},
	{name: "ci-weekly", expr: "0 5 * * 0", location: "offsite", ttl: 60 * day, took: 35 * time.Minute, size: 90 * mib, volumes: 35 * gib, items: 3320, phase: completes},
	{name: "staging-nightly", expr: "0 23 * * *", location: "offsite", ttl: 30 * day, took: 9 * time.Minute, size: 18 * mib, volumes: 20 * gib, items: 990, drilled: true, pausedFor: 20 * time.Hour, phase: completes},
	{name: "archive-yearly", expr: "0 4 1 1 *", location: "offsite", took: time.Hour, size: 400 * mib, volumes: 900 * gib, items: 8000, phase: completes},
}

// interval is how often the sources are read.
const interval = 5 * time.Minute

// known is how long the schedules have been there at the end.
const known = 75 * day

// world answers for every source of an exporter, as of the present.
type world struct {
	end       time.Time
	schedules []exporter.Schedule
	backups   []exporter.Backup
	drills    map[string][]exporter.Drill // by location
	asked     bool
}

// vary is a number between 0.85 and 1.15, the same for the same name.
func vary(name string) float64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return 0.85 + 0.3*float64(h.Sum32()%1000)/1000
}

func newWorld(t require.TestingT, end time.Time) *world {
	w := &world{end: end, drills: map[string][]exporter.Drill{}}
	nightly, err := schedule.Parse("0 6 * * *")
	require.NoError(t, err)
	for _, p := range plans {
		cron, err := schedule.Parse(p.expr)
		require.NoError(t, err)
		w.schedules = append(w.schedules, exporter.Schedule{
			Name: p.name, Expr: p.expr, Cron: cron, Interval: cron.Interval(end), Created: end.Add(-known), Location: p.location, TTL: p.ttl, RTO: p.rto,
		})
		for at := cron.Next(end.Add(-known)); at.Before(end); at = cron.Next(at) {
			if at.Before(end.Add(-p.pausedFor)) {
				w.backups = append(w.backups, p.backup(at.Add(20*time.Second), end))
			}
		}
		for at := nightly.Next(end.Add(-known + 3*day)); p.drilled && at.Before(end); at = nightly.Next(at) {
			w.drill(p, at, nightly)
		}
	}
	byHand := plan{location: "default", took: 12 * time.Minute, ttl: 30 * day, size: 140 * mib, items: 9100, phase: completes}
	w.backups = append(w.backups, byHand.backup(end.Add(-5*day), end))
	return w
}

func (p plan) backup(start, end time.Time) exporter.Backup {
	name := p.name + start.Format("-20060102150405")
	growth := 1 - end.Sub(start).Hours()/24/365
	v := vary(name) * growth
	ttl := p.ttl
	if ttl == 0 {
		ttl = 30 * day
	}
	b := exporter.Backup{
		Name: name, Location: p.location, UID: name, Schedule: p.name, Phase: p.phase(end.Sub(start)), Start: start, Created: start,
		Completed: start.Add(time.Duration(float64(p.took) * v)), Items: int(float64(p.items) * growth), Expires: start.Add(ttl),
		ArchiveSize: int64(float64(p.size) * v), MetadataSHA256: name, InCluster: true, InLocation: true, LockAsked: true,
	}
	if p.location == "default" {
		b.LockedUntil = start.Add(ttl)
	}
	b.Volumes = &exporter.Volumes{Succeeded: 4, Size: int64(float64(p.volumes) * growth), Added: int64(float64(p.volumes) * v / 40)}
	if b.Phase != velerov1.BackupPhaseCompleted {
		b.Errors, b.Warnings = 3, 7
		b.Volumes.Succeeded, b.Volumes.Failed = 3, 1
	}
	return b
}

// drill is one of the newest Completed backup of a schedule that has ended.
func (w *world) drill(p plan, at time.Time, policy schedule.Cron) {
	var of *exporter.Backup
	for i := range w.backups {
		if b := &w.backups[i]; b.Schedule == p.name && b.Phase == velerov1.BackupPhaseCompleted && b.Completed.Before(at) {
			of = b
		}
	}
	if of == nil {
		return
	}
	v := vary(p.name + at.String())
	seconds := func(base float64) float64 { return base * v * (0.5 + float64(p.items)/3000) }
	d := exporter.Drill{
		Backup: of.Name, BackupUID: of.UID, MetadataSHA256: of.MetadataSHA256, Schedule: p.name, BackupStart: of.Start, Level: report.LevelKind, Verdict: report.Passed,
		ID: "drill-" + at.Format("20060102"), Started: at, Expected: of.Items, Restored: of.Items, RestoredBytes: of.ArchiveSize * 9,
		Policy: "nightly", Cron: policy, RTOTarget: p.rto,
		Stages: []exporter.Stage{
			{Name: "integrity", Seconds: seconds(25)}, {Name: "sandbox", Seconds: 48 * v}, {Name: "plan", Seconds: seconds(4)}, {Name: "images", Seconds: seconds(60)},
			{Name: "restore", Seconds: seconds(310)}, {Name: "compare", Seconds: seconds(40)}, {Name: "workloads", Seconds: seconds(190)}, {Name: "checks", Seconds: seconds(30)}, {Name: "teardown", Seconds: 21 * v},
		},
	}
	for _, name := range []string{"integrity", "items_restored", "items_equal", "images_provided", "contained", "workloads_ready", "services_have_endpoints", "claims_bound", "rto"} {
		d.Checks = append(d.Checks, exporter.Check{Name: name, Result: report.Passed, BuiltIn: true})
	}
	d.Checks = append(d.Checks, exporter.Check{Name: map[bool]string{true: "login_page", false: "row_count"}[len(p.name)%2 == 0], Result: report.Passed})
	switch before := w.end.Sub(at); {
	case p.drillFails && before < 2*day:
		d.Verdict, d.Reason, d.Restored = report.Failed, "ready", of.Items-12
		d.Checks[5].Result, d.Checks[6].Result = report.Failed, report.Failed
		d.Checks = d.Checks[:9] // the policy's own came no more
	case p.name == "shop-hourly" && before > 9*day && before < 11*day:
		d.Verdict, d.Reason, d.Checks = report.Error, "infra", nil
	}
	for _, s := range d.Stages {
		d.Finished = d.Started.Add(time.Duration(s.Seconds * float64(time.Second)))
		d.Started = d.Finished
	}
	d.Started = at
	for _, c := range d.Checks {
		d.Asked.Passed += map[bool]int{true: 1}[c.Result == report.Passed]
		d.Asked.Failed += map[bool]int{true: 1}[c.Result == report.Failed]
	}
	d.Asked.Skipped = 14 - len(d.Checks)
	w.drills[p.location] = append(w.drills[p.location], d)
}

// there are the backups that exist now.
func (w *world) there(location string) []exporter.Backup {
	now := time.Now()
	var out []exporter.Backup
	for _, b := range w.backups {
		if b.Start.After(now) || b.Expires.Before(now) || location != "" && b.Location != location {
			continue
		}
		if b.Completed.After(now) {
			b.Phase, b.Completed, b.Volumes = velerov1.BackupPhaseInProgress, time.Time{}, nil
		}
		out = append(out, b)
	}
	return out
}

// ListKube is the cluster. It is asked every few seconds, and takes its time
// over the answer, or 30 days would be too long to watch.
func (w *world) ListKube(context.Context) (exporter.KubeScan, error) {
	if w.asked {
		time.Sleep(interval)
	}
	w.asked = true
	now := time.Now()
	scan := exporter.KubeScan{Backups: w.there("")}
	for i, s := range w.schedules {
		s.Paused = plans[i].pausedFor > 0 && now.After(w.end.Add(-plans[i].pausedFor))
		for _, b := range w.backups {
			if b.Schedule == s.Name && b.Start.Before(now) {
				s.LastBackup = b.Start
			}
		}
		scan.Schedules = append(scan.Schedules, s)
	}
	for _, name := range []string{"default", "offsite"} {
		scan.Locations = append(scan.Locations, exporter.StorageLocation{
			Name: name, Available: !(name == "offsite" && w.outage(now)), Default: name == "default", Validated: now.Truncate(time.Minute), ValidationInterval: 30 * time.Minute, SyncInterval: time.Minute,
		})
		scan.Repositories = append(scan.Repositories, exporter.Repository{Name: "apps-" + name, Location: name, LastMaintained: now.Truncate(6 * time.Hour).Add(-20 * time.Minute)})
	}
	return scan, nil
}

// outage is when the second location did not answer.
func (w *world) outage(now time.Time) bool {
	before := w.end.Sub(now)
	return before < 52*time.Hour && before > 46*time.Hour
}

// place is one location of the world.
type place struct {
	*world
	name string
}

var errAway = errors.New("dial tcp: connection refused")

func (p place) away() bool { return p.name == "offsite" && p.outage(time.Now()) }

func (p place) ListBackups(context.Context) (exporter.BackupScan, error) {
	if p.away() {
		return exporter.BackupScan{}, errAway
	}
	wait := time.Duration((0.08 + 0.05*vary(time.Now().String())) * float64(time.Second))
	time.Sleep(20 * wait)
	scan := exporter.BackupScan{Answered: true, Backups: p.there(p.name), Probes: map[string]time.Duration{"list": wait, "get": wait / 3, "put": wait / 2, "delete": wait / 4}}
	if p.name == "default" {
		scan.Incomplete = 1
	}
	return scan, nil
}

func (p place) ListDrills(context.Context) (exporter.DrillScan, error) {
	if p.away() {
		return exporter.DrillScan{}, errAway
	}
	var scan exporter.DrillScan
	for _, d := range p.drills[p.name] {
		if d.Finished.Before(time.Now()) && d.Finished.After(time.Now().Add(-30*day)) {
			scan.Drills = append(scan.Drills, d)
		}
	}
	return scan, nil
}

func (p place) ListClaims(_ context.Context, now time.Time) (exporter.Claims, error) {
	n := 0
	for _, d := range p.drills[p.name] {
		n += map[bool]int{true: 1}[d.Started.Before(now) && d.Finished.After(now)]
	}
	return exporter.Claims{Active: n}, nil
}

func (p place) ListStorage(context.Context) (exporter.Storage, error) {
	if p.away() {
		return exporter.Storage{}, errAway
	}
	s := exporter.Storage{Bytes: map[string]int64{}, Objects: map[string]int64{}}
	for _, b := range p.there(p.name) {
		s.Bytes["catalog"] += b.ArchiveSize + 2*mib
		s.Objects["catalog"] += 11
	}
	age := known - p.end.Sub(time.Now())
	scale := map[string]int64{"default": 9, "offsite": 3}[p.name]
	s.Bytes["volumes"] = scale * gib * (90 + int64(age.Hours()/24*1.4))
	s.Objects["volumes"] = s.Bytes["volumes"] / (21 * mib)
	s.Bytes["ledger"], s.Objects["ledger"] = scale*mib*int64(age/day), 24*int64(age/day)
	s.Bytes["drills"], s.Objects["drills"] = 6*mib*int64(len(p.drills[p.name])), 3*int64(len(p.drills[p.name]))
	s.Bytes["other"], s.Objects["other"] = 40*mib, 12
	s.Protection = &exporter.Protection{Versioning: true}
	if p.name == "default" {
		*s.Protection = exporter.Protection{Lock: true, Mode: "COMPLIANCE", Retention: 30 * day, Versioning: true}
	}
	return s, nil
}

func (w *world) sources() exporter.Sources {
	var out exporter.Sources
	out.Kube = w
	for _, name := range []string{"default", "offsite"} {
		p := place{w, name}
		n := uint64(0)
		out.Locations = append(out.Locations, exporter.Location{Name: name, Backups: p, Drills: p, Claims: p, Storage: p, Requests: func() exporter.Requests {
			n++
			return exporter.Requests{List: 3 * n, Get: n / 5}
		}})
	}
	return out
}

func (w *world) config() exporter.Config {
	return exporter.Config{Interval: interval, Timeout: 2 * interval, CompatNames: true, CompatAliases: true, ProvenWithin: 0,
		Build: exporter.Build{Version: "v0.1.0", Revision: "4610aa1", GoVersion: fmt.Sprintf("go1.%d", 26)}}
}
