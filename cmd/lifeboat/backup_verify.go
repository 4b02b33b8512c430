package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// verification is what verify prints.
type verification struct {
	Backup   string           `json:"backup"`
	Verdict  report.Verdict   `json:"verdict"`
	Items    int              `json:"items"`
	Manifest bool             `json:"manifest"`
	Checks   []report.Check   `json:"checks"`
	Findings []report.Finding `json:"findings,omitempty"`
}

func newBackupVerify() *cobra.Command {
	var (
		loc cli.Location
		ids cli.Identities
		pwd cli.RepoPassword
		vol cli.Share
		out cli.Format
	)
	c := &cobra.Command{
		Use: "verify NAME --location URL", Short: "Check the integrity of a backup", Args: cli.Args(1, 1),
		Long: `Read every file and item of a backup and check them: against Lifeboat's manifest
of digests if there is one, and in any case against each other. Nothing is written.
The items of an encrypted backup are checked only with --identity; without it, only
its files are checked, and the verdict is error at best. Of volume data in kopia
repositories every part of every file is looked for, and read with --volume-bytes. To prove that a backup can
be restored, use lifeboat-verifier drill.
` + cli.ExitHelp,
	}
	loc.Add(c)
	ids.Add(c)
	pwd.Add(c)
	cli.AddShare(c, &vol)
	cli.AddOutput(c, &out)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := store.CheckName(args[0]); err != nil {
			return cli.Usage("backup %w", err)
		}
		identities, err := ids.Read()
		if err != nil {
			return err
		}
		password, err := pwd.Read()
		if err != nil {
			return err
		}
		s, err := loc.Open(c.Context(), false)
		if err != nil {
			return err
		}
		r, err := check.Integrity(c.Context(), s, args[0], check.IntegrityOptions{
			Identities: identities, Volumes: check.VolumeOptions{Password: password, Share: float64(vol)},
		})
		if err != nil {
			return err
		}
		v := verification{Backup: args[0], Verdict: r.Verdict(), Items: r.InBackup, Manifest: r.Manifest, Checks: r.Checks, Findings: r.Findings}
		if err := cli.Print(c.OutOrStdout(), out, v, v.print); err != nil {
			return err
		}
		switch v.Verdict {
		case report.Failed:
			return cli.Status(cli.ExitFailed)
		case report.Error:
			return cli.Status(cli.ExitError)
		}
		return nil
	}
	return c
}

func (v verification) print(w io.Writer) error {
	cli.Printf(w, "Backup %s: %s, %d items read.\n\n", v.Backup, v.Verdict, v.Items)
	t := cli.NewColumns(w)
	t.Row("CHECK", "RESULT", "DETAIL")
	for _, c := range v.Checks {
		t.Row(c.Name, c.Verdict, c.Message)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var lines []string
	for _, f := range v.Findings {
		line := f.Message
		if f.Object != "" {
			line = f.Object + ": " + line
		}
		lines = append(lines, "["+f.Check+"] "+line)
	}
	printList(w, "\nFindings", lines)
	if !v.Manifest {
		cli.Printf(w, "\nThe backup has no Lifeboat manifest (Velero does not write one): nothing was compared with digests.\n")
	}
	return nil
}
