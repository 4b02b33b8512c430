package catalog

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// metadata is a velero-backup.json.
func metadata(name, schedule, phase string, started time.Time) string {
	return fmt.Sprintf(`{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":%q,"labels":{"velero.io/schedule-name":%q}},"status":{"phase":%q,"startTimestamp":%q}}`,
		name, schedule, phase, started.Format(time.RFC3339))
}

func put(t testing.TB, s store.Store, key, text string) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, strings.NewReader(text)))
}

func TestListReportsWhatIsNoBackup(t *testing.T) {
	s := mem.New()
	put(t, s, store.Metadata("nightly"), metadata("nightly", "", "Completed", epoch))
	put(t, s, store.Contents("half"), "x")
	put(t, s, store.Metadata("broken"), "{")
	put(t, s, store.Metadata("alien"), `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"alien"}}`)
	put(t, s, store.Metadata("renamed"), `{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"other"}}`)
	put(t, s, "backups/README", "not a folder")
	put(t, s, "backups/Not A Name/velero-backup.json", "{}")
	all, err := List(t.Context(), s)
	require.NoError(t, err)
	got := map[string]string{}
	for _, e := range all {
		got[e.Name] = fmt.Sprint(e.Err)
	}
	assert.Equal(t, "<nil>", got["nightly"])
	assert.Contains(t, got["half"], "no such backup")
	assert.Contains(t, got["broken"], "damaged")
	assert.Contains(t, got["alien"], "holds v1 Pod")
	assert.Contains(t, got["renamed"], `"other"`)
	assert.Contains(t, got["Not A Name"], "not valid")
	assert.Len(t, got, 6)
	assert.Equal(t, "nightly", all[0].Name, "newest first")
}

func TestListReadsEachBackupOnceNewestFirst(t *testing.T) {
	const backups = 300
	inner := mem.New()
	for i := range backups {
		name := fmt.Sprint("b", i)
		put(t, inner, store.Metadata(name), metadata(name, "", "Completed", epoch.Add(time.Duration(i)*time.Minute)))
	}
	s := storetest.Calls(inner)
	all, err := List(t.Context(), s)
	require.NoError(t, err)
	assert.Equal(t, 1, s.Count(storetest.List))
	assert.Equal(t, backups, s.Count(storetest.Get))
	require.Len(t, all, backups)
	for i, e := range all {
		require.NoError(t, e.Err)
		assert.Equal(t, fmt.Sprint("b", backups-1-i), e.Name)
	}
}

func TestEachKeepsWhatTheCallerWants(t *testing.T) {
	s := mem.New()
	put(t, s, store.Metadata("a"), metadata("a", "x", "Completed", epoch))
	put(t, s, store.Metadata("b"), "{")
	got, err := Each(t.Context(), s, func(e Entry) string { return fmt.Sprint(e.Name, " ", e.Backup.Status.Phase, " ", e.Err != nil) })
	require.NoError(t, err)
	assert.Equal(t, []string{"a Completed false", "b  true"}, got)
}

// Anybody who can write to the bucket may have put the file there.
func TestABombInPlaceOfABackupIsDamaged(t *testing.T) {
	s := mem.New()
	put(t, s, store.Metadata("values"), `{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"values"},"spec":{"hooks":{"resources":[`+strings.Repeat("{},", MaxMetadataValues)+`{}]}}}`)
	put(t, s, store.Metadata("long"), `{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"long"},"spec":{"storageLocation":"`+strings.Repeat("a", MaxMetadata)+`"}}`)
	put(t, s, store.Metadata("deep"), strings.Repeat(`{"metadata":`, 1000)+"{}"+strings.Repeat("}", 1000))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	all, err := List(t.Context(), s)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Len(t, all, 3)
	for _, e := range all {
		require.ErrorIs(t, e.Err, ErrDamaged, e.Name)
		assert.Empty(t, e.Backup.Name)
	}
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<20), "bytes allocated in all")
}

func TestABombInPlaceOfAResourceListIsRejected(t *testing.T) {
	s := mem.New()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := io.WriteString(w, `{"v1/Pod":[`+strings.Repeat(`"",`, 2*MaxResourceListValues)+`""]}`)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, s.Put(t.Context(), store.ResourceList("b"), &z))
	_, err = Items(t.Context(), s, "b", manifest.Manifest{})
	assert.ErrorIs(t, err, jsonbound.ErrTooLarge)
}

