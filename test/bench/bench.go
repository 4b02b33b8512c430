package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/collect"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// The names of what is measured.
const (
	listOne     = "LIST, one after the other"
	listMany    = "LIST, 4 at once"
	backupFile  = "backup to a folder"
	backupS3    = "backup to S3"
	createRaw   = "CREATE, 32 at once"
	restoreFile = "restore from a folder"
	drill       = "drill, level controlplane"
)

// budgets are those of the design. That of a backup is over the lists one after
// the other, as everything that pages through a cluster reads it; a backup
// reads four at once, and what it takes over LIST that does the same is shown
// beside it, without a limit.
func budgets() []Budget {
	return []Budget{
		{Name: "backup to a folder over LIST, one after the other", Of: backupFile, Over: listOne, Limit: 1.5, At: 10000},
		{Name: "backup to S3 over LIST, one after the other", Of: backupS3, Over: listOne, Limit: 1.5, At: 10000},
		{Name: "backup to a folder over LIST, 4 at once", Of: backupFile, Over: listMany},
		{Name: "backup to S3 over LIST, 4 at once", Of: backupS3, Over: listMany},
		{Name: "restore over CREATE", Of: restoreFile, Over: createRaw, Limit: 1.3, At: 10000},
		{Name: "peak memory of a backup to a folder, MiB", Of: backupFile, Limit: 192},
		{Name: "peak memory of a backup to S3, MiB", Of: backupS3, Limit: 192},
		{Name: "peak memory of a restore, MiB", Of: restoreFile, Limit: 192},
		{Name: "seconds of a drill", Of: drill, Limit: 30, At: 10000},
	}
}

// lab is what a run works with.
type lab struct {
	config
	dir     string // temporary; everything is in it
	log     *slog.Logger
	results Results
}

func bench(ctx context.Context, c config, stdout io.Writer, log *slog.Logger) (err error) {
	for _, name := range []string{"lifeboat", "lifeboat-verifier", "lifeboat-controlplane"} {
		if _, err := os.Stat(c.program(name)); err != nil {
			return fmt.Errorf("%s is not built (run `make build controlplane`): %w", name, err)
		}
	}
	dir, err := os.MkdirTemp("", "lifeboat-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l := &lab{config: c, dir: dir, log: log}
	l.results = Results{Asked: c.objects, Command: c.command(), Date: time.Now().UTC().Format(time.RFC3339), Machine: machine(), Versions: l.versions(ctx)}
	noise := others()
	for _, stage := range []func(context.Context) error{l.backups, l.restores, l.drill} {
		if err := stage(ctx); err != nil {
			return err
		}
	}
	l.results.Machine.Others = noise()
	l.results.judge(budgets())
	if err := l.results.write(stdout); err != nil {
		return err
	}
	if c.out == "" {
		return nil
	}
	return l.results.save(c.out)
}

// location is the folder of the backups that are restored and drilled.
func (l *lab) location() string { return "file://" + filepath.Join(l.dir, "backups") }

// cluster starts a control plane for the time of use and hands over its
// kubeconfig, as bytes and as a file.
func (l *lab) cluster(ctx context.Context, use func(kubeconfig []byte, path string) error) (err error) {
	s := &sandbox.ControlPlane{Binary: l.program("lifeboat-controlplane"), Dir: l.dir}
	started, err := s.Up(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, s.Down(ctx))
	}()
	l.results.Versions.Kubernetes = started.Version
	path := filepath.Join(l.dir, "kubeconfig")
	if err := os.WriteFile(path, started.Kubeconfig, 0o600); err != nil {
		return err
	}
	return use(started.Kubeconfig, path)
}

// backups measures LIST and backup by turns on one cluster.
func (l *lab) backups(ctx context.Context) error {
	return l.cluster(ctx, func(kubeconfig []byte, path string) error {
		l.log.Info("filling the source cluster", "objects", l.objects)
		if _, err := populate.Apply(ctx, kubeconfig, populate.Options{Objects: l.objects, BulkOnly: true}); err != nil {
			return err
		}
		// The first backup warms up the API server for both sides, and says
		// what it lists.
		first, err := l.backup(ctx, "", path, "bench", l.location(), nil)
		if err != nil {
			return err
		}
		l.results.Objects, l.results.ObjectBytes, l.results.ArchiveBytes = first.Items, first.Bytes, first.Stored
		var s3 rig.S3Server
		if !l.noS3 {
			if s3, err = l.startS3(ctx); err != nil {
				return err
			}
			defer s3.Stop()
		}
		for turn := range l.runs {
			l.log.Info("LIST and backup", "turn", turn+1, "of", l.runs)
			if err := l.backupTurn(ctx, kubeconfig, path, strconv.Itoa(turn), first.Coverage, s3); err != nil {
				return err
			}
		}
		if l.large() {
			return nil
		}
		return l.profileBackups(ctx, kubeconfig)
	})
}

