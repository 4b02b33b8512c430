package status

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// StatusSchema names the form of Status. It changes when a reader would have to.
const Schema = "lifeboat.dev/status/v1alpha1"

// Status is what is known, for people and for programs that need the names that
// metrics must not carry. Times are UTC; a field that is not known is omitted.
type Status struct {
	Schema  string    `json:"schema"`
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	// Schedules are worst first.
	Schedules []ScheduleStatus `json:"schedules"`
	// ByHand counts the backups that no schedule made, by phase.
	ByHand    map[string]int   `json:"byHand,omitempty"`
	Sources   []SourceStatus   `json:"sources"`
	Locations []LocationStatus `json:"locations"`
}

// Word is how a schedule is, in one word.
type Health string

// The words. Where several hold, the one that ranks first is said.
const (
	// Breach: the newest recovery point is older than was agreed.
	Breach Health = "BREACH"
	// Never: no backup that exists has succeeded.
	Never Health = "NEVER"
	// Invalid: it can never run.
	Invalid Health = "INVALID"
	// Unproven: a drill failed, or the newest proven backup is too old, or there is
	// none.
	Unproven Health = "UNPROVEN"
	// Unknown: a source that would have to tell cannot be read.
	Unknown Health = "UNKNOWN"
	// Overdue: a run was due, and none has succeeded since.
	Overdue Health = "OVERDUE"
	// Failing: the newest backup that ended did not succeed.
	Failing Health = "FAILING"
	// Paused: nothing else is wrong, and no run will start.
	Paused Health = "PAUSED"
	// OK: restorable as far as was agreed, and proven.
	OK Health = "OK"
)

// Severity is how bad a status is.
type Severity string

// The severities, worst first.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
	Fine     Severity = "ok"
)

// ScheduleStatus is one schedule. Its numbers are those of its metrics.
type ScheduleStatus struct {
	Name     string   `json:"name"`
	Status   Health   `json:"status"`
	Severity Severity `json:"severity"`
	// Why is the status in one sentence, Runbook the name of the page on what to
	// do, "" for none.
	Why      string `json:"why"`
	Runbook  string `json:"runbook,omitempty"`
	Location string `json:"location,omitempty"`
	Cron     string `json:"cron,omitempty"`
	Paused   bool   `json:"paused,omitempty"`

	// RecoveryPoint is what a restore brings back: the start of the newest
	// Completed backup, RecoveryBackup.
	RecoveryPoint    time.Time `json:"recoveryPoint,omitzero"`
	RecoveryBackup   string    `json:"recoveryBackup,omitempty"`
	AgeSeconds       float64   `json:"ageSeconds,omitempty"`
	RPOTargetSeconds float64   `json:"rpoTargetSeconds,omitempty"`
	RPODeadline      time.Time `json:"rpoDeadline,omitzero"`
	SuccessDeadline  time.Time `json:"successDeadline,omitzero"`
	// NextRun is in the past while that run is late. Without a cluster it is the
	// next time the cron expression is due.
	NextRun time.Time `json:"nextRun,omitzero"`

	// Newest is the newest backup, whatever its phase; LastResult the phase of the
	// newest that ended, None if none did.
	Newest              *BackupStatus  `json:"newest,omitempty"`
	LastResult          string         `json:"lastResult,omitempty"`
	ConsecutiveFailures int            `json:"consecutiveFailures,omitempty"`
	Backups             map[string]int `json:"backups,omitempty"` // by phase

	ProvenRecoveryPoint time.Time `json:"provenRecoveryPoint,omitzero"`
	ProvenAgeSeconds    float64   `json:"provenAgeSeconds,omitempty"`
	ProvenTargetSeconds float64   `json:"provenTargetSeconds,omitempty"`
	ProvenDeadline      time.Time `json:"provenDeadline,omitzero"`
	VerifiedBackups     int       `json:"verifiedBackups,omitempty"`
	// DrillResult is the effective result: passed, failed, error, timeout, none.
	DrillResult   string       `json:"drillResult,omitempty"`
	DrillDeadline time.Time    `json:"drillDeadline,omitzero"`
	LastDrill     *DrillStatus `json:"lastDrill,omitempty"`
}

