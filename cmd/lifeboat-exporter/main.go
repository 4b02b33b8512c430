// Command lifeboat-exporter reports to Prometheus how fresh the backups of a cluster
// are and what restore drills proved of them. It reads locations and the cluster's
// objects of velero.io, and writes nothing unless it is told to.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	_ "time/tzdata" // CRON_TZ works where the image has no time zones

	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/cmd/internal/web"
	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter"
)

// memoryLimit is from which use of memory on garbage is collected sooner, in bytes: it
// is below what deploy/exporter gives the program.
const memoryLimit = 448 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	os.Exit(cli.Main(newRoot(), os.Args[1:], os.Stdout, os.Stderr))
}

func newRoot() *cobra.Command {
	var f flags
	root := &cobra.Command{
		Use:     "lifeboat-exporter [--kubeconfig FILE] [--location URL]",
		Short:   "Serve metrics about the freshness of backups and the results of drills",
		Args:    cli.Args(0, 0),
		Version: cli.Version(),
		Long: `lifeboat-exporter reads the backups and the evidence of drills in a location at
regular intervals, watches the cluster's Schedules, Backups and locations, and
serves metrics about them on /metrics. A location or a cluster is enough. It writes
only if --ledger or --probe-writes is given. It works with Velero's backups and with
those of lifeboat.

One exporter watches one cluster. Give it all locations of that cluster's backups,
and run another exporter for another cluster.

Exit status: 0 stopped by a signal; 1 error; 2 invalid usage; 130 interrupted
before it served.`,
		Example: `  lifeboat-exporter --kubeconfig ~/.kube/config --location default=s3://backups/prod?region=eu-west-1
  lifeboat-exporter --location s3://backups/prod?region=eu-west-1
  lifeboat-exporter --location near=file:///var/backups --location far=s3://backups/prod \
    --schedule "db=0 2 * * *" --rpo db=26h`,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := f.settings(c.ErrOrStderr())
			if err != nil {
				return err
			}
			if f.checkOnly {
				return s.describe(c.OutOrStdout())
			}
			return run(c.Context(), s)
		},
	}
	f.add(root)
	return root
}

// run serves until ctx is done. Refreshing and serving end together.
func run(ctx context.Context, s settings) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	all, read := locations(s)
	sources := exporter.Sources{Locations: all}
	if s.ledger != nil { // a nil *ledger.Ledger would be no nil LedgerKeeper
		sources.Ledger = s.ledger
	}
	watch := func(context.Context) {}
	if s.cluster != nil {
		kube := exporter.NewKube(s.cluster, s.namespace)
		sources.Kube, watch = kube, kube.Run
	}
	e := exporter.New(s.exporter, s.log, sources)
	listeners, err := listen(ctx, s.listen)
	if err != nil {
		return err
	}
	server, err := newServer(e, read, s)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		watch(ctx)
		return nil
	})
	group.Go(func() error { return e.Run(ctx) })
	group.Go(func() error { return s.web.Serve(server, listeners, s.log) })
	group.Go(func() error {
		<-ctx.Done()
		return web.Shutdown(ctx, server)
	})
	return group.Wait()
}

// locations are the sources, and what reads the evidence in each, by name.
func locations(s settings) ([]exporter.Location, reports) {
	out := make([]exporter.Location, 0, len(s.locations))
	read := reports{}
	for _, l := range s.locations {
		open := func(ctx context.Context) (store.Store, error) {
			return location.Open(ctx, l.url, location.Options{})
		}
		source := exporter.NewStoreLocation(open, s.log.With("location", l.name))
		source.Lock, source.ProbeWrites = s.bucket.lock != lockOff, s.bucket.probeWrites
		out = append(out, exporter.Location{Name: l.name, Backups: source, Drills: source, Claims: source, Storage: source, Requests: source.Requests})
		read[l.name] = source.Report
	}
	return out, read
}

func build() exporter.Build {
	return exporter.Build{Version: cli.Version(), Revision: version.GetRevision(), GoVersion: runtime.Version()}
}
