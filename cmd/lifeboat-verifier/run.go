package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/cmd/internal/web"
	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
	"github.com/lifeboat-backup/lifeboat/verifier/scheduler"
)

type runFlags struct {
	policies     []string
	location     string
	ids          cli.Identities
	password     cli.RepoPassword
	volumeBytes  cli.Share
	controlPlane string
	listen       string
	web          web.Config
	warm         int
	once         bool
}

func newRun() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run --policy FILE [--policy FILE…] [--once]",
		Short: "Run drills on the schedule of policies, as a daemon",
		Long: `Run drills by policies. At the times of a policy's cron, a run drills the newest
backup of each schedule unless it is proven, the backups that the policy names,
and samples of older backups. After downtime, a single run makes up for all missed
ones. Runs are recorded below metadata/lifeboat/ledger/ in the location: after a
restart a run continues and drills no backup twice, and several verifiers can
share a location.

Serves a status page, the evidence, /metrics, /healthz (alive) and /readyz (the
locations of all policies can be read); /-/healthy and /-/ready answer the same.
Without --web.config.file, which sets TLS and a login for all of them, keep it on
the loopback interface.

With --once, the command does what is due now and exits: for a systemd timer or a
CronJob. A policy that never ran is due. If nothing is due, the exit status is that
of the last run, and the target of the recovery point (spec.targets.rpo) is checked
again. Each exchange with the location may take as long as a drill
(spec.limits.timeout).

Exit status: 0 stopped by signal, or everything that the policies select is proven;
1 error, an inconclusive drill, or a backup or schedule that a policy selects is not
in the location or cannot be read (--once); 2 usage error; 4 a backup failed its
drill, or the target of the recovery point is missed (--once); 130 interrupted
(--once).`,
		Example: `  lifeboat-verifier run --policy nightly.yaml --policy monthly.yaml
  lifeboat-verifier run --policy nightly.yaml --location file:///var/backups/prod --once`,
		Args: cli.Args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringArrayVar(&f.policies, "policy", nil, "`file` of a DrillPolicy; repeatable (required)")
	c.Flags().StringVar(&f.location, "location", "", "where the backups are, a `URL`; overrides the location of each policy")
	f.ids.Add(c)
	f.password.Add(c)
	cli.AddShare(c, &f.volumeBytes)
	c.Flags().StringVar(&f.controlPlane, "controlplane-binary", "", "`path` of lifeboat-controlplane (default: $LIFEBOAT_CONTROLPLANE, beside this program, or in PATH)")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:9096", "`address` of the status page and /metrics")
	f.web.Add(c.Flags())
	c.Flags().IntVar(&f.warm, "warm", 0, "level kind: how many clusters to keep ready, of the node image used last")
	c.Flags().BoolVar(&f.once, "once", false, "do what is due now, and exit")
	return c
}

func (f *runFlags) run(c *cobra.Command) error {
	ctx := c.Context()
	policies, err := f.load()
	if err != nil {
		return err
	}
	identities, err := f.ids.Read()
	if err != nil {
		return err
	}
	password, err := f.password.Read()
	if err != nil {
		return err
	}
	volumes := check.VolumeOptions{Password: password, Share: float64(f.volumeBytes)}
	jobs, closeAll, err := open(ctx, policies)
	defer closeAll()
	if err != nil {
		return err
	}
	pool := f.pool(policies, c.ErrOrStderr())
	me := self()
	s := &scheduler.Scheduler{
		Jobs: jobs, By: me, Ended: func(o drilllog.Owner) bool { return hasEnded(o, me) }, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)),
		Drill: func(ctx context.Context, r scheduler.Request) (report.Report, error) {
			return f.drill(ctx, identities, volumes, pool, r)
		},
	}
	if f.once {
		err = errors.Join(s.Once(ctx), outcomes(s.Status()))
	} else {
		err = f.serve(ctx, c.ErrOrStderr(), s)
	}
	return errors.Join(err, closePool(ctx, pool))
}

// pool keeps clusters ready if that was asked for and a policy uses them; else it
// is nil. It begins with what the first of those policies will run.
func (f *runFlags) pool(policies []policy.Policy, stderr io.Writer) *kind.Pool {
	for _, p := range policies {
		if f.warm > 0 && p.Spec.Level == report.LevelKind {
			log := slog.New(slog.NewTextHandler(stderr, nil))
			return kind.NewPool(kind.New(p.Spec, "").Choice, "", f.warm, func(err error) { log.Error("cluster kept ready", "err", err) })
		}
	}
	return nil
}

func closePool(ctx context.Context, pool *kind.Pool) error {
	if pool == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return pool.Close(ctx)
}

