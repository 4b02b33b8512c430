package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// sabotaged is a copy of the location in which one Secret of the backup has
// another value: the archive is whole, its phase is Completed, and nothing but
// a digest tells.
func (d *demo) sabotaged() string { return filepath.Join(d.dir, "sabotaged") }

// refuted shows that a bad backup is found to be bad.
func (d *demo) refuted(ctx context.Context) error {
	d.say("Sabotage a copy: one Secret gets another value; the archive stays whole")
	if err := os.CopyFS(d.sabotaged(), os.DirFS(d.location())); err != nil {
		return fmt.Errorf("copy the location: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(d.sabotaged(), "metadata")); err != nil {
		return err
	}
	victim, err := alterSecret(filepath.Join(d.sabotaged(), store.Contents(backupName)))
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
	d.claim("a sabotaged backup is refuted", code == 4 && rep.Verdict == report.Failed && named, time.Since(began),
		"%s, and the altered object is named: %t", rep.Verdict, named)
	return nil
}

// alterSecret rewrites an archive with the type of its first Secret changed,
// and says which that was.
func alterSecret(path string) (victim item.Key, err error) {
	in, err := os.Open(path)
	if err != nil {
		return victim, err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(path), "altered-")
	if err != nil {
		return victim, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if victim, err = rewrite(in, out); err != nil {
		return victim, err
	}
	return victim, os.Rename(out.Name(), path)
}

func rewrite(in io.Reader, out io.Writer) (victim item.Key, err error) {
	w := archive.NewWriter(out, archive.Options{ModTime: time.Now()})
	for it, err := range archive.NewReader(in, archive.Limits{}).Items() {
		if err != nil {
			return victim, err
		}
		if it.Key.Group == "" && it.Key.Resource == "secrets" && victim.Name == "" {
			victim = it.Key
			if it, err = altered(it); err != nil {
				return victim, err
			}
		}
		if _, err := w.Add(it); err != nil {
			return victim, err
		}
	}
	if victim.Name == "" {
		return victim, errors.New("the backup holds no Secret")
	}
	return victim, w.Close()
}

func altered(it item.Item) (item.Item, error) {
	u, err := it.Object()
	if err != nil {
		return it, err
	}
	u.Object["data"] = map[string]any{"password": "c2Fib3RhZ2U="}
	return item.FromObject(u, it.Key.Resource)
}
