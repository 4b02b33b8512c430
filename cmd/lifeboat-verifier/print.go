package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// mostFindings is how many findings the table shows; the evidence has all.
const mostFindings = 20

func printReport(w io.Writer, r report.Report) error {
	cli.Printf(w, "Drill %s of backup %s at level %s: %s\n%s\n\n", r.ID, r.Backup.Name, r.Level, r.Verdict, r.Summary)
	t := cli.NewColumns(w)
	t.Row("CHECK", "RESULT", "DETAIL")
	for _, c := range r.Checks {
		t.Row(c.Name, c.Verdict, c.Message)
	}
	t.Gap()
	t.Row("STAGE", "SECONDS", "")
	for _, s := range r.Stages {
		t.Row(s.Name, fmt.Sprintf("%.2f", s.Seconds), s.Error)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Level != report.LevelIntegrity {
		i := r.Items
		cli.Printf(w, "\nItems: %d in the backup, %d expected, %d restored, %d equal, %d changed by admission, %d different, %d missing, %d skipped by rule\n",
			i.InBackup, i.Expected, i.Restored, i.Equal, i.Altered, i.Different, i.Missing, i.Skipped)
		for _, why := range slices.Sorted(maps.Keys(i.SkippedBy)) {
			cli.Printf(w, "  %d skipped: %s\n", i.SkippedBy[why], why)
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(r.Changed)) {
		cli.Printf(w, "  %d changed for the sandbox: %s\n", r.Changed[rule], rule)
	}
	printFindings(w, "Findings", r.Findings)
	printFindings(w, "Changed by the admission of the sandbox", r.Altered)
	printFindings(w, "The environment", r.Environment)
	var waived []report.Finding
	for _, f := range r.Waived {
		f.Message += " (waived: " + f.Reason + ")"
		waived = append(waived, f.Finding)
	}
	printFindings(w, "Waived by the policy", waived)
	for i, n := range r.NotProven {
		if i == 0 {
			cli.Printf(w, "\nNot proven at this level:\n")
		}
		cli.Printf(w, "  %s\n", n)
	}
	return nil
}

func printFindings(w io.Writer, title string, findings []report.Finding) {
	for i, f := range findings {
		if i == 0 {
			cli.Printf(w, "\n%s (%d):\n", title, len(findings))
		}
		if i == mostFindings {
			cli.Printf(w, "  … and %d more (in the evidence, and with -o json)\n", len(findings)-i)
			break
		}
		object := f.Object
		if object != "" {
			object += ": "
		}
		cli.Printf(w, "  [%s] %s%s\n", f.Check, object, f.Message)
	}
}