func TestNewestIsTheNewestRestorableBackup(t *testing.T) {
	type backup struct {
		name, schedule, phase string
		started               time.Duration // after epoch
	}
	day := 24 * time.Hour
	scheduled := func(schedule string, created, started time.Duration, phase string) backup {
		return backup{schedule + "-" + epoch.Add(created).Format("20060102150405"), schedule, phase, started}
	}
	for name, c := range map[string]struct {
		backups  []backup
		schedule string
		want     int // index, -1 for none
	}{
		"nothing":                           {nil, "", -1},
		"one of a schedule":                 {[]backup{scheduled("a", 0, 0, "Completed"), scheduled("a", day, day, "Completed")}, "a", 1},
		"one of all schedules":              {[]backup{scheduled("a", day, day, "Completed"), scheduled("b", 0, 0, "Completed")}, "", 0},
		"of no such schedule":               {[]backup{scheduled("a", day, day, "Completed")}, "b", -1},
		"not a failed one":                  {[]backup{scheduled("a", 0, 0, "PartiallyFailed"), scheduled("a", day, day, "Failed")}, "a", 0},
		"one that waited in a queue":        {[]backup{scheduled("a", 0, 50*time.Minute, "Completed"), scheduled("a", 30*time.Minute, 30*time.Minute, "Completed")}, "a", 0},
		"one with a name of its own":        {[]backup{scheduled("a", day, day, "Completed"), {"before-upgrade", "a", "Completed", 2 * day}}, "a", 1},
		"an old one with a name of its own": {[]backup{scheduled("a", day, day, "Completed"), {"before-upgrade", "a", "Completed", 0}}, "a", 0},
		"of another schedule by its label":  {[]backup{scheduled("a", day, day, "Completed"), {"manual", "b", "Completed", 2 * day}}, "a", 0},
		"a timestamp after another word":    {[]backup{scheduled("a", 0, 0, "Completed"), {"prod-20200101000000", "a", "Completed", day}}, "a", 1},
		"of all, with a misleading name":    {[]backup{scheduled("a", day, day, "Completed"), {"import-20200101000000", "", "Completed", 2 * day}}, "", 1},
		"of another schedule, by its name":  {[]backup{scheduled("a", 0, 0, "Completed"), {"b-20300101000000", "b", "Completed", 0}}, "a", 0},
		"a schedule whose name has a time":  {[]backup{scheduled("a-20260101000000", day, day, "Completed"), scheduled("a", 0, 0, "Completed")}, "a", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := mem.New()
			for _, b := range c.backups {
				put(t, s, store.Metadata(b.name), metadata(b.name, b.schedule, b.phase, epoch.Add(b.started)))
			}
			put(t, s, store.Metadata("broken"), "{")
			e, err := Newest(t.Context(), s, c.schedule)
			if c.want < 0 {
				require.ErrorIs(t, err, ErrNoBackup)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.backups[c.want].name, e.Name)
			assert.NotEmpty(t, e.MetadataSHA256)
		})
	}
}

// 100 schedules that run every hour have made a hundred thousand backups after
// six weeks.
func TestReadingTheNewestOfAHundredThousandBackupsTakesFewRequests(t *testing.T) {
	const backups, schedules = 100_000, 100
	inner := mem.New()
	last := epoch.Add((backups/schedules - 1) * time.Hour)
	for i := range backups {
		schedule := fmt.Sprint("hourly-", i%schedules)
		at := epoch.Add(time.Duration(i/schedules) * time.Hour)
		name := schedule + "-" + at.Format("20060102150405")
		put(t, inner, store.Metadata(name), metadata(name, schedule, "Completed", at))
	}
	for _, schedule := range []string{"", "hourly-7"} {
		s := storetest.Calls(inner)
		e, err := Newest(t.Context(), s, schedule)
		require.NoError(t, err)
		assert.True(t, last.Equal(e.Started()))
		require.Equal(t, 1, s.Count(storetest.List))
		pages, gets := backups/1000, s.Count(storetest.Get)
		t.Logf("newest of %q among %d backups: %d pages of LIST, %d GET", schedule, backups, pages, gets)
		assert.Less(t, pages+gets, 500)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(metadata("nightly", "a", "Completed", epoch)))
	f.Add([]byte(`{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"nightly","creationTimestamp":"0000-01-01T00:00:00Z"},"status":{"phase":"New"}}`))
	f.Add([]byte(`{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"nightly"},"spec":{"ttl":"1e9h"},"status":{"progress":null}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := Decode(bytes.NewReader(raw))
		if err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			require.Empty(t, b.Name, "nothing of a bad one is believed")
			return
		}
		_ = Entry{Name: b.Name, Backup: b}.Started()
		again, err := json.Marshal(b)
		if err != nil {
			return // a time that JSON cannot hold
		}
		_, err = Decode(bytes.NewReader(again))
		require.NoError(t, err, "what was read can be written and read again")
	})
}
