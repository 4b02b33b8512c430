package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// mostFindings is how many findings the table shows; the evidence has all.
const mostFindings = 20

func printReport(w io.Writer, r report.Report) error {
	fmt.Fprintf(w, "Drill %s of backup %s at level %s: %s\n%s\n\n", r.ID, r.Backup.Name, r.Level, r.Verdict, r.Summary)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\tRESULT\tDETAIL")
	for _, c := range r.Checks {
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Name, c.Verdict, c.Message)
	}
	fmt.Fprintln(t, "\nSTAGE\tSECONDS\t")
	for _, s := range r.Stages {
		fmt.Fprintf(t, "%s\t%.2f\t%s\n", s.Name, s.Seconds, s.Error)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Level != report.LevelIntegrity {
		i := r.Items
		fmt.Fprintf(w, "\nItems: %d in the backup, %d expected, %d restored, %d equal, %d different, %d missing, %d skipped by rule\n",
			i.InBackup, i.Expected, i.Restored, i.Equal, i.Different, i.Missing, i.Skipped)
		for _, why := range slices.Sorted(maps.Keys(i.SkippedBy)) {
			fmt.Fprintf(w, "  %d skipped: %s\n", i.SkippedBy[why], why)
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(r.Changed)) {
		fmt.Fprintf(w, "  %d changed for the sandbox: %s\n", r.Changed[rule], rule)
	}
	printFindings(w, "Findings", r.Findings)
	printFindings(w, "The environment", r.Environment)
	var waived []report.Finding
	for _, f := range r.Waived {
		f.Message += " (waived: " + f.Reason + ")"
		waived = append(waived, f.Finding)
	}
	printFindings(w, "Waived by the policy", waived)
	for i, n := range r.NotProven {
		if i == 0 {
			fmt.Fprintln(w, "\nNot proven at this level:")
		}
		fmt.Fprintf(w, "  %s\n", n)
	}
	return nil
}

func printFindings(w io.Writer, title string, findings []report.Finding) {
	for i, f := range findings {
		if i == 0 {
			fmt.Fprintf(w, "\n%s (%d):\n", title, len(findings))
		}
		if i == mostFindings {
			fmt.Fprintf(w, "  … and %d more (in the evidence, and with -o json)\n", len(findings)-i)
			break
		}
		object := f.Object
		if object != "" {
			object += ": "
		}
		fmt.Fprintf(w, "  [%s] %s%s\n", f.Check, object, f.Message)
	}
}

// printable keeps what others wrote into evidence from steering the terminal.
func printable(table func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		var b strings.Builder
		if err := table(&b); err != nil {
			return err
		}
		_, err := io.WriteString(w, report.Printable(b.String()))
		return err
	}
}