// BackupStatus is one backup.
type BackupStatus struct {
	Name      string    `json:"name"`
	Phase     string    `json:"phase"`
	Started   time.Time `json:"started"`
	Completed time.Time `json:"completed,omitzero"`
	Errors    int       `json:"errors,omitempty"`
	Warnings  int       `json:"warnings,omitempty"`
}

// DrillStatus is one drill. Evidence and Page are the keys of its report in the
// location, as JSON and for people.
type DrillStatus struct {
	ID       string    `json:"id"`
	Backup   string    `json:"backup"`
	Level    string    `json:"level"`
	Verdict  string    `json:"verdict"`
	Reason   string    `json:"reason,omitempty"`
	Policy   string    `json:"policy,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished"`
	Location string    `json:"location"`
	Evidence string    `json:"evidence"`
	Page     string    `json:"page"`
}

// SourceStatus is how well a source can be read.
type SourceStatus struct {
	Source      string    `json:"source"`
	Location    string    `json:"location,omitempty"`
	Up          bool      `json:"up"`
	LastAttempt time.Time `json:"lastAttempt,omitzero"`
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	// Error is that of the last attempt, at most 1 KiB.
	Error string `json:"error,omitempty"`
}

// LocationStatus is what is known of a location.
type LocationStatus struct {
	Name string `json:"name"`
	// Available is absent when that is not known: whether it answered, or without a
	// reading of our own, whether the controller found it so.
	Available *bool     `json:"available,omitempty"`
	LastScan  time.Time `json:"lastScan,omitzero"`
	Backups   int       `json:"backups"`
	Drills    int       `json:"drills"`
	// Missing are backups that the cluster lists and the location does not hold,
	// Foreign those of other clusters.
	Missing         int `json:"missing,omitempty"`
	Foreign         int `json:"foreign,omitempty"`
	Incomplete      int `json:"incomplete,omitempty"`
	Unreadable      int `json:"unreadable,omitempty"`
	DrillsActive    int `json:"drillsActive,omitempty"`
	DrillsAbandoned int `json:"drillsAbandoned,omitempty"`
	// AccessMode, LastValidated and Message are of the BackupStorageLocation.
	AccessMode    string    `json:"accessMode,omitempty"`
	LastValidated time.Time `json:"lastValidated,omitzero"`
	Message       string    `json:"message,omitempty"`
}

// Of reports how each schedule is. It is pure, and prints what state.Judge decides,
// as the metrics do, so that the two never differ.
func Of(now time.Time, known state.State, cfg state.Config) Status {
	cfg = cfg.WithDefaults()
	out := Status{
		Schema: Schema, At: now.UTC(), Version: cfg.Build.Version,
		Schedules: []ScheduleStatus{}, Sources: sourceStatuses(now, known, cfg), Locations: []LocationStatus{},
	}
	for _, s := range state.Judge(now, known, cfg) {
		if s.Name == "" {
			out.ByHand = phases(s)
		} else {
			out.Schedules = append(out.Schedules, scheduleStatus(now, s))
		}
	}
	slices.SortStableFunc(out.Schedules, func(a, b ScheduleStatus) int {
		return cmp.Or(cmp.Compare(badness(a), badness(b)), cmp.Compare(lateness(b), lateness(a)), cmp.Compare(a.Name, b.Name))
	})
	for _, h := range known.Homes {
		out.Locations = append(out.Locations, locationStatus(now, h, known, cfg))
	}
	return out
}

// moment is a time as metrics have it: to the millisecond.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// present is n when it is known, else nothing.
func present[T any](known bool, n T) (out T) {
	if known {
		out = n
	}
	return out
}

func phases(s state.Judged) map[string]int {
	out := map[string]int{}
	for i, n := range s.Phases {
		if n > 0 && s.Known.Existence {
			out[state.ExistingPhases[i]] = n
		}
	}
	return out
}

