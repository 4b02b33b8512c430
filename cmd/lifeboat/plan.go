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
		Long:  "Show what restore create would do with each item of a backup in this cluster, and why.\nNothing is changed. The API server is asked about each creation and update by a dry run.\nExit status 3 means that some items cannot be restored.\n" + cli.ExitHelp,
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
		job.TryCreations = true
		job.Warn = warner(c.ErrOrStderr(), line)
		prepared, err := job.Prepare(c.Context())
		line.Done()
		if err != nil {
			return err
		}
		p := prepared.Plan
		file := prepared.File()
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
	skipped, untried := map[string]int{}, map[string]int{}
	var failed []string
	waits := 0
	for _, s := range p.Steps {
		if !s.Filtered() {
			t.Row(s.Action, s.GroupResource(), s.Namespace, s.Name, s.Reason)
		}
		switch {
		case s.Action == plan.Skip:
			skipped[s.Reason]++
		case s.Action == plan.Fail:
			failed = append(failed, fmt.Sprintf("%s: %s", s.Key, s.Reason))
		case s.Untried != "":
			untried["after "+s.Untried]++
			waits++
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	printList(w, "\nSkipped", counted(skipped))
	printList(w, "\nVolumes", volumes(p.Volumes))
	if len(p.Awaits) > 0 {
		printList(w, "\nNamespaces being deleted, which the restore waits for", p.Awaits)
	}
	printList(w, "\nCannot be restored", failed)
	if waits > 0 {
		cli.Printf(w, "\nThe API server can only be asked during the restore about %s that need what it does first:\n", plural(waits, "creation"))
		printLines(w, counted(untried))
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
