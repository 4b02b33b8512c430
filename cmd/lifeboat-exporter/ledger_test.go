package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func successes(n int) string {
	return fmt.Sprintf("velero_backup_success_total{schedule=\"db\"} %d\n", n)
}

// runNow writes a backup that ends a minute from now, and so after a ledger that
// has begun.
func runNow(t *testing.T, dir, name string) {
	t.Helper()
	writeBackup(t, dir, name, "db", time.Now())
}

func TestCountersSurviveKillsExpiryAndASecondExporter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	require.NoError(t, os.Mkdir(dir, 0o755))
	args := []string{"--location", "file://" + dir, "--ledger", "file://" + dir, "--schedule", "db=0 2 * * *"}
	a, b := start(t, args...), start(t, args...)
	a.metrics(t, successes(0))
	b.metrics(t, successes(0))
	for n := 1; n <= 3; n++ {
		runNow(t, dir, fmt.Sprintf("db-%d", n))
		a.metrics(t, successes(n))
		b.metrics(t, successes(n))
		exit, _, _ := a.end(syscall.SIGKILL)
		assert.Equal(t, -1, exit)
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "backups", fmt.Sprintf("db-%d", n)))) // as when it expires
		a = start(t, args...)
		body := a.metrics(t, successes(n))
		assert.Contains(t, body, "lifeboat_exporter_ledger_persistent 1\n")
		assert.Contains(t, body, `lifeboat_exporter_source_up{backup_location_name="",source="ledger"} 1`)
		assert.Contains(t, body, `lifeboat_schedule_backups{phase="Completed",schedule="db"} 0`)
	}
	assert.Equal(t, since(t, a), since(t, b), "both count from the beginning of the ledger")
	for _, p := range []process{a, b} {
		exit, _, log := p.end(syscall.SIGTERM)
		assert.Zero(t, exit, log)
	}
}

// since is the line that says when the ledger began.
func since(t *testing.T, p process) string {
	t.Helper()
	const name = "\nlifeboat_exporter_ledger_start_timestamp_seconds "
	_, rest, ok := strings.Cut(p.metrics(t, name), name)
	require.True(t, ok)
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

func TestWithoutALedgerNothingIsWrittenAndCountersBeginAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	runNow(t, dir, "db-0")
	before := files(t, dir)
	for range 2 {
		p := start(t, "--location", "file://"+dir)
		body := p.metrics(t, successes(1))
		assert.Contains(t, body, "lifeboat_exporter_ledger_persistent 0\n")
		exit, _, log := p.end(syscall.SIGTERM)
		assert.Zero(t, exit, log)
	}
	assert.Equal(t, before, files(t, dir))
}

func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		out = append(out, path)
		return err
	}))
	return out
}

func TestALedgerThatCannotBeReachedIsShownAsDown(t *testing.T) {
	dir := t.TempDir()
	runNow(t, dir, "db-1")
	p := start(t, "--location", "file://"+dir, "--ledger", "file://"+dir+"/mistyped")
	body := p.metrics(t, `lifeboat_schedule_backups{phase="Completed",schedule="db"} 1`)
	assert.Contains(t, body, `lifeboat_exporter_source_up{backup_location_name="",source="ledger"} 0`)
	assert.NotContains(t, body, "velero_backup_attempt_total", "a counter that began anew would look like a reset")
	require.NoDirExists(t, dir+"/mistyped", "a mistyped ledger is not made")

	require.NoError(t, os.Mkdir(dir+"/mistyped", 0o755))
	p.metrics(t, successes(1))
	exit, _, log := p.end(syscall.SIGTERM)
	assert.Zero(t, exit, log)
	assert.Contains(t, log, "open the ledger")
}
