package exporter

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/bucket"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence/evidencetest"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func namesOf(backups []fact.Backup) []string {
	var out []string
	for _, b := range backups {
		out = append(out, b.Name)
	}
	return out
}

func TestAScanFindsBackupsAndEvidence(t *testing.T) {
	inBucket := newBucket(t)
	first := completedBackup("db", "db-1", day(-1))
	byHand := completedBackup("", "by-hand", day(0))
	byHand.Errors, byHand.Phase = 3, velerov1.BackupPhasePartiallyFailed
	inBucket.backup(first)
	inBucket.backup(byHand)
	drill := drillOfBackup(first, report.LevelControlPlane, report.Passed)
	inBucket.drill("d1", drill)
	inBucket.put(store.EvidencePage("db-1", "d1"), []byte("<html>"))
	inBucket.put(store.EvidenceJUnit("db-1", "d1"), []byte("<testsuite>"))
	source, _ := locationOf(inBucket)

	backups, err := source.ListBackups(t.Context())
	require.NoError(t, err)
	assert.True(t, backups.Answered)
	assert.Empty(t, backups.Unreadable)
	require.Equal(t, []string{"by-hand", "db-1"}, namesOf(backups.Backups))
	byHand.MetadataSHA256, first.MetadataSHA256 = backups.Backups[0].MetadataSHA256, backups.Backups[1].MetadataSHA256
	for i, want := range []fact.Backup{byHand, first} {
		got := backups.Backups[i]
		assert.True(t, want.Start.Equal(got.Start))
		assert.True(t, want.Completed.Equal(got.Completed))
		got.Start, got.Completed = want.Start, want.Completed
		want.Files, want.Modified = got.Files, got.Modified
		assert.Equal(t, want, got)
		assert.Len(t, got.MetadataSHA256, 64)
		assert.NotZero(t, got.Files)
		assert.False(t, got.Modified.IsZero())
	}

	drills, err := source.ListDrills(t.Context())
	require.NoError(t, err)
	assert.Empty(t, drills.Unreadable, "other forms of the same evidence are left alone")
	require.Len(t, drills.Drills, 1)
	got := drills.Drills[0]
	assert.Equal(t, first.MetadataSHA256, got.MetadataSHA256)
	assert.Equal(t, backups.Backups[1].Files, got.Files, "the drill is of the files that are there")
	drill.ID = "d1"
	assert.Equal(t, drill, asWritten(got))
}

func TestAnEncryptedBackupIsOneAmongOthers(t *testing.T) {
	inBucket := newBucket(t)
	b := completedBackup("db", "sealed", day(0))
	inBucket.backup(b)
	require.NoError(t, inBucket.Delete(t.Context(), store.Contents("sealed")))
	inBucket.put(store.SealedContents("sealed"), make([]byte, 4711))
	inBucket.put(store.SealedContents("torn"), []byte("half"))
	source, _ := locationOf(inBucket)
	scan, err := source.ListBackups(t.Context())
	require.NoError(t, err)
	assert.Empty(t, scan.Unreadable)
	require.Equal(t, []string{"sealed"}, namesOf(scan.Backups))
	assert.Equal(t, int64(4711), scan.Backups[0].ArchiveSize)
	assert.Equal(t, 1, scan.Incomplete)
}

func TestABucketWrittenByVeleroIsRead(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "velero-v1.18.1-backup.json"))
	require.NoError(t, err)
	inBucket := newBucket(t)
	inBucket.put(store.Metadata("notes-1h-20261122084242"), raw)
	inBucket.put(store.Contents("notes-1h-20261122084242"), []byte("x"))
	source, _ := locationOf(inBucket)
	scan, err := source.ListBackups(t.Context())
	require.NoError(t, err)
	require.Len(t, scan.Backups, 1)
	b := scan.Backups[0]
	assert.Equal(t, "notes-1h-20261122084242", b.Name)
	assert.Equal(t, "notes-1h", b.Schedule)
	assert.Equal(t, velerov1.BackupPhaseCompleted, b.Phase)
	assert.Equal(t, 20, b.Items)
	assert.Equal(t, time.Date(2026, 11, 22, 8, 42, 42, 0, time.UTC), b.Start.UTC())
	assert.False(t, b.Completed.IsZero())
}