func scheduleStatus(now time.Time, s state.Judged) ScheduleStatus {
	out := ScheduleStatus{
		Name: s.Name, Cron: s.Cron.String(), Location: s.Location, Paused: s.Kube != nil && s.Known.Cluster && s.Kube.Paused,
		RPOTargetSeconds: max(s.RPOTarget, 0).Seconds(), RPODeadline: moment(s.RPODeadline), SuccessDeadline: moment(s.SuccessDeadline), NextRun: moment(s.NextRun),
		LastResult: present(s.Known.Runs, s.LastPhase), ConsecutiveFailures: present(s.Known.Runs, s.ConsecutiveFailures), Backups: phases(s),
		ProvenRecoveryPoint: moment(s.Proof.Existing), ProvenTargetSeconds: max(s.ProvenTarget, 0).Seconds(), ProvenDeadline: moment(s.ProvenDeadline),
		VerifiedBackups: present(s.Known.Drills, s.Proof.Verified), DrillResult: present(s.Known.Drills, s.DrillResult), DrillDeadline: moment(s.DrillDeadline),
	}
	if s.RecoveryPoint != nil && !s.RecoveryPoint.Start.IsZero() {
		out.RecoveryPoint, out.RecoveryBackup = moment(s.RecoveryPoint.Start), s.RecoveryPoint.Name
	}
	out.AgeSeconds, out.ProvenAgeSeconds = age(now, out.RecoveryPoint), age(now, out.ProvenRecoveryPoint)
	if out.NextRun.IsZero() && s.Kube == nil {
		out.NextRun = s.Cron.Next(now) // it is not known whether an earlier one is late
	}
	if len(s.Backups) > 0 {
		out.Newest = backupStatus(s.Backups[0])
	}
	if s.LastDrill != nil {
		out.LastDrill = drillStatus(*s.LastDrill)
	}
	out.Status, out.Severity, out.Why, out.Runbook = Verdict(now, out, s)
	return out
}

func age(now, t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(now.Sub(t).Round(time.Second).Seconds(), 0)
}

func backupStatus(b fact.Backup) *BackupStatus {
	return &BackupStatus{Name: b.Name, Phase: string(cmp.Or(b.Phase, velerov1.BackupPhaseNew)), Started: b.Start.UTC(), Completed: b.Completed.UTC(), Errors: b.Errors, Warnings: b.Warnings}
}

func drillStatus(d state.DrillState) *DrillStatus {
	return &DrillStatus{
		ID: d.ID, Backup: d.Backup, Level: string(d.Level), Verdict: string(d.Verdict), Reason: d.Reason, Policy: d.Policy,
		Started: d.Started.UTC(), Finished: d.Finished.UTC(), Location: d.Location,
		Evidence: store.Evidence(d.Backup, d.ID), Page: store.EvidencePage(d.Backup, d.ID),
	}
}

// Verdict finds the word for a schedule, and why. What is not known comes first,
// then targets that are missed.
func Verdict(now time.Time, s ScheduleStatus, j state.Judged) (Health, Severity, string, string) {
	past := func(t time.Time) bool { return !t.IsZero() && now.After(t) }
	none := s.RecoveryPoint.IsZero()
	switch {
	case !j.Known.Runs:
		return Unknown, Warning, "Its location or its cluster cannot be read. The values are from the last successful read.", "LifeboatExporterSourceDown"
	case j.Known.Cluster && j.Kube != nil && j.Kube.Invalid != "":
		return Invalid, Critical, "It can never run: its cron expression is invalid or matches no date, or the controller rejected it.", "LifeboatScheduleInvalid"
	case none && past(s.RPODeadline):
		return Never, Critical, "No existing backup has succeeded, and the age in its target is exceeded.", "LifeboatRPOBreached"
	case past(s.RPODeadline):
		return Breach, Critical, "A restore now would lose more than the target allows.", "LifeboatRPOBreached"
	case s.DrillResult == string(report.Failed):
		return Unproven, Critical, "A drill failed: a backup cannot be restored as it is.", "LifeboatDrillFailed"
	case past(s.ProvenDeadline):
		return Unproven, Critical, "A newer backup should have passed a drill by now.", "LifeboatProvenBackupTooOld"
	case j.Known.Drills && j.Known.Runs && j.Proof.Changed > 0:
		return Unproven, Warning, changed(j.Proof.Changed), "LifeboatProvenBackupTooOld"
	case none && past(s.SuccessDeadline):
		return Never, Warning, "A run was due, and no existing backup has succeeded.", "LifeboatBackupOverdue"
	case past(s.SuccessDeadline):
		return Overdue, Warning, "A run was due, and no backup that started since then has succeeded.", "LifeboatBackupOverdue"
	case s.LastResult != string(velerov1.BackupPhaseCompleted) && s.LastResult != state.PhaseNone:
		return Failing, Warning, failures(s), "LifeboatLastBackupFailed"
	case s.DrillResult == state.ResultNone && neverDrilled(now, j):
		return Unproven, Warning, "No backup was ever drilled.", "LifeboatNeverDrilled"
	case s.Paused:
		return Paused, Info, "It is paused: no run will start.", "LifeboatSchedulePaused"
	case none && j.Unreadable > 0 && !j.Known.Cluster:
		return Unknown, Warning, fmt.Sprintf("No backup of it is known, and %d backups in its locations cannot be read: some may belong to it.", j.Unreadable), "LifeboatUnreadableObjects"
	case none:
		return Never, Info, "No backup has succeeded yet, and no run was due yet.", ""
	}
	return OK, Fine, "", ""
}

