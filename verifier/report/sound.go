package report

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// Sound returns why the report cannot be that of a drill, or nil. Evidence is not
// signed, so whoever writes to a location can invent a report that is sound; this
// refuses what shows no drill, or contradicts itself: a verdict without checks, a
// pass with findings, counts that do not add up, a pass that does not name the
// bytes that passed.
func (r Report) Sound() error {
	switch {
	case r.Verdict != Passed && r.Verdict != Failed && r.Verdict != Error:
		return fmt.Errorf("unknown verdict %.80q", r.Verdict)
	case r.Started.IsZero() || r.Finished.IsZero():
		return errors.New("it does not say when the drill ran")
	case r.Finished.Before(r.Started):
		return errors.New("the drill ended before it started")
	case len(r.Stages) == 0:
		return errors.New("it has no stages")
	case !r.Items.counted():
		return fmt.Errorf("the counts of items do not add up: %+.200v", r.Items)
	case r.Verdict == Failed && len(r.Findings) == 0:
		return errors.New("the verdict is failed, without a finding")
	case r.Verdict == Error && len(r.Findings) > 0:
		return errors.New("the verdict is error, with findings")
	case r.Verdict == Passed:
		return r.soundPass()
	}
	return nil
}

// counted reports whether the counts can be those of a comparison, or of a drill
// that ended before one.
func (i Items) counted() bool {
	return min(i.InBackup, i.Expected, i.Restored, i.Equal, i.Altered, i.Different, i.Missing, i.Skipped) >= 0 && i.RestoredBytes >= 0 &&
		i.Restored <= i.Expected && i.Equal+i.Altered <= i.Restored && i.Different <= i.Restored && i.Missing <= i.Expected
}

// stagesOf are those without which a drill of the level cannot pass.
func stagesOf(l Level) []string {
	stages := []string{"integrity"}
	if l.Proves(LevelControlPlane) {
		stages = append(stages, "restore", "compare")
	}
	if l.Proves(LevelKind) {
		stages = append(stages, "workloads")
	}
	return stages
}

// soundPass returns why a drill cannot have passed.
func (r Report) soundPass() error {
	notPassed := func(c Check) bool { return c.Verdict != Passed }
	broken := func(s Stage) bool { return s.Error != "" }
	switch {
	case !r.Level.Proves(LevelIntegrity):
		return fmt.Errorf("it passed at the unknown level %.80q", r.Level)
	case len(r.Checks) == 0:
		return errors.New("it passed without a check")
	case slices.ContainsFunc(r.Checks, notPassed):
		return errors.New("it passed, with a check that did not")
	case len(r.Findings)+len(r.Environment) > 0 || r.TimedOut:
		return errors.New("it passed, with findings")
	case slices.ContainsFunc(r.Stages, broken):
		return errors.New("it passed, with a stage that did not")
	case !isDigest(r.Backup.MetadataSHA256) || !isDigest(r.Backup.ContentsSHA256):
		return errors.New("it passed, and does not have the digests of velero-backup.json and of the archive")
	}
	for _, name := range stagesOf(r.Level) {
		if !slices.ContainsFunc(r.Stages, func(s Stage) bool { return s.Name == name }) {
			return fmt.Errorf("it passed at level %s without the stage %s", r.Level, name)
		}
	}
	if i := r.Items; r.Level.Proves(LevelControlPlane) && (i.InBackup != i.Expected+i.Skipped || i.Expected != i.Equal+i.Altered+i.Different+i.Missing) {
		return fmt.Errorf("it passed, and the counts of items do not add up: %+.200v", i)
	}
	return r.soundFiles()
}

// soundFiles returns why the files of a passed drill are not those of its digests.
func (r Report) soundFiles() error {
	if len(r.Backup.Files) == 0 {
		return nil // written by an earlier version
	}
	for _, sum := range []string{r.Backup.MetadataSHA256, r.Backup.ContentsSHA256} {
		if !slices.ContainsFunc(r.Backup.Files, func(f File) bool { return f.SHA256 == sum }) {
			return fmt.Errorf("none of its files has the digest %s", sum)
		}
	}
	if slices.ContainsFunc(r.Backup.Files, func(f File) bool { return !isDigest(f.SHA256) }) {
		return errors.New("it passed, with a file that it did not read")
	}
	return nil
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}