func (l *lab) backupTurn(ctx context.Context, kubeconfig []byte, path, turn string, coverage []manifest.Resource, s3 rig.S3Server) error {
	for _, list := range []struct {
		name     string
		parallel int
	}{{listMany, collect.Parallel}, {listOne, 1}} {
		m, err := rawList(ctx, kubeconfig, coverage, list.parallel)
		if err == nil && m.Bytes < l.results.ObjectBytes*9/10 { // lists leave apiVersion and kind out
			err = fmt.Errorf("%d bytes are not all of %d", m.Bytes, l.results.ObjectBytes)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", list.name, err)
		}
		m.Objects = l.results.Objects
		l.results.add(list.name, m)
	}
	if _, err := l.backup(ctx, backupFile, path, "turn-"+turn, l.location(), nil); err != nil {
		return err
	}
	if l.noS3 {
		return nil
	}
	_, err := l.backup(ctx, backupS3, path, "turn-"+turn, s3.URL("bench"), s3.Environ())
	return err
}

// backupResult is what lifeboat backup create -o json says, as far as it is
// used here.
type backupResult struct {
	Items    int                 `json:"items"`
	Bytes    int64               `json:"bytes"`
	Stored   int64               `json:"stored"`
	Coverage []manifest.Resource `json:"coverage"`
}

func (l *lab) backup(ctx context.Context, record, kubeconfig, name, location string, env []string) (backupResult, error) {
	var r backupResult
	m, err := l.measure(ctx, env, &r, "lifeboat", "backup", "create", name, "--kubeconfig", kubeconfig, "--location", location, "-o", "json")
	if err == nil && r.Items < l.objects {
		err = fmt.Errorf("it holds %d objects of %d", r.Items, l.objects)
	}
	if err != nil {
		return r, fmt.Errorf("backup %s: %w", name, err)
	}
	m.Objects = r.Items
	if record != "" {
		l.results.add(record, m)
	}
	return r, nil
}

// restores measures CREATE and restore by turns, each on an empty cluster.
func (l *lab) restores(ctx context.Context) error {
	for turn := range l.createRuns {
		l.log.Info("CREATE and restore", "turn", turn+1, "of", l.createRuns)
		err := l.cluster(ctx, func(kubeconfig []byte, _ string) error {
			m, err := rawCreate(ctx, kubeconfig, l.objects)
			l.results.add(createRaw, m)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", createRaw, err)
		}
		if err := l.cluster(ctx, func(_ []byte, path string) error { return l.restore(ctx, path) }); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	if l.large() {
		return nil
	}
	return l.cluster(ctx, func(kubeconfig []byte, _ string) error { return l.profileRestore(ctx, kubeconfig, "bench") })
}

func (l *lab) restore(ctx context.Context, kubeconfig string) error {
	var r struct {
		Changes apply.ChangeSet `json:"changes"`
	}
	m, err := l.measure(ctx, nil, &r, "lifeboat", "restore", "create", "--from-backup", "bench", "--kubeconfig", kubeconfig, "--location", l.location(), "-o", "json")
	if err != nil {
		return err
	}
	// What controllers made first is updated or unchanged.
	m.Objects = r.Changes.Count(apply.Created) + r.Changes.Count(apply.Updated)
	if m.Objects < l.objects {
		return fmt.Errorf("%d objects of %d were created", m.Objects, l.objects)
	}
	l.results.add(restoreFile, m)
	return nil
}

func (l *lab) drill(ctx context.Context) error {
	if l.large() {
		return nil
	}
	l.log.Info("drill")
	var r report.Report
	m, err := l.measure(ctx, []string{"LIFEBOAT_CONTROLPLANE=" + l.program("lifeboat-controlplane")}, &r,
		"lifeboat-verifier", "drill", "--location", l.location(), "--backup", "bench", "--level", "controlplane", "-o", "json")
	if err != nil {
		return fmt.Errorf("drill: %w", err)
	}
	m.Objects = r.Items.Restored
	m.PeakMiB = 0 // the sandbox, its child, is larger and counts as its own
	l.results.add(drill, m)
	l.results.Stages = r.Stages
	return nil
}

// measure runs a program and decodes what it says on stdout.
func (l *lab) measure(ctx context.Context, env []string, into any, program string, args ...string) (Measurement, error) {
	m, stdout, err := measureProgram(ctx, l.dir, env, l.program(program), args...)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(stdout, into); err != nil {
		return m, fmt.Errorf("what %s said is not readable: %w", program, err)
	}
	return m, nil
}
