// Package verifier runs drills, which prove that a backup can be restored: a drill
// checks the files in the location, restores them into a new cluster, reads the
// objects back and compares them with the backup.
//
// A verdict is passed, failed or error. Failed is about the backup, error is about
// the drill; what could not be checked never passes.
package verifier

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/progress"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/probe"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// Drill is one verification run of one backup. Store, Backup, Level and Now
// are required, Sandbox for the levels above integrity; for level kind it has
// to be a sandbox.Runner.
type Drill struct {
	// ID names the drill and its evidence; "" makes one (NewID).
	ID      string
	Store   store.Store
	Backup  string
	Level   report.Level
	Sandbox sandbox.Sandbox
	// Policy is the name of the DrillPolicy that asks for the drill, "" for
	// none. Of its Spec a drill reads Limits.WorkloadsReady, Targets, Images,
	// CronJobs, Waivers and Checks, and Cron for the evidence; what is not set has
	// its default.
	Policy string
	Spec   policy.Spec
	// Identities decrypt an encrypted backup.
	Identities seal.Identities
	// Volumes is how the data of volumes in repositories is checked.
	Volumes check.VolumeOptions
	Now     func() time.Time
	Version string // of Lifeboat, for the evidence
	// Timeout bounds the drill up to the removal of the sandbox; 0 = none. A
	// drill that runs into it has the verdict error.
	Timeout time.Duration
	// Progress, if set, is called with what the drill is doing.
	Progress func(stage, detail string)
}

// downTimeout bounds the removal of the sandbox, which happens also when the
// drill was cancelled.
const downTimeout = time.Minute

// run is a drill in progress.
type run struct {
	Drill
	report   report.Report
	cluster  *cluster.Client
	prepared restore.Prepared
	result   restore.Result
	facts    facts     // what stages leave for the verdict
	began    time.Time // when the restore began
	secrets  []string  // values that must not be in the report; of a sandbox that runs pods
}

// stage is one step of a drill of at least a level. failed means that the backup
// is bad and that later stages have nothing to work on; an error, that the drill
// cannot go on.
type stage struct {
	name  string
	level report.Level
	run   func(context.Context) (failed bool, err error)
}

// stages returns those of the drill's level, in order.
func (r *run) stages() []stage {
	var missing map[string]string // images that could not be pulled or loaded, with the reasons
	images := func(ctx context.Context) (failed bool, err error) {
		missing, err = r.images(ctx)
		return false, err
	}
	workloads := func(ctx context.Context) (bool, error) { return false, r.workloads(ctx, missing) }
	all := []stage{
		{"integrity", report.LevelIntegrity, r.integrity},
		{"sandbox", report.LevelControlPlane, r.up},
		{"plan", report.LevelControlPlane, r.plan},
		{"images", report.LevelKind, images},
		{"contain", report.LevelKind, r.contain},
		{"restore", report.LevelControlPlane, r.restore},
		{"compare", report.LevelControlPlane, r.compare},
		{"workloads", report.LevelKind, workloads},
		{"checks", report.LevelKind, r.userChecks},
		{"contained", report.LevelKind, r.contained},
	}
	return slices.DeleteFunc(all, func(s stage) bool { return !r.Level.Proves(s.level) })
}

// Run drills the backup and writes the evidence into the location. The report
// is complete whatever the verdict. The error is set when there is no such
// backup, ctx is done (no evidence is written then), or the evidence could not
// be written.
func (d Drill) Run(ctx context.Context) (report.Report, error) {
	started := d.Now().UTC()
	r := &run{Drill: d, report: report.Report{
		Schema: report.Schema, ID: cmp.Or(d.ID, NewID(started)), Policy: d.Policy, Level: d.Level, Started: started,
		PolicySchedule: d.Spec.Cron,
		Backup:         report.Backup{Name: d.Backup, Location: d.Store.String()},
		Versions:       report.Versions{Lifeboat: d.Version},
	}}
	err := r.bounded(ctx, r.stages())
	downErr := r.down(ctx)
	if ctx.Err() != nil {
		return r.report, errors.Join(ctx.Err(), downErr)
	}
	if errors.Is(err, catalog.ErrNoBackup) {
		return r.report, err
	}
	r.facts.err, r.facts.spec = errors.Join(err, downErr), r.Spec
	r.report.Finished = r.Now().UTC()
	r.report = conclude(withoutSecrets(r.report, r.secrets, r.encrypted()), r.facts)
	r.report.Summary = probe.Hide(r.secrets)(r.report.Summary)
	return r.report, r.store(ctx)
}

// NewID makes the name of a drill that starts at a time. No two are alike.
func NewID(at time.Time) string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return at.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(random[:])
}

