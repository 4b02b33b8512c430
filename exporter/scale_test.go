package exporter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/bucket"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// wide is a bucket of many backups, each of ten files, that are made when they
// are asked for. Each of its schedules ran every
// hour until now, and each run took an hour.
type wide struct {
	store.Store
	schedules int
	first     time.Time // start of the first run
	metadata  []byte    // of a backup
}

func (w *wide) runs() int { return int(time.Since(w.first) / time.Hour) }

func (w *wide) name(schedule, run int) string {
	return fmt.Sprintf("schedule-%03d-%06d", schedule, run)
}

func (w *wide) List(_ context.Context, prefix string, recursive bool) iter.Seq2[store.Info, error] {
	return w.list(prefix, "", recursive)
}

func (w *wide) ListAfter(_ context.Context, prefix, after string) iter.Seq2[store.Info, error] {
	return w.list(prefix, after, true)
}

// list begins at the folder that after or prefix names, and not at the first: at
// that many a test would spend its time there.
func (w *wide) list(prefix, after string, recursive bool) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		schedule, run := 0, 0
		if n, _ := fmt.Sscanf(max(prefix, after), store.BackupsPrefix+"schedule-%d-%d/", &schedule, &run); n != 2 {
			schedule, run = 0, 0
		}
		for runs := w.runs(); schedule < w.schedules; schedule, run = schedule+1, 0 {
			for ; run < runs; run++ {
				name := w.name(schedule, run)
				switch {
				case !strings.HasPrefix(store.BackupPrefix(name), prefix):
					return
				case !recursive && !yield(store.Info{Key: store.BackupPrefix(name)}, nil):
					return
				case recursive && !w.files(name, w.first.Add(time.Duration(run+1)*time.Hour), yield):
					return
				}
			}
		}
	}
}

func (w *wide) files(name string, written time.Time, yield func(store.Info, error) bool) bool {
	for _, suffix := range []string{
		"-csi-volumesnapshotclasses.json.gz", "-itemoperations.json.gz", "-logs.gz", "-podvolumebackups.json.gz", "-resource-list.json.gz",
		"-results.gz", "-volumeinfo.json.gz", "-volumesnapshots.json.gz", ".tar.gz",
	} {
		if !yield(store.Info{Key: store.BackupPrefix(name) + name + suffix, Size: 29, Modified: written}, nil) {
			return false
		}
	}
	return yield(store.Info{Key: store.Metadata(name), Size: int64(len(w.metadata)), Modified: written}, nil)
}

func (w *wide) Get(_ context.Context, key string) (io.ReadCloser, error) {
	name, _, _ := strings.Cut(strings.TrimPrefix(key, store.BackupsPrefix), "/")
	content := bytes.ReplaceAll(w.metadata, []byte("schedule-000-000000"), []byte(name))
	content = bytes.ReplaceAll(content, []byte(`"velero.io/schedule-name":"schedule-000"`), fmt.Appendf(nil, `"velero.io/schedule-name":%q`, name[:len("schedule-000")]))
	return io.NopCloser(bytes.NewReader(content)), nil
}

func (w *wide) String() string { return "wide://" }

// These numbers are those of docs/metrics.md, Cost. In a page of S3 there are
// 1,000 entries.
func TestAnUnchangedLocationOfAHundredThousandBackupsIsReadWithoutAGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const schedules, backups = 500, 100_000
		time.Sleep(20 * time.Minute) // all runs are 20 minutes old, and quiet
		w := &wide{schedules: schedules, first: time.Now().Add(-20*time.Minute - backups/schedules*time.Hour)}
		w.metadata = metadataOf(t, completedBackup("schedule-000", "schedule-000-000000", w.first))
		source, _ := locationOf(&paged{Store: w, size: bucket.PageObjects})
		before := memory()
		read := func(want int) fact.Requests {
			already := source.Requests()
			scan, err := source.ListBackups(t.Context())
			require.NoError(t, err)
			require.Len(t, scan.Backups, want)
			now := source.Requests()
			return fact.Requests{List: now.List - already.List, Get: now.Get - already.Get}
		}

		first := read(backups)
		assert.Equal(t, uint64(backups), first.Get, "each backup once")
		assert.LessOrEqual(t, first.List, uint64(100+1000+60), "names, files, and a request more for each piece of the listing")
		t.Logf("first reading: %+v; memory %d MB", first, (memory()-before)>>20)

		time.Sleep(time.Minute)
		next := read(backups)
		assert.Zero(t, next.Get)
		assert.LessOrEqual(t, next.List, uint64(100+20), "names, and the files of a sixtieth")
		t.Logf("next reading, unchanged: %+v", next)

		time.Sleep(39 * time.Minute) // each schedule has run once more
		read(backups + schedules)
		time.Sleep(time.Minute)
		quiet := read(backups + schedules)
		t.Logf("a minute after 500 new backups: %+v", quiet)
		assert.Zero(t, quiet.Get)
		assert.LessOrEqual(t, quiet.List, uint64(101+schedules+20), "one more for each backup that is not quiet yet")
		runtime.KeepAlive(source)
	})
}

// memory is what is in use, in bytes.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