func TestAFolderThatIsNoBackupIsCountedAsIncomplete(t *testing.T) {
	inBucket := newBucket(t)
	inBucket.backup(completedBackup("db", "whole", day(0)))
	inBucket.put(store.Contents("interrupted"), []byte("half an archive"))
	inBucket.put(store.Log("half-deleted"), []byte("log"))
	archiveGone := completedBackup("db", "archive-gone", day(0))
	inBucket.put(store.Metadata("archive-gone"), metadataOf(t, archiveGone))
	failed := endedAs(velerov1.BackupPhaseFailed, completedBackup("db", "failed", day(0)))
	inBucket.put(store.Metadata("failed"), metadataOf(t, failed))
	source, _ := locationOf(inBucket)

	scan, err := source.ListBackups(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, scan.Incomplete)
	assert.Equal(t, []string{"failed", "whole"}, namesOf(scan.Backups), "a backup that failed may have no archive")
}

func TestOneBadObjectStopsNoneOfTheOthers(t *testing.T) {
	long := strings.Repeat("x", 64)
	future := completedBackup("db", "bad", time.Now().Add(48*time.Hour))
	unstarted, unended := completedBackup("db", "bad", time.Time{}), completedBackup("db", "bad", day(0))
	unended.Completed = time.Time{}
	for name, tc := range map[string]struct{ content, want string }{
		"no JSON":            {"{", "decode"},
		"empty":              {"", "decode"},
		"too large":          {strings.Repeat(" ", catalog.MaxMetadata+1), "more than 10485760 bytes"},
		"too many values":    {`{"spec":[` + strings.Repeat("{},", catalog.MaxMetadataValues+1) + `{}]}`, "more than 200000 values"},
		"another's":          {string(metadataOf(t, completedBackup("db", "other", day(0)))), `"other"`},
		"no start":           {string(metadataOf(t, unstarted)), "when it was started"},
		"no end":             {string(metadataOf(t, unended)), "does not say when"},
		"from the future":    {string(metadataOf(t, future)), "in the future"},
		"schedule no label":  {string(metadataOf(t, completedBackup(long, "bad", day(0)))), "64 characters"},
		"a list, not a dict": {"[]", "decode"},
	} {
		t.Run(name, func(t *testing.T) {
			inBucket := newBucket(t)
			inBucket.backup(completedBackup("db", "good", day(0)))
			inBucket.put(store.Metadata("bad"), []byte(tc.content))
			inBucket.put(store.Contents("bad"), []byte("archive"))
			source, _ := locationOf(inBucket)
			scan, err := source.ListBackups(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []string{"good"}, namesOf(scan.Backups))
			require.Len(t, scan.Unreadable, 1)
			assert.Equal(t, store.Metadata("bad"), scan.Unreadable[0].Key)
			assert.ErrorContains(t, scan.Unreadable[0], tc.want)
		})
	}
}

// asWritten is a drill without what evidencetest adds.
func asWritten(d fact.Drill) fact.Drill {
	d.MetadataSHA256, d.Files, d.Checks, d.Asked = "", report.Fingerprint{}, nil, fact.CheckCounts{}
	d.Stages = slices.DeleteFunc(d.Stages, func(s fact.Stage) bool { return s.Seconds == 0 })
	return d
}