// load reads the policies, each complete and able to run.
func (f *runFlags) load() ([]policy.Policy, error) {
	if len(f.policies) == 0 {
		return nil, cli.Usage("--policy is required: the file of a DrillPolicy")
	}
	if f.warm < 0 {
		return nil, cli.Usage("--warm %d: must not be negative", f.warm)
	}
	if _, _, err := net.SplitHostPort(f.listen); err != nil {
		return nil, cli.Usage("--listen %q: must be host:port or :port", f.listen)
	}
	if err := f.web.Check(); err != nil {
		return nil, err
	}
	var out []policy.Policy
	file := map[string]string{}
	for _, path := range f.policies {
		p, err := policy.Load(path)
		if err != nil {
			return nil, cli.Usage("--policy %s: %w", path, err)
		}
		p.Spec.Location = cmp.Or(f.location, p.Spec.Location, os.Getenv(cli.LocationEnv))
		name := p.Metadata.Name
		switch {
		case file[name] != "":
			return nil, cli.Usage("--policy %s: the name %s is already used by %s; give each policy its own name", path, name, file[name])
		case p.Spec.Cron == "":
			return nil, cli.Usage("--policy %s: spec.cron is required: it sets when to drill", path)
		case p.Spec.Location == "":
			return nil, cli.Usage("--policy %s: spec.location is required (or set --location or $LIFEBOAT_LOCATION)", path)
		}
		if _, err := location.Parse(p.Spec.Location); err != nil {
			return nil, cli.Usage("--policy %s: %w", path, err)
		}
		file[name] = path
		out = append(out, p)
	}
	return out, nil
}

// open opens the location of each policy, each location once. What it returns
// closes those that were opened, also when it fails.
func open(ctx context.Context, policies []policy.Policy) (jobs []scheduler.Job, closeAll func(), err error) {
	opened := map[string]store.Store{}
	closeAll = func() {
		for _, s := range opened {
			if c, ok := s.(io.Closer); ok {
				_ = c.Close() // read to the end, or broken before
			}
		}
	}
	for _, p := range policies {
		cron, err := schedule.Parse(p.Spec.Cron)
		if err != nil {
			return nil, closeAll, cli.Usage("policy %s: %w", p.Metadata.Name, err)
		}
		url := p.Spec.Location
		if opened[url] == nil {
			s, err := location.Open(ctx, url, location.Options{})
			if err != nil {
				return nil, closeAll, err
			}
			opened[url] = s
		}
		jobs = append(jobs, scheduler.Job{Policy: p, Cron: cron, Store: opened[url]})
	}
	return jobs, closeAll, nil
}

// drill runs one drill as its policy asks.
func (f *runFlags) drill(ctx context.Context, identities seal.Identities, volumes check.VolumeOptions, pool *kind.Pool, r scheduler.Request) (report.Report, error) {
	source := ""
	// What cannot be read of the metadata is for the drill to find.
	if b, err := catalog.Read(ctx, r.Store, r.Backup); err == nil {
		source = b.Annotations[api.AnnotationSourceGitVersion]
		if err := catalog.CheckReadable(b, identities); err != nil {
			return report.Report{}, err
		}
	}
	spec := r.Policy.Spec
	return verifier.Drill{
		ID: r.ID, Store: r.Store, Backup: r.Backup, Level: spec.Level, Policy: r.Policy.Metadata.Name, Spec: spec,
		Identities: identities, Volumes: volumes, Now: time.Now, Version: cli.Version(), Timeout: spec.Limits.Timeout.Duration, Progress: r.Progress,
		Sandbox: newSandbox(spec, source, f.controlPlane, pool, func(detail string) { r.Progress("sandbox", detail) }),
	}.Run(ctx)
}

// outcomes is the exit status of the last runs, the worst of all policies. The log
// has the reasons.
func outcomes(all []scheduler.Status) error {
	var worst error
	for _, s := range all {
		o := s.Outcome
		switch {
		case len(o.Failed)+len(o.Targets) > 0:
			return cli.Status(cli.ExitFailed)
		case len(o.Inconclusive)+len(o.Missing)+len(o.Unread) > 0:
			worst = cli.Status(cli.ExitError)
		}
	}
	return worst
}

// serve keeps the policies and answers requests until ctx is done.
func (f *runFlags) serve(ctx context.Context, stderr io.Writer, s *scheduler.Scheduler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", f.listen, err)
	}
	handler, err := newHandler(s)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := f.web.NewServer(handler, s.Log)
	cli.Printf(stderr, "status page: %s://%s/\n", f.web.Scheme(), listener.Addr())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.Run(ctx) })
	group.Go(func() error { return f.web.Serve(server, []net.Listener{listener}, slog.New(slog.DiscardHandler)) })
	group.Go(func() error {
		<-ctx.Done()
		return web.Shutdown(ctx, server)
	})
	return group.Wait()
}

// self is this process.
func self() drilllog.Owner {
	return drilllog.Owner{Machine: sandbox.Machine(), PID: os.Getpid(), Instance: rand.Text()}
}

// hasEnded reports whether a process is known to have ended: on this machine,
// and its PID is unused, or that of this process.
func hasEnded(o, me drilllog.Owner) bool {
	return o.Machine == me.Machine && o.Instance != me.Instance && (o.PID == me.PID || !sandbox.Alive(o.PID))
}
