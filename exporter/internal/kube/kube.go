package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// Kube watches the objects of velero.io in one namespace and keeps what the
// metrics need to know of them. It needs the verbs list and watch on all six
// kinds: one that may not be read makes the source down, because a metric that is
// silently missing reads as all being well.
//
// It implements KubeLister.
type Watcher struct {
	schedules    *cluster.Watch[fact.Schedule]
	backups      *cluster.Watch[fact.Backup]
	restores     *cluster.Watch[fact.Restore]
	deletions    *cluster.Watch[fact.Deletion]
	locations    *cluster.Watch[fact.StorageLocation]
	repositories *cluster.Watch[fact.Repository]

	tried     []<-chan struct{}
	processed *Processed

	// What ListKube, which is called by one at a time, remembers.
	last    fact.KubeScan
	changes [6]uint64
	Paused  map[string]bool      // of the last scan
	Resumed map[string]time.Time // when a schedule was first seen not to be paused any more
}

// NewKube makes a source that knows nothing until Run runs.
func New(c *cluster.Client, namespace string) *Watcher {
	gone := &Processed{}
	k := &Watcher{
		processed:    gone,
		schedules:    cluster.NewWatch(c, resource("schedules", "Schedule"), namespace, ReadSchedule),
		backups:      cluster.NewWatch(c, resource("backups", "Backup"), namespace, ReadKubeBackup),
		restores:     cluster.NewWatch(c, resource("restores", "Restore"), namespace, ReadRestore),
		deletions:    cluster.NewWatch(c, resource("deletebackuprequests", "DeleteBackupRequest"), namespace, gone.Read),
		locations:    cluster.NewWatch(c, resource("backupstoragelocations", "BackupStorageLocation"), namespace, ReadStorageLocation),
		repositories: cluster.NewWatch(c, resource("backuprepositories", "BackupRepository"), namespace, ReadRepository),
		Paused:       map[string]bool{}, Resumed: map[string]time.Time{},
	}
	k.tried = []<-chan struct{}{
		k.schedules.Tried(), k.backups.Tried(), k.restores.Tried(), k.deletions.Tried(), k.locations.Tried(), k.repositories.Tried(),
	}
	return k
}

func resource(name, kind string) item.Resource {
	return item.Resource{Group: "velero.io", Version: "v1", Name: name, Kind: kind, Namespaced: true}
}

// Run watches until ctx is done.
func (k *Watcher) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, run := range []func(context.Context){k.schedules.Run, k.backups.Run, k.restores.Run, k.deletions.Run, k.locations.Run, k.repositories.Run} {
		group.Go(func() { run(ctx) })
	}
	group.Wait()
}

// ListKube implements KubeLister. As long as nothing has changed it returns the
// same slices.
func (k *Watcher) ListKube(ctx context.Context) (fact.KubeScan, error) {
	for _, tried := range k.tried {
		select {
		case <-tried:
		case <-ctx.Done():
			return fact.KubeScan{}, ctx.Err()
		}
	}
	var scan fact.KubeScan
	var changes [6]uint64
	var errs [6]error
	scan.Schedules, changes[0], errs[0] = k.schedules.All()
	scan.Backups, changes[1], errs[1] = k.backups.All()
	scan.Restores, changes[2], errs[2] = k.restores.All()
	scan.Deletions, changes[3], errs[3] = k.deletions.All()
	scan.Locations, changes[4], errs[4] = k.locations.All()
	scan.Repositories, changes[5], errs[5] = k.repositories.All()
	for _, err := range errs {
		if err != nil {
			return fact.KubeScan{}, err
		}
	}
	if changes == k.changes {
		return k.last, nil
	}
	scan.Schedules = k.NoteResumed(scan.Schedules, time.Now())
	scan.Restores = WithSchedules(scan.Restores, scan.Backups)
	scan.Deletions = k.processed.With(scan.Deletions)
	scan.Changes = k.last.Changes + 1
	k.last, k.changes = scan, changes
	return scan, nil
}

// NoteResumed fills in since when schedules run that were seen to be paused:
// Velero records it nowhere.
func (k *Watcher) NoteResumed(schedules []fact.Schedule, now time.Time) []fact.Schedule {
	out := make([]fact.Schedule, len(schedules))
	paused := map[string]bool{}
	for i, s := range schedules {
		if k.Paused[s.Name] && !s.Paused {
			k.Resumed[s.Name] = now
		}
		paused[s.Name] = s.Paused
		s.Resumed = k.Resumed[s.Name]
		out[i] = s
	}
	for name := range k.Resumed {
		if _, there := paused[name]; !there {
			delete(k.Resumed, name)
		}
	}
	k.Paused = paused
	return out
}

// WithSchedules gives restores that name a backup the schedule of that backup.
func WithSchedules(restores []fact.Restore, backups []fact.Backup) []fact.Restore {
	schedules := make(map[string]string, len(restores))
	for _, r := range restores {
		if r.Schedule == "" && r.Backup != "" {
			schedules[r.Backup] = ""
		}
	}
	for _, b := range backups {
		if _, wanted := schedules[b.Name]; wanted {
			schedules[b.Name] = b.Schedule
		}
	}
	out := make([]fact.Restore, len(restores))
	for i, r := range restores {
		if r.Schedule == "" {
			r.Schedule = schedules[r.Backup]
		}
		out[i] = r
	}
	return out
}