func changed(backups int) string {
	if backups == 1 {
		return "The files of a backup have changed since its drill passed: nothing is proven about it now."
	}
	return fmt.Sprintf("The files of %d backups have changed since their drills passed: nothing is proven about them now.", backups)
}

func failures(s ScheduleStatus) string {
	if s.ConsecutiveFailures > 1 {
		return fmt.Sprintf("The last %d backups that ended did not succeed.", s.ConsecutiveFailures)
	}
	return "The last backup that ended did not succeed."
}

// neverDrilled reports whether there have been backups for as long as one may
// stay unproven, or a week where that is not known.
func neverDrilled(now time.Time, j state.Judged) bool {
	may := cmp.Or(max(j.ProvenTarget, 0), state.DefaultProvenWithin)
	return !j.OldestRecoveryPoint.IsZero() && now.Sub(j.OldestRecoveryPoint) > may
}

// badness orders schedules: by severity, and then by word.
func badness(s ScheduleStatus) int {
	severities := []Severity{Critical, Warning, Info, Fine}
	words := []Health{Never, Breach, Unproven, Invalid, Unknown, Overdue, Failing, Paused, OK}
	return slices.Index(severities, s.Severity)*len(words) + slices.Index(words, s.Status)
}

// lateness is how much of what was agreed is used up.
func lateness(s ScheduleStatus) float64 {
	if s.RPOTargetSeconds == 0 {
		return 0
	}
	return s.AgeSeconds / s.RPOTargetSeconds
}

func sourceStatuses(now time.Time, known state.State, cfg state.Config) []SourceStatus {
	out := []SourceStatus{}
	add := func(source, location string, s state.SourceState) {
		out = append(out, SourceStatus{
			Source: source, Location: location, Up: s.Up(now, cfg.StaleAfter()), LastAttempt: s.LastAttempt.UTC(), LastSuccess: s.LastSuccess.UTC(), Error: s.Err,
		})
	}
	if known.Kube != nil {
		add(fact.SourceKube, "", known.Kube.Source)
	}
	for _, l := range known.Locations {
		add(fact.SourceBucket, l.Name, l.Backups)
		add(fact.SourceDrills, l.Name, l.Drills)
	}
	if known.Ledger != nil {
		add(fact.SourceLedger, "", known.Ledger.Source)
	}
	return out
}

func locationStatus(now time.Time, h state.LocationView, known state.State, cfg state.Config) LocationStatus {
	out := LocationStatus{Name: h.Name, Backups: h.Backups, Missing: h.Missing, Foreign: h.Foreign}
	if h.Location >= 0 {
		l := known.Locations[h.Location]
		last := fact.Later(l.Backups.LastAttempt, l.Drills.LastAttempt)
		out.LastScan, out.Drills, out.Incomplete, out.Unreadable = last.UTC(), len(l.DrillList), l.Incomplete, l.Unreadable
		out.DrillsActive, out.DrillsAbandoned = l.Claims.Active, l.Claims.Abandoned
		if !last.IsZero() && now.Sub(last) <= cfg.StaleAfter() {
			out.Available = &l.Answered
		}
	}
	if bsl := h.Storage; bsl != nil {
		out.AccessMode, out.LastValidated, out.Message = string(velerov1.BackupStorageLocationAccessModeReadWrite), bsl.Validated.UTC(), bsl.Message
		if bsl.ReadOnly {
			out.AccessMode = string(velerov1.BackupStorageLocationAccessModeReadOnly)
		}
		if out.Available == nil && known.Kube.Source.Fresh(now, cfg.StaleAfter()) {
			out.Available = &bsl.Available
		}
	}
	return out
}
