package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/backup"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
)

// profile runs a backup and a restore as the command line does, but in this
// process, and writes backup.cpu.pprof, restore.cpu.pprof and the memory still
// held at the end of each.
func profile(ctx context.Context, c config, log *slog.Logger) (err error) {
	if err := os.MkdirAll(c.profile, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lifeboat-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l := &lab{config: c, dir: dir, log: log}
	err = l.cluster(ctx, func(kubeconfig []byte, _ string) error {
		if _, err := populate.Apply(ctx, kubeconfig, populate.Options{Objects: c.objects, BulkOnly: true}); err != nil {
			return err
		}
		return l.profileBackups(ctx, kubeconfig)
	})
	if err != nil {
		return err
	}
	return l.cluster(ctx, func(kubeconfig []byte, _ string) error { return l.profileRestore(ctx, kubeconfig, profiledBackup) })
}

// profiledBackup is the first of the backups that are made in this process.
const profiledBackup = "profiled-warm-up"

// profileBackups makes as many backups of a cluster as there are runs: one
// gives the profiler too few samples.
func (l *lab) profileBackups(ctx context.Context, kubeconfig []byte) error {
	s, err := location.Open(ctx, l.location(), location.Options{Create: true})
	if err != nil {
		return err
	}
	client, err := cluster.FromKubeconfig(kubeconfig, "lifeboat-bench")
	if err != nil {
		return err
	}
	job := backup.Job{Open: func(context.Context) (store.Store, error) { return s, nil }, Cluster: client, Now: time.Now}
	job.Object.Name, job.Object.UID = profiledBackup, "00000000-0000-0000-0000-000000000000"
	if _, err := job.Run(ctx); err != nil {
		return err
	}
	return l.profiled("backup", l.runs, func(turn int) error {
		job.Object.Name = fmt.Sprintf("profiled-%d", turn)
		_, err := job.Run(ctx)
		return err
	})
}

func (l *lab) profileRestore(ctx context.Context, kubeconfig []byte, name string) error {
	s, err := location.Open(ctx, l.location(), location.Options{})
	if err != nil {
		return err
	}
	client, err := cluster.FromKubeconfig(kubeconfig, "lifeboat-bench")
	if err != nil {
		return err
	}
	return l.profiled("restore", 1, func(int) error {
		_, err := restore.Job{Name: "profiled", Backup: name, Store: s, Cluster: client, Now: time.Now}.Run(ctx)
		return err
	})
}

// profiled runs a pipeline so many times, notes what its CPU time was spent on
// and keeps the profiles, if they are asked for.
func (l *lab) profiled(name string, turns int, pipeline func(turn int) error) error {
	var samples bytes.Buffer
	if err := pprof.StartCPUProfile(&samples); err != nil {
		return err
	}
	started := time.Now()
	var err error
	for turn := 0; turn < turns && err == nil; turn++ {
		err = pipeline(turn)
	}
	pprof.StopCPUProfile()
	wall := time.Since(started).Seconds()
	if err != nil {
		return fmt.Errorf("%s, profiled: %w", name, err)
	}
	l.log.Info("profiled", "what", name, "turns", turns, "seconds", wall)
	if l.profile != "" {
		if err := l.keep(name, samples.Bytes()); err != nil {
			return err
		}
	}
	shares, err := sharesOf(name, &samples, turns, wall)
	l.results.Shares = append(l.results.Shares, shares)
	return err
}

func (l *lab) keep(name string, samples []byte) error {
	if err := os.WriteFile(filepath.Join(l.profile, name+".cpu.pprof"), samples, 0o644); err != nil {
		return err
	}
	heap, err := os.Create(filepath.Join(l.profile, name+".heap.pprof"))
	if err != nil {
		return err
	}
	return errors.Join(pprof.WriteHeapProfile(heap), heap.Close())
}
