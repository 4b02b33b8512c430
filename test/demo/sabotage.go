package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lifeboat-backup/lifeboat/test/sabotage"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// sabotaged is a copy of the location in which one Secret of the backup has
// another value: the archive is whole, its phase is Completed, and nothing but
// a digest shows it.
func (d *demo) sabotaged() string { return filepath.Join(d.dir, "sabotaged") }

// sabotage shows that a drill of a bad backup fails.
func (d *demo) sabotage(ctx context.Context) error {
	d.say("Sabotage a copy: one Secret gets another value; the archive stays whole")
	if err := os.CopyFS(d.sabotaged(), os.DirFS(d.location())); err != nil {
		return fmt.Errorf("copy the location: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(d.sabotaged(), "metadata")); err != nil {
		return err
	}
	victim, err := sabotage.AlterSecret(&sabotage.Backup{Dir: d.sabotaged(), Name: backupName})
	if err != nil {
		return fmt.Errorf("sabotage: %w", err)
	}
	fmt.Fprintf(d.out, "Altered: %s. Velero's own files still say Completed.\n", victim)
	began := time.Now()
	code, err := d.show(ctx, "lifeboat-verifier", "drill", "--location", "file://"+d.sabotaged(), "--latest", "--level", "controlplane")
	if err != nil {
		return err
	}
	rep, err := d.evidence(d.sabotaged())
	if err != nil {
		return err
	}
	named := false
	for _, f := range rep.Findings {
		named = named || f.Object == victim.String()
	}
	d.claim("a drill of a sabotaged backup fails", code == 4 && rep.Verdict == report.Failed && named, time.Since(began),
		"%s, and the altered object is named: %t", rep.Verdict, named)
	return nil
}