func TestOneBadPieceOfEvidenceStopsNoneOfTheOthers(t *testing.T) {
	good := drillOfBackup(completedBackup("db", "db-1", day(0)), controlplane, report.Passed)
	good.ID = "good"
	encode := func(change func(*report.Report)) string {
		r := evidencetest.Complete(report.Report{Schema: report.Schema, ID: "bad", Level: controlplane, Verdict: report.Passed, Started: day(0), Finished: day(0), Backup: report.Backup{Name: "db-1"}})
		change(&r)
		raw, err := r.Encode()
		require.NoError(t, err)
		return string(raw)
	}
	for name, tc := range map[string]struct{ content, want string }{
		"no JSON":          {"{", "decode"},
		"unknown schema":   {encode(func(r *report.Report) { r.Schema = "other/v9" }), "unknown evidence schema"},
		"another backup's": {encode(func(r *report.Report) { r.Backup.Name = "db-2" }), `of backup "db-2"`},
		"another drill's":  {encode(func(r *report.Report) { r.ID = "good" }), `it names drill "good"`},
		"unknown verdict":  {encode(func(r *report.Report) { r.Verdict = "fine" }), `unknown verdict "fine"`},
		"no end":           {encode(func(r *report.Report) { r.Finished = time.Time{} }), "when the drill ran"},
		"from the future":  {encode(func(r *report.Report) { r.Finished = time.Now().Add(48 * time.Hour) }), "in the future"},
		"no checks":        {encode(func(r *report.Report) { r.Checks = nil }), "without a check"},
		"no stages":        {encode(func(r *report.Report) { r.Stages = nil }), "no stages"},
		"no digest":        {encode(func(r *report.Report) { r.Backup.ContentsSHA256 = "" }), "digests"},
		"counts":           {encode(func(r *report.Report) { r.Items.Expected = -5 }), "do not add up"},
		"long schedule":    {encode(func(r *report.Report) { r.Backup.Schedule = strings.Repeat("x", 64) }), "64 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			inBucket := newBucket(t)
			inBucket.drill("good", good)
			inBucket.put(store.Evidence("db-1", "bad"), []byte(tc.content))
			source, _ := locationOf(inBucket)
			scan, err := source.ListDrills(t.Context())
			require.NoError(t, err)
			require.Len(t, scan.Drills, 1)
			assert.Equal(t, good, asWritten(scan.Drills[0]))
			require.Len(t, scan.Unreadable, 1)
			assert.ErrorContains(t, scan.Unreadable[0], tc.want)
		})
	}
}

func TestScanningAnUnchangedLocationCostsListingsOnly(t *testing.T) {
	inBucket := newBucket(t)
	for i := range 5 {
		b := completedBackup("db", fmt.Sprint("db-", i), day(-i))
		inBucket.backup(b)
		inBucket.drill("d", drillOfBackup(b, controlplane, report.Passed))
	}
	inBucket.put(store.Metadata("broken"), []byte("{"))
	source, _ := locationOf(&paged{Store: inBucket, size: 1000})
	scan := func() fact.Requests {
		before := source.Requests()
		_, err := source.ListBackups(t.Context())
		require.NoError(t, err)
		_, err = source.ListDrills(t.Context())
		require.NoError(t, err)
		after := source.Requests()
		return fact.Requests{List: after.List - before.List, Get: after.Get - before.Get}
	}
	assert.Equal(t, fact.Requests{List: 3, Get: 11}, scan(), "names, files and evidence")
	assert.Equal(t, fact.Requests{List: 3}, scan(), "a malformed one is not fetched again either")

	inBucket.backup(completedBackup("db", "db-5", day(1)))
	assert.Equal(t, fact.Requests{List: 3, Get: 1}, scan(), "only the new backup is fetched")
}

func TestABackupThatVeleroRewritesOrSomeoneDeletesIsSeen(t *testing.T) {
	inBucket := newBucket(t)
	finalizing := endedAs(velerov1.BackupPhaseFinalizing, completedBackup("db", "db-1", day(0)))
	inBucket.backup(finalizing)
	source, _ := locationOf(inBucket)
	scan := func() fact.BackupScan {
		s, err := source.ListBackups(t.Context())
		require.NoError(t, err)
		return s
	}
	require.Equal(t, velerov1.BackupPhaseFinalizing, scan().Backups[0].Phase)

	inBucket.backup(completedBackup("db", "db-1", day(0)))
	require.Equal(t, velerov1.BackupPhaseCompleted, scan().Backups[0].Phase)

	require.NoError(t, inBucket.Delete(t.Context(), store.Contents("db-1")))
	assert.Empty(t, scan().Backups, "a backup without its archive is none")
	require.NoError(t, inBucket.Delete(t.Context(), store.Metadata("db-1")))
	gone := scan()
	assert.True(t, gone.Answered)
	assert.Empty(t, gone.Backups)
	assert.Zero(t, gone.Incomplete, "a folder that is gone is none")
}

func TestAnObjectThatCannotBeFetchedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inBucket := newBucket(t)
		inBucket.backup(completedBackup("db", "db-1", midnight.Add(-25*time.Hour)))
		inBucket.backup(completedBackup("db", "db-2", midnight.Add(-time.Hour)))
		failing := &failingGet{Store: inBucket, key: store.Metadata("db-2")}
		var log bytes.Buffer
		source := bucket.New(func(context.Context) (store.Store, error) { return failing, nil }, slog.New(slog.NewTextHandler(&log, nil)))

		for range 3 {
			scan, err := source.ListBackups(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []string{"db-1"}, namesOf(scan.Backups))
			require.Len(t, scan.Unreadable, 1)
		}
		assert.Equal(t, 1, strings.Count(log.String(), store.Metadata("db-2")), "it is logged once, not at each scan")

		failing.key = ""
		time.Sleep(time.Minute) // the bubble's time
		scan, err := source.ListBackups(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"db-1", "db-2"}, namesOf(scan.Backups))
		assert.Empty(t, scan.Unreadable)
	})
}

func TestAListingThatBreaksOffFailsTheScan(t *testing.T) {
	inBucket := newBucket(t)
	inBucket.backup(completedBackup("db", "db-1", day(-1)))
	inBucket.backup(completedBackup("db", "db-2", day(0)))
	faults := storetest.NewFaults(inBucket, storetest.Fault{Method: storetest.List, Nth: 1, When: storetest.During})
	source, _ := locationOf(faults)
	scan, err := source.ListBackups(t.Context())
	assert.ErrorIs(t, err, storetest.ErrInjected)
	assert.False(t, scan.Answered)
	assert.Empty(t, scan.Backups, "half a listing is not what the location holds")
	faults.AssertAllFired(t)
}

func TestAReadingThatRunsOutOfTimeGoesOnAtTheNext(t *testing.T) {
	inBucket := newBucket(t)
	for i := range 50 {
		inBucket.backup(completedBackup("db", fmt.Sprint("db-", i), day(0).Add(-time.Duration(i)*time.Hour)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	slow := &countdown{Store: inBucket, done: cancel}
	slow.left.Store(20)
	source, _ := locationOf(slow)
	_, err := source.ListBackups(ctx)
	require.ErrorIs(t, err, context.Canceled)

	before := source.Requests().Get
	scan, err := source.ListBackups(t.Context())
	require.NoError(t, err)
	assert.Len(t, scan.Backups, 50)
	assert.Less(t, source.Requests().Get-before, uint64(50), "what was read in time is not read again")
}

func TestADirectoryThatIsReplacedIsReadAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "location")
	write := func(b fact.Backup) {
		s, err := fs.Open(dir, true)
		require.NoError(t, err)
		defer s.Close()
		require.NoError(t, s.Put(t.Context(), store.Contents(b.Name), strings.NewReader("archive")))
		require.NoError(t, s.Put(t.Context(), store.Metadata(b.Name), bytes.NewReader(metadataOf(t, b))))
	}
	source := bucket.New(func(context.Context) (store.Store, error) { return fs.Open(dir, false) }, silent())

	_, err := source.ListBackups(t.Context())
	require.Error(t, err, "it is not there yet")

	write(completedBackup("db", "db-1", day(-1)))
	scan, err := source.ListBackups(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"db-1"}, namesOf(scan.Backups))

	require.NoError(t, os.RemoveAll(dir))
	_, err = source.ListBackups(t.Context())
	require.Error(t, err, "a directory that is gone is not an empty location")

	write(completedBackup("db", "db-2", day(0)))
	scan, err = source.ListBackups(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"db-2"}, namesOf(scan.Backups))
}
