package state

import (
	"cmp"
	"slices"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Assemble makes the state of what the sources said: it joins what they hold and
// groups it by schedule, sorted by name. known.Schedules, if any, are those of
// the state before.
func Assemble(known State, cfg Config) State {
	next := known
	next.AsOf = asOf(known)
	a := assembly{known: known, cfg: cfg, asOf: next.AsOf, byName: map[string]*ScheduleState{}, intervals: intervals{from: known.Started}}
	a.addSchedules()
	inCluster := byLocation(known)
	next.Homes = locationViews(known, inCluster)
	for i := range next.Homes {
		a.addHome(&next.Homes[i], inCluster[next.Homes[i].Name])
	}
	runs := lastRuns(known.Ledger)
	next.Schedules = make([]ScheduleState, 0, len(a.byName))
	for _, s := range a.byName {
		s.arrange()
		s.Proof = prove(s.Drills, rank(cfg.ProvenLevel))
		s.DrillInterval = a.intervals.of(drillPolicy(s.Drills).Cron)
		s.Created = a.created(*s)
		s.Ledger = runs[s.Name]
		s.Firings = firings(*s, a.before(s.Name), next.AsOf, cfg)
		next.Schedules = append(next.Schedules, *s)
	}
	slices.SortFunc(next.Schedules, func(a, b ScheduleState) int { return cmp.Compare(a.Name, b.Name) })
	return next
}

// intervals are those of cron expressions, each worked out once: there are fewer
// of them than of schedules.
type intervals struct {
	from  time.Time
	known map[string]time.Duration
}

func (i *intervals) of(c schedule.Cron) time.Duration {
	if c.IsZero() {
		return 0
	}
	if d, ok := i.known[c.String()]; ok {
		return d
	}
	if i.known == nil {
		i.known = map[string]time.Duration{}
	}
	i.known[c.String()] = c.Interval(i.from)
	return i.known[c.String()]
}

// asOf is the end of the newest reading, or the start of the exporter before
// there was one.
func asOf(known State) time.Time {
	t := known.Started
	if known.Kube != nil {
		t = fact.Later(t, known.Kube.Source.LastAttempt)
	}
	for _, l := range known.Locations {
		t = fact.Later(fact.Later(t, l.Backups.LastAttempt), l.Drills.LastAttempt)
	}
	return t
}

// assembly is a state in the making.
type assembly struct {
	known     State
	cfg       Config
	asOf      time.Time
	byName    map[string]*ScheduleState
	intervals intervals
}

// addSchedules adds the schedules of the flags and of the cluster. Where both
// have one of a name, the cluster's counts. Where there is nothing but a ledger,
// its runs tell of schedules.
func (a *assembly) addSchedules() {
	for name, cron := range a.cfg.Schedules {
		a.byName[name] = &ScheduleState{Name: name, Cron: cron}
	}
	if a.known.Kube != nil {
		for i := range a.known.Kube.Schedules {
			k := &a.known.Kube.Schedules[i]
			s := &ScheduleState{Name: k.Name, Kube: k}
			if k.Invalid == "" {
				s.Cron, s.Interval = k.Cron, k.Interval
			}
			a.byName[k.Name] = s
		}
	}
	if a.known.LedgerAlone() && a.known.Ledger != nil {
		for key := range a.known.Ledger.Counts {
			if _, named := a.byName[key.Subject]; !named && key.Kind == fact.RunBackup {
				a.byName[key.Subject] = &ScheduleState{Name: key.Subject}
			}
		}
	}
	for _, s := range a.byName {
		if s.Kube == nil {
			s.Interval = a.intervals.of(s.Cron)
		}
		a.expect(s)
	}
}

// expect makes room for as many backups and drills as there were before.
func (a *assembly) expect(s *ScheduleState) {
	if before := a.before(s.Name); before != nil {
		s.Backups = make([]fact.Backup, 0, len(before.Backups)+1)
		s.Drills = make([]DrillState, 0, len(before.Drills)+1)
	}
}

// get is the schedule of a name, or nil for one that no source has. Only a cluster
// can say that: without one, backups are all that is known of schedules. Backups
// of a Schedule that was deleted promise nothing any more.
func (a *assembly) get(name string) *ScheduleState {
	s, ok := a.byName[name]
	if !ok && (name == "" || a.mayAdd()) {
		s = &ScheduleState{Name: name}
		a.expect(s)
		a.byName[name] = s
	}
	return s
}

// maxUnnamed is how many schedules are kept that neither the cluster nor a flag
// names: anyone who can write to a bucket can invent them.
const maxUnnamed = 5000

// mayAdd reports whether a schedule of which only backups are known is kept.
func (a *assembly) mayAdd() bool {
	return (a.known.Kube == nil || !a.known.Kube.Source.Read()) && len(a.byName) < len(a.cfg.Schedules)+maxUnnamed
}

// before is the schedule as it was in the state before.
func (a *assembly) before(name string) *ScheduleState {
	i, ok := slices.BinarySearchFunc(a.known.Schedules, name, func(s ScheduleState, name string) int { return cmp.Compare(s.Name, name) })
	if !ok {
		return nil
	}
	return &a.known.Schedules[i]
}

// created is since when a schedule is known.
func (a *assembly) created(s ScheduleState) time.Time {
	switch {
	case s.Kube != nil && !s.Kube.Created.IsZero():
		return s.Kube.Created
	case len(s.Backups) > 0:
		return s.Backups[len(s.Backups)-1].Start
	}
	return a.known.Started
}

// addHome hands what one location holds to the schedules it belongs to.
func (a *assembly) addHome(h *LocationView, inCluster []*fact.Backup) {
	var s availability
	if a.known.Kube != nil {
		s.cluster, s.listed = a.known.Kube.Source.Fresh(a.asOf, a.cfg.StaleAfter()), a.known.Kube.Source.LastSuccess
	}
	var l LocationState
	if h.Location >= 0 {
		l = a.known.Locations[h.Location]
		s.bucket = l.Backups.Fresh(a.asOf, a.cfg.StaleAfter())
		if l.Backups.Read() {
			s.scanned = l.Backups.LastSuccess.Add(-l.Backups.Duration)
		}
	}
	drilled := make(map[string]*fact.Backup, len(l.DrillList))
	for _, d := range l.DrillList {
		drilled[d.Backup] = nil
	}
	merge(inCluster, l.BackupList, s, func(b fact.Backup) {
		b.Location = h.Name
		if _, wanted := drilled[b.Name]; wanted {
			kept := b
			drilled[b.Name] = &kept
		}
		schedule := a.get(b.Schedule)
		mine := schedule != nil && own(b, schedule.Kube)
		h.count(b, s, mine)
		// A time in the future is not believed, as in a location.
		if mine && !b.Start.After(a.asOf.Add(fact.MaxAhead)) {
			schedule.in(h)
			schedule.Backups = append(schedule.Backups, b)
		}
	})
	for _, d := range l.DrillList {
		a.addDrill(h, d, drilled[d.Backup])
	}
}

// in notes that a location holds something of the schedule.
func (s *ScheduleState) in(h *LocationView) {
	if h.Location >= 0 && !slices.Contains(s.Locations, h.Location) {
		s.Locations = append(s.Locations, h.Location)
	}
}

// addDrill adds a drill of the backup b, nil when no source lists it.
func (a *assembly) addDrill(h *LocationView, d fact.Drill, b *fact.Backup) {
	known := DrillState{Drill: d, Location: h.Name}
	if b != nil && sameBackup(*b, d) {
		known.Exists, known.Completed = !b.Gone && !b.Missing, recoverable(*b)
		known.Changed = d.Verdict == report.Passed && known.Exists && !report.SameFiles(d.Files, b.Files, d.Finished, b.Modified)
		// What the backup records counts more than what was written
		// about it.
		known.Schedule, known.BackupStart = b.Schedule, b.Start
	}
	s := a.get(known.Schedule)
	if s == nil || (b != nil && !own(*b, s.Kube)) {
		return
	}
	s.in(h)
	s.Drills = append(s.Drills, known)
}

// sameBackup reports whether a drill was of this very backup, not of an
// earlier one of the same name.
func sameBackup(b fact.Backup, d fact.Drill) bool {
	if b.MetadataSHA256 != "" && d.MetadataSHA256 != "" {
		return b.MetadataSHA256 == d.MetadataSHA256
	}
	if b.UID != "" && d.BackupUID != "" {
		return b.UID == d.BackupUID
	}
	return b.Start.Equal(d.BackupStart)
}

// arrange sorts newest first, counts, and infers the interval where no cron
// expression is known.
func (s *ScheduleState) arrange() {
	slices.SortFunc(s.Backups, func(a, b fact.Backup) int {
		return cmp.Or(b.Start.Compare(a.Start), b.Completed.Compare(a.Completed), cmp.Compare(b.Name, a.Name))
	})
	slices.SortFunc(s.Drills, func(a, b DrillState) int {
		return cmp.Or(b.Finished.Compare(a.Finished), cmp.Compare(b.Backup, a.Backup))
	})
	s.tally()
	if s.Cron.IsZero() && s.Kube == nil && s.Name != "" {
		s.Interval = schedule.InferInterval(newestStarts(s.Backups))
	}
}

// tally counts what a scrape would have to walk all backups for.
func (s *ScheduleState) tally() {
	s.Phases = countPhases(s.Backups)
	s.Locked, s.LockKnown = CountLocked(s.Backups)
	for _, b := range s.Backups { // newest first
		if !b.Phase.Finished() && b.Phase != velerov1.BackupPhaseDeleting && b.InCluster {
			s.OldestActive = b.Start
		}
		if b.Gone {
			continue
		}
		if !b.Expires.IsZero() {
			s.Expiries = append(s.Expiries, b.Expires)
		}
		if i := slices.Index(fact.GcReasons[:], b.GCFailure); i >= 0 {
			s.Blocked[i]++
		}
	}
	slices.SortFunc(s.Expiries, time.Time.Compare)
}

// newestStarts are the starts of the newest runs of a sorted list.
func newestStarts(backups []fact.Backup) []time.Time {
	starts := make([]time.Time, 0, schedule.InferredRuns)
	for _, b := range backups[:min(len(backups), schedule.InferredRuns)] {
		starts = append(starts, b.Start)
	}
	return starts
}
