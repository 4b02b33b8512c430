package main

import (
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
	s, err := location.Open(ctx, l.location(), location.Options{Create: true})
	if err != nil {
		return err
	}
	err = l.cluster(ctx, func(kubeconfig []byte, _ string) error {
		if _, err := populate.Apply(ctx, kubeconfig, populate.Options{Objects: c.objects, BulkOnly: true}); err != nil {
			return err
		}
		client, err := cluster.FromKubeconfig(kubeconfig, "lifeboat-bench")
		if err != nil {
			return err
		}
		job := backup.Job{Store: s, Cluster: client, UID: "00000000-0000-0000-0000-000000000000", Now: time.Now}
		job.Name = "warm-up"
		if _, err := job.Run(ctx); err != nil {
			return err
		}
		// One backup gives the profiler too few samples.
		return profiled(c.profile, "backup", log, func() error {
			for turn := range c.runs {
				job.Name = fmt.Sprintf("turn-%d", turn)
				if _, err := job.Run(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return l.cluster(ctx, func(kubeconfig []byte, _ string) error {
		client, err := cluster.FromKubeconfig(kubeconfig, "lifeboat-bench")
		if err != nil {
			return err
		}
		return profiled(c.profile, "restore", log, func() error {
			_, err := restore.Job{Name: "profiled", Backup: "warm-up", Store: s, Cluster: client, Now: time.Now}.Run(ctx)
			return err
		})
	})
}

func profiled(dir, name string, log *slog.Logger, work func() error) error {
	f, err := os.Create(filepath.Join(dir, name+".cpu.pprof"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	started := time.Now()
	err = work()
	pprof.StopCPUProfile()
	log.Info("profiled", "what", name, "seconds", time.Since(started).Seconds())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	heap, err := os.Create(filepath.Join(dir, name+".heap.pprof"))
	if err != nil {
		return err
	}
	defer heap.Close()
	return pprof.WriteHeapProfile(heap)
}