func (r *run) bounded(ctx context.Context, stages []stage) error {
	if r.Timeout == 0 {
		return r.each(ctx, stages)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.Timeout, fmt.Errorf("the drill took longer than %s", r.Timeout))
	defer cancel()
	err := r.each(ctx, stages)
	if err != nil && ctx.Err() != nil {
		r.report.TimedOut = errors.Is(ctx.Err(), context.DeadlineExceeded)
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

// each runs the stages in order, each timed, until the backup has failed or one
// cannot go on.
func (r *run) each(ctx context.Context, stages []stage) error {
	for _, s := range stages {
		r.progress(s.name, "")
		failed, err := r.timed(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if failed {
			return nil
		}
	}
	return nil
}

func (r *run) timed(ctx context.Context, s stage) (bool, error) {
	began := r.Now()
	failed, err := s.run(ctx)
	took := report.Stage{Name: s.name, Seconds: r.Now().Sub(began).Seconds()}
	if err != nil {
		took.Error = err.Error()
	}
	r.report.Stages = append(r.report.Stages, took)
	return failed, err
}

func (r *run) progress(stage, detail string) {
	if r.Progress != nil {
		r.Progress(stage, detail)
	}
}

// up starts the sandbox.
func (r *run) up(ctx context.Context) (bool, error) {
	if _, runs := r.Sandbox.(sandbox.Runner); runsPods(r.Level) && !runs {
		return false, fmt.Errorf("level %s needs a sandbox that runs pods", r.Level)
	}
	r.facts.before = len(r.report.Findings)
	c, err := r.Sandbox.Up(ctx)
	if err != nil {
		return false, err
	}
	r.report.Versions.Kubernetes, r.report.Versions.NodeImage = c.Version, c.NodeImage
	r.cluster, err = cluster.FromKubeconfig(c.Kubeconfig, "lifeboat-verifier/"+r.Version)
	return false, err
}

// down removes the sandbox in any case, with its own time.
func (r *run) down(ctx context.Context) error {
	if r.Sandbox == nil {
		return nil
	}
	r.progress("teardown", "")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), downTimeout)
	defer cancel()
	_, err := r.timed(ctx, stage{"teardown", report.LevelControlPlane, func(ctx context.Context) (bool, error) { return false, r.Sandbox.Down(ctx) }})
	return err
}

func (r *run) job() restore.Job {
	j := restore.Job{Name: "drill-" + strings.ToLower(r.report.ID), Backup: r.Backup, Store: r.Store, Identities: r.Identities, Cluster: r.cluster, Now: r.Now}
	if runsPods(r.Level) {
		a := adapter(r.Spec)
		j.Options.Leave, j.Options.Adapt, j.Digests = a.Leave, a.Adapt, true
	}
	return j
}

func (r *run) plan(ctx context.Context) (bool, error) {
	p, err := r.job().Prepare(ctx)
	r.prepared = p
	r.facts.volumes = len(p.Plan.Volumes) > 0
	return false, err
}

func (r *run) restore(ctx context.Context) (bool, error) {
	r.began = r.Now()
	job := r.job()
	job.Progress = func(e progress.Event) {
		detail := e.Stage
		if detail == "" {
			detail = fmt.Sprintf("%d of %d", e.Done, e.Total)
		}
		r.progress("restore", detail)
	}
	result, err := job.Execute(ctx, r.prepared)
	r.result = result
	return false, err
}

// store writes the evidence, once and last.
func (r *run) store(ctx context.Context) error {
	if err := evidence.Write(ctx, r.Store, r.report); err != nil {
		return fmt.Errorf("the verdict is %s, but: %w", r.report.Verdict, err)
	}
	return nil
}

// record adds an answer to the report.
func (r *run) record(a answer) { r.report = record(r.report, r.Spec.Waivers, a) }

// identify copies into a report which backup it is about.
func identify(rep report.Report, i check.IntegrityResult) report.Report {
	b := &rep.Backup
	b.MetadataSHA256, b.ContentsSHA256, b.Manifest, b.Files = i.MetadataSHA256, i.ContentsSHA256, i.Manifest, i.Files
	if i.Metadata == nil {
		return rep
	}
	b.Schedule = i.Metadata.Labels[api.LabelScheduleName]
	b.UID = string(i.Metadata.UID)
	b.Phase = string(i.Metadata.Status.Phase)
	b.KubernetesVersion = i.Metadata.Annotations[api.AnnotationSourceGitVersion]
	if t := i.Metadata.Status.StartTimestamp; t != nil {
		b.Started = t.UTC()
		rep.Recovery = &report.Recovery{PointSeconds: rep.Started.Sub(b.Started).Seconds()}
	}
	if t := i.Metadata.Status.CompletionTimestamp; t != nil {
		b.Completed = t.UTC()
	}
	if t := i.Metadata.Status.Expiration; t != nil {
		b.Expires = t.UTC()
	}
	return rep
}

// integrity reads everything of the backup. A backup that is known to be damaged
// is not restored.
func (r *run) integrity(ctx context.Context) (bool, error) {
	i, err := check.Integrity(ctx, r.Store, r.Backup, check.IntegrityOptions{Identities: r.Identities, Volumes: r.Volumes})
	if err != nil {
		return false, err
	}
	r.report = identify(r.report, i)
	for _, c := range i.Checks {
		r.record(answer{Check: c, findings: findingsOf(c.Name, i.Findings)})
	}
	r.report.Items.InBackup = i.InBackup
	switch {
	case len(r.report.Findings) > 0:
		return true, nil
	case i.Verdict() == report.Error:
		return false, errors.New("not everything could be checked: " + unanswered(i.Checks))
	}
	// A backup that is too old is restored all the same.
	return false, r.recoveryPoint(ctx)
}

// unanswered joins the messages of the checks without an answer.
func unanswered(checks []report.Check) string {
	var out []string
	for _, c := range checks {
		if c.Verdict == report.Error {
			out = append(out, c.Name+": "+c.Message)
		}
	}
	return strings.Join(out, "; ")
}
