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

// verifyFlags say how a backup is verified.
type verifyFlags struct {
	loc         cli.Location
	ids         cli.Identities
	password    cli.RepoPassword
	volumeBytes cli.Share
	out         cli.Format
}

func newBackupVerify() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use: "verify NAME --location URL", Short: "Check the integrity of a backup", Args: cli.Args(1, 1),
		Long: `Read every file and item of a backup and check them: against Lifeboat's manifest
of digests if there is one, and in any case against each other. Nothing is written.
The items of an encrypted backup are checked only with --identity; without it, only
its files are checked, and the verdict is error at best. Of volume data in kopia
repositories, every part of every file is looked for, and read with --volume-bytes.
To prove that a backup can be restored, use lifeboat-verifier drill.
` + cli.ExitHelp,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.loc.Add(c)
	f.ids.Add(c)
	f.password.Add(c)
	cli.AddShare(c, &f.volumeBytes)
	cli.AddOutput(c, &f.out)
	return c
}

func (f *verifyFlags) run(c *cobra.Command, name string) error {
	if err := store.CheckName(name); err != nil {
		return cli.Usage("backup %w", err)
	}
	identities, err := f.ids.Read()
	if err != nil {
		return err
	}
	password, err := f.password.Read()
	if err != nil {
		return err
	}
	s, err := f.loc.Open(c.Context(), false)
	if err != nil {
		return err
	}
	r, err := check.Integrity(c.Context(), s, name, check.IntegrityOptions{
		Identities: identities, Volumes: check.VolumeOptions{Password: password, Share: float64(f.volumeBytes)},
	})
	if err != nil {
		return err
	}
	v := verification{Backup: name, Verdict: r.Verdict(), Items: r.InBackup, Manifest: r.Manifest, Checks: r.Checks, Findings: r.Findings}
	if err := cli.Print(c.OutOrStdout(), f.out, v, v.print); err != nil {
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