// ReadSchedule keeps of a Schedule what the metrics need. One that cannot be
// decoded, such as a malformed duration, can never run.
func ReadSchedule(it item.Item) (fact.Schedule, error) {
	var v velerov1.Schedule
	if err := json.Unmarshal(it.Raw, &v); err != nil {
		var meta metav1.PartialObjectMetadata
		if json.Unmarshal(it.Raw, &meta) != nil {
			return fact.Schedule{}, fmt.Errorf("decode: %w", err)
		}
		return fact.Schedule{Name: api.LabelValue(it.Key.Name), Created: meta.CreationTimestamp.Time, Invalid: err.Error()}, nil
	}
	s := fact.Schedule{
		Name: api.LabelValue(v.Name), Expr: v.Spec.Schedule, Paused: v.Spec.Paused, Created: v.CreationTimestamp.Time,
		Location: v.Spec.Template.StorageLocation, TTL: v.Spec.Template.TTL.Duration,
		LastBackup: timeOf(v.Status.LastBackup), LastSkipped: timeOf(v.Status.LastSkipped),
		Grace:     duration(v.Annotations, api.AnnotationSuccessGrace),
		RPO:       duration(v.Annotations, api.AnnotationRPO),
		RTO:       duration(v.Annotations, api.AnnotationRTO),
		ProvenRPO: duration(v.Annotations, api.AnnotationProvenRPO),
	}
	cron, err := schedule.Parse(s.Expr)
	switch {
	case err != nil:
		s.Invalid = err.Error()
	case v.Status.Phase == velerov1.SchedulePhaseFailedValidation:
		s.Invalid = "Velero refuses it: " + strings.Join(v.Status.ValidationErrors, "; ")
	}
	s.Cron, s.Interval = cron, cron.Interval(s.Created)
	return s, nil
}

// duration reads an annotation. One that is no duration above zero counts as not
// there: the defaults are stricter than silence.
func duration(annotations map[string]string, name string) time.Duration {
	d, err := time.ParseDuration(annotations[name])
	if err != nil || d < 0 {
		return 0
	}
	return d
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// ReadKubeBackup keeps of a Backup what the metrics need.
func ReadKubeBackup(it item.Item) (fact.Backup, error) {
	var v velerov1.Backup
	if err := json.Unmarshal(it.Raw, &v); err != nil {
		return fact.Backup{}, fmt.Errorf("decode: %w", err)
	}
	b := fact.BackupOf(v)
	b.InCluster = true
	// Of these there are few, and of backups many.
	b.Location, b.Schedule = unique.Make(v.Spec.StorageLocation).Value(), unique.Make(b.Schedule).Value()
	b.Phase = unique.Make(b.Phase).Value()
	return b, nil
}

func ReadRestore(it item.Item) (fact.Restore, error) {
	var v velerov1.Restore
	if err := json.Unmarshal(it.Raw, &v); err != nil {
		return fact.Restore{}, fmt.Errorf("decode: %w", err)
	}
	return fact.Restore{
		Name: v.Name, UID: string(v.UID), Backup: v.Spec.BackupName, Schedule: api.LabelValue(v.Spec.ScheduleName),
		Phase: v.Status.Phase, Created: v.CreationTimestamp.Time,
		Started: timeOf(v.Status.StartTimestamp), Completed: timeOf(v.Status.CompletionTimestamp),
	}, nil
}

func ReadDeletion(it item.Item) (fact.Deletion, error) {
	var v velerov1.DeleteBackupRequest
	if err := json.Unmarshal(it.Raw, &v); err != nil {
		return fact.Deletion{}, fmt.Errorf("decode: %w", err)
	}
	return fact.Deletion{
		Name: v.Name, UID: string(v.UID), Backup: v.Spec.BackupName, Created: v.CreationTimestamp.Time,
		Processed: v.Status.Phase == velerov1.DeleteBackupRequestPhaseProcessed, Errors: len(v.Status.Errors),
	}, nil
}

// serverPeriod is how often Velero's server validates and synchronises a location
// that does not say it.
const serverPeriod = time.Minute

func ReadStorageLocation(it item.Item) (fact.StorageLocation, error) {
	var v velerov1.BackupStorageLocation
	if err := json.Unmarshal(it.Raw, &v); err != nil {
		return fact.StorageLocation{}, fmt.Errorf("decode: %w", err)
	}
	return fact.StorageLocation{
		Name: v.Name, Default: v.Spec.Default, Message: v.Status.Message,
		Available:          v.Status.Phase == velerov1.BackupStorageLocationPhaseAvailable,
		ReadOnly:           v.Spec.AccessMode == velerov1.BackupStorageLocationAccessModeReadOnly,
		Validated:          timeOf(v.Status.LastValidationTime),
		ValidationInterval: period(v.Spec.ValidationFrequency),
		SyncInterval:       period(v.Spec.BackupSyncPeriod),
	}, nil
}

// period is zero for what is turned off; Velero takes a negative one for not set.
func period(d *metav1.Duration) time.Duration {
	if d == nil || d.Duration < 0 {
		return serverPeriod
	}
	return d.Duration
}

func ReadRepository(it item.Item) (fact.Repository, error) {
	var v velerov1.BackupRepository
	if err := json.Unmarshal(it.Raw, &v); err != nil {
		return fact.Repository{}, fmt.Errorf("decode: %w", err)
	}
	r := fact.Repository{Name: v.Name, Location: v.Spec.BackupStorageLocation, LastMaintained: timeOf(v.Status.LastMaintenanceTime)}
	for _, m := range v.Status.RecentMaintenance {
		r.Recent = append(r.Recent, fact.Maintenance{
			Succeeded: m.Result == velerov1.BackupRepositoryMaintenanceSucceeded,
			Started:   timeOf(m.StartTimestamp), Ended: timeOf(m.CompleteTimestamp),
		})
	}
	return r, nil
}
