package main

import (
	"context"
	"io"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/catalog"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func newDrill() *cobra.Command {
	var f drillFlags
	c := &cobra.Command{
		Use:   "drill [--policy FILE] --location URL (--backup B | --schedule S | --latest) [--level integrity|controlplane|kind]",
		Short: "Restore a backup into an ephemeral cluster and compare",
		Long: `Verify one backup. Level integrity reads every file and item of the backup. Level
controlplane also restores all objects into a control plane that is started for
this drill and removed after it, reads every object back and compares it with the
backup. Level kind does the same in a kind cluster, runs the workloads there
without access to the outside, and waits until they are ready. It needs the docker
command and a container engine.

A policy sets all of this in a file, and can add checks of what was restored
(docs/policy.md); flags override it.

The verdict is passed, failed (the backup is bad) or error (inconclusive: the
drill could not run). The evidence is written to
metadata/lifeboat/drills/<backup>/.
` + cli.ExitHelp,
		Example: `  lifeboat-verifier drill --location file:///var/backups/prod --latest --level controlplane
  lifeboat-verifier drill --location file:///var/backups/prod --schedule nightly --level kind --kubernetes-version 1.36.2
  lifeboat-verifier drill --policy nightly.yaml
  lifeboat-verifier drill --location 's3://backups/prod?region=eu-central-1' --schedule nightly -o json`,
		Args: cli.NoArgs("backup"),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.add(c)
	return c
}

func (f *drillFlags) run(c *cobra.Command) error {
	r, err := f.request(c.Flags().Changed)
	if err != nil {
		return err
	}
	ctx := c.Context()
	identities, err := f.ids.Read()
	if err != nil {
		return err
	}
	password, err := f.password.Read()
	if err != nil {
		return err
	}
	loc := cli.Location(r.spec.Location)
	s, err := loc.Open(ctx, false)
	if err != nil {
		return err
	}
	name, err := verifier.Choose(ctx, s, r.choice)
	if err != nil {
		return err
	}
	// Metadata that cannot be read is a finding of the drill.
	source := ""
	if b, err := catalog.Read(ctx, s, name); err == nil {
		source = b.Annotations[api.AnnotationSourceGitVersion]
		if err := catalog.CheckReadable(b, identities); err != nil {
			return err
		}
	}
	progress := cli.NewProgress(c.ErrOrStderr())
	d := verifier.Drill{
		Store: s, Backup: name, Identities: identities, Volumes: check.VolumeOptions{Password: password, Share: float64(f.volumeBytes)},
		Level: r.spec.Level, Now: time.Now, Version: cli.Version(),
		Timeout: r.spec.Limits.Timeout.Duration, Policy: r.policy, Spec: r.spec,
		Progress: func(stage, detail string) { progress.Show("drilling %s: %s %s", name, stage, detail) },
	}
	d.Sandbox = newSandbox(r.spec, source, f.controlPlane, nil, func(detail string) { progress.Show("drilling %s: sandbox: %s", name, detail) })
	rep, err := d.Run(ctx)
	progress.Done()
	if rep.Verdict == "" {
		return err
	}
	if printErr := cli.Print(c.OutOrStdout(), f.out, rep, func(w io.Writer) error { return printReport(w, rep) }); printErr != nil {
		return printErr
	}
	return exit(ctx, rep.Verdict, err, c.ErrOrStderr())
}

// exit maps a verdict to the exit code. That evidence could not be written
// does not turn a bad backup into an error, nor a good one into a success.
func exit(ctx context.Context, v report.Verdict, err error, stderr io.Writer) error {
	switch {
	case v == report.Failed:
		if err != nil && ctx.Err() == nil {
			cli.Printf(stderr, "error: %s\n", err)
		}
		return cli.Status(cli.ExitFailed)
	case err != nil:
		return err
	case v == report.Error:
		return cli.Status(cli.ExitError)
	}
	return nil
}
