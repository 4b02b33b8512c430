package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/progress"
)

func newPlan() *cobra.Command {
	var f restoreFlags
	c := &cobra.Command{
		Use:   "plan --from-backup BACKUP --location URL",
		Short: "Show what a restore would do; changes nothing",
		Long:  "Show what restore create would do with each item of a backup in this cluster, and why.\nNothing is changed. Exit status 3 means that some items cannot be restored.\n" + cli.ExitHelp,
		Args:  cli.NoArgs("from-backup"),
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		job, err := f.job(c, "plan")
		if err != nil {
			return err
		}
		line := cli.NewProgress(c.ErrOrStderr())
		job.Progress = func(e progress.Event) { line.Stage(e.Stage) }
		prepared, err := job.Prepare(c.Context())
		line.Done()
		if err != nil {
			return err
		}
		p := prepared.Plan
		file := prepared.File()
		for _, warning := range prepared.Warnings {
			cli.Printf(c.ErrOrStderr(), "warning: %s\n", warning)
		}
		if err := cli.Print(c.OutOrStdout(), f.out, file, func(w io.Writer) error { return printPlan(w, p) }); err != nil {
			return err
		}
		if p.Count(plan.Fail) > 0 {
			return cli.Status(cli.ExitPartial)
		}
		return nil
	}
	return c
}

func printPlan(w io.Writer, p plan.Plan) error {
	t := cli.NewColumns(w)
	t.Row("ACTION", "RESOURCE", "NAMESPACE", "NAME", "REASON")
	for _, s := range p.Steps {
		t.Row(s.Action, s.GroupResource(), s.Namespace, s.Name, s.Reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	skipped := map[string]int{}
	for _, s := range p.Steps {
		if s.Action == plan.Skip {
			skipped[s.Reason]++
		}
	}
	printList(w, "\nSkipped", counted(skipped))
	printList(w, "\nVolumes", volumes(p.Volumes))
	if len(p.Awaits) > 0 {
		printList(w, "\nNamespaces being deleted, which the restore waits for", p.Awaits)
	}
	changes := ""
	if n := p.Count(plan.Update); n > 0 {
		changes += fmt.Sprintf(", update %d", n)
	}
	if n := p.Count(plan.Recreate); n > 0 {
		changes += fmt.Sprintf(", recreate %d", n)
	}
	cli.Printf(w, "\nA restore of %s would create %d%s, leave %d unchanged, skip %d; %d cannot be restored.\n",
		p.Backup, p.Count(plan.Create), changes, p.Count(plan.Unchanged)+p.Count(plan.Label), p.Count(plan.Skip), p.Count(plan.Fail))
	return nil
}
