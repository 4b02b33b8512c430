// Package evidencetest completes reports for tests.
package evidencetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Complete adds what a report lacks to be that of a drill (Report.Sound). What it
// has stays.
func Complete(r report.Report) report.Report {
	for _, name := range []string{"integrity", "restore", "compare", "workloads"} {
		if r.Sound() == nil {
			break
		}
		if !slices.ContainsFunc(r.Stages, func(s report.Stage) bool { return s.Name == name }) {
			r.Stages = append(r.Stages, report.Stage{Name: name})
		}
		if name == "integrity" {
			r = answered(r)
		}
	}
	return r
}

// answered adds all but stages.
func answered(r report.Report) report.Report {
	if i := &r.Items; r.Level.Proves(report.LevelControlPlane) && i.Equal+i.Altered+i.Different+i.Missing != i.Expected {
		i.Equal = i.Expected - i.Altered - i.Different - i.Missing
	}
	r.Items.Restored = max(r.Items.Restored, r.Items.Equal+r.Items.Different)
	if r.Items.InBackup == 0 {
		r.Items.InBackup = r.Items.Expected + r.Items.Skipped
	}
	if r.Verdict == report.Failed && len(r.Findings) == 0 {
		r.Findings = []report.Finding{{Check: "items_equal", Message: "differs"}}
	}
	if r.Verdict != report.Passed {
		return r
	}
	if len(r.Checks) == 0 {
		r.Checks = []report.Check{{Name: "files_present", Verdict: report.Passed}}
	}
	for _, sum := range []*string{&r.Backup.MetadataSHA256, &r.Backup.ContentsSHA256} {
		if *sum == "" {
			*sum = digest([]byte(r.Backup.Name))
		}
	}
	return r
}

// Drilled is Complete for a backup that a location holds: the report has its files
// and their digests.
func Drilled(ctx context.Context, s store.Store, r report.Report) (report.Report, error) {
	files, err := Files(ctx, s, r.Backup.Name)
	if err != nil {
		return r, err
	}
	r.Backup.Files = files
	for _, f := range files {
		switch store.BackupPrefix(r.Backup.Name) + f.Name {
		case store.Metadata(r.Backup.Name):
			r.Backup.MetadataSHA256 = f.SHA256
		case store.Contents(r.Backup.Name), store.SealedContents(r.Backup.Name):
			r.Backup.ContentsSHA256 = f.SHA256
		}
	}
	if r.Backup.ContentsSHA256 == "" {
		r.Backup.ContentsSHA256 = r.Backup.MetadataSHA256
	}
	return Complete(r), nil
}

// Files reads the files of a backup.
func Files(ctx context.Context, s store.Store, backup string) ([]report.File, error) {
	var out []report.File
	for info, err := range s.List(ctx, store.BackupPrefix(backup), true) {
		if err != nil {
			return nil, fmt.Errorf("list backup %s: %w", backup, err)
		}
		r, err := s.Get(ctx, info.Key)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", info.Key, err)
		}
		raw, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, fmt.Errorf("read %s: %w", info.Key, err)
		}
		f := report.NewFile(strings.TrimPrefix(info.Key, store.BackupPrefix(backup)), info.Size, info.Modified, info.ETag)
		f.SHA256 = digest(raw)
		out = append(out, f)
	}
	return out, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
