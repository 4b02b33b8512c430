package check_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/catalog"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/volume"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// bucket is a location's content by key.
type bucket map[string][]byte

func (b bucket) clone() bucket { return maps.Clone(b) }

func (b bucket) store(t testing.TB) *mem.Store {
	t.Helper()
	s := mem.New()
	for k, v := range b {
		require.NoError(t, s.Put(t.Context(), k, bytes.NewReader(v)))
	}
	return s
}

const veleros = "notes-1h-20261122084242"

// velerosBucket is the bucket in test/fixtures that Velero v1.18.1 wrote.
func velerosBucket(t testing.TB) bucket {
	t.Helper()
	f, err := os.Open("../../test/fixtures/velero-v1.18.1/bucket-small.tar.gz")
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	b := bucket{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if key, inLocation := strings.CutPrefix(h.Name, "backups-bucket/prod/"); inLocation && h.Typeflag == tar.TypeReg {
			b[key], err = io.ReadAll(r)
			require.NoError(t, err)
		}
	}
	require.Contains(t, b, store.Metadata(veleros))
	return b
}

const ours = "nightly-1"

// ourBucket holds one backup as Lifeboat writes it, with a volume that was
// skipped.
func ourBucket(t testing.TB) bucket {
	t.Helper()
	items := append(archivetest.Items(),
		object(item.Key{Resource: "persistentvolumes", Name: "pv-1"}, "PersistentVolume", `"spec":{"claimRef":{"namespace":"shop","name":"data"}}`),
		object(item.Key{Resource: "persistentvolumeclaims", Namespace: "shop", Name: "data"}, "PersistentVolumeClaim", `"spec":{"volumeName":"pv-1"}`))
	var contents bytes.Buffer
	w := archive.NewWriter(&contents, archive.Options{})
	m := manifest.Manifest{Schema: manifest.Schema, Backup: ours, Files: map[string]manifest.Digest{}}
	list := map[string][]string{}
	for _, it := range items {
		d, err := w.Add(it)
		require.NoError(t, err)
		m.Items = append(m.Items, manifest.Item{Key: it.Key, Version: it.Version, Kind: it.Kind, Digest: manifest.Digest(d)})
		name := strings.TrimPrefix(it.Key.Namespace+"/"+it.Key.Name, "/")
		list[it.APIVersion()+"/"+it.Kind] = append(list[it.APIVersion()+"/"+it.Kind], name)
	}
	require.NoError(t, w.Close())
	now := metav1.Now()
	metadata := velerov1.Backup{
		TypeMeta:   metav1.TypeMeta{Kind: "Backup", APIVersion: velerov1.APIVersion},
		ObjectMeta: metav1.ObjectMeta{Name: ours, Namespace: "velero", UID: "u-1", Annotations: map[string]string{api.AnnotationManifest: manifest.Schema}},
		Status: velerov1.BackupStatus{
			Version: 1, FormatVersion: archive.FormatVersion, Phase: velerov1.BackupPhaseCompleted, StartTimestamp: &now, CompletionTimestamp: &now,
			Progress: &velerov1.BackupProgress{TotalItems: len(items), ItemsBackedUp: len(items)}, HookStatus: &velerov1.HookStatus{},
		},
	}
	b := bucket{
		store.Contents(ours):         contents.Bytes(),
		store.Log(ours):              archivetest.Gzip(t, []byte("level=info msg=started\n")),
		store.Results(ours):          zipped(t, check.Results{}),
		store.ResourceList(ours):     zipped(t, list),
		store.VolumeInfo(ours):       zipped(t, []volume.Info{{PVName: "pv-1", PVCName: "data", PVCNamespace: "shop", Skipped: true, SkippedReason: "objects only"}}),
		store.PodVolumeBackups(ours): zipped(t, []int{}),
		store.VolumeSnapshots(ours):  zipped(t, nil),
		store.ItemOperations(ours):   zipped(t, nil),
	}
	var err error
	b[store.Metadata(ours)], err = json.MarshalIndent(metadata, "", "  ")
	require.NoError(t, err)
	for key, content := range b {
		sum := sha256.Sum256(content)
		m.Files[strings.TrimPrefix(key, store.BackupPrefix(ours))] = manifest.Digest{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	}
	b.setManifest(t, m)
	return b
}

func object(k item.Key, kind, rest string) item.Item {
	it := archivetest.Object(k, "v1", kind, "")
	it.Raw = []byte(strings.TrimSuffix(string(it.Raw), "}") + "," + rest + "}")
	return it
}

func zipped(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return archivetest.Gzip(t, append(b, '\n'))
}

func (b bucket) setManifest(t testing.TB, m manifest.Manifest) {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, m.Encode(&out))
	b[store.Manifest(m.Backup)] = out.Bytes()
}

func (b bucket) manifest(t testing.TB, backup string) manifest.Manifest {
	t.Helper()
	m, err := manifest.Decode(bytes.NewReader(b[store.Manifest(backup)]))
	require.NoError(t, err)
	return m
}

// edit changes the text of a file, decompressed if it is gzip.
func (b bucket) edit(t testing.TB, key, old, new string) {
	t.Helper()
	text, compressed := b[key], strings.HasSuffix(key, ".gz")
	if compressed {
		z, err := gzip.NewReader(bytes.NewReader(text))
		require.NoError(t, err)
		text, err = io.ReadAll(z)
		require.NoError(t, err)
	}
	require.Contains(t, string(text), old, key)
	text = bytes.ReplaceAll(text, []byte(old), []byte(new))
	if compressed {
		text = archivetest.Gzip(t, text)
	}
	b[key] = text
}

// entries unpacks the tarball of a backup.
func (b bucket) entries(t testing.TB, backup string) []archivetest.Entry {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b[store.Contents(backup)]))
	require.NoError(t, err)
	var entries []archivetest.Entry
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return entries
		}
		require.NoError(t, err)
		body, err := io.ReadAll(r)
		require.NoError(t, err)
		entries = append(entries, archivetest.Entry{Path: h.Name, Body: body})
	}
}

func verify(t testing.TB, b bucket, backup string) ([]report.Check, []report.Finding) {
	t.Helper()
	in, err := check.Gather(t.Context(), b.store(t), backup, check.IntegrityOptions{})
	require.NoError(t, err)
	checks, findings := check.Decide(in)
	verdicts := map[string]report.Verdict{}
	for _, c := range checks {
		verdicts[c.Name] = c.Verdict
	}
	for _, f := range findings {
		require.Equal(t, report.Failed, verdicts[f.Check], "a finding belongs to a failed check: %+v", f)
		require.NotEmpty(t, f.Message)
	}
	return checks, findings
}

// failedChecks are the names of the checks that failed, in order.
func failedChecks(checks []report.Check) []string {
	var names []string
	for _, c := range checks {
		if c.Verdict == report.Failed {
			names = append(names, c.Name)
		}
	}
	return names
}

func TestASoundBackupPassesEveryCheck(t *testing.T) {
	for backup, b := range map[string]bucket{veleros: velerosBucket(t), ours: ourBucket(t)} {
		t.Run(backup, func(t *testing.T) {
			checks, findings := verify(t, b, backup)
			assert.Empty(t, findings)
			assert.Equal(t, report.Passed, check.Verdict(checks, findings))
			var names []string
			for _, c := range checks {
				assert.Equal(t, report.Passed, c.Verdict, c.Name)
				names = append(names, c.Name)
			}
			if backup == ours {
				assert.Len(t, names, len(check.All())-1, "with a manifest every check is asked but that of volume data, which it does not have")
			} else {
				assert.Contains(t, names, dataCheck)
				assert.NotContains(t, names, "files_digests", "nothing was checked that there is nothing to check against")
			}
		})
	}
}

// Each sabotage of Velero's backup is found by the check that is there for it,
// without a manifest.
func TestSabotageOfVelerosBackupIsFound(t *testing.T) {
	sound := velerosBucket(t)
	entries := sound.entries(t, veleros)
	const service = "resources/services/namespaces/notes/notes.json"
	rebuilt := func(e []archivetest.Entry) func(*testing.T, bucket) {
		return func(t *testing.T, b bucket) { b[store.Contents(veleros)] = archivetest.Build(t, e...) }
	}
	edit := func(key func(string) string, old, new string) func(*testing.T, bucket) {
		return func(t *testing.T, b bucket) { b.edit(t, key(veleros), old, new) }
	}
	for name, c := range map[string]struct {
		do   func(*testing.T, bucket)
		want string
	}{
		"an item's JSON is of another object": {rebuilt(archivetest.Replace(entries, service, func(e *archivetest.Entry) {
			e.Body = bytes.Replace(e.Body, []byte(`"name":"notes"`), []byte(`"name":"other"`), 1)
		})), "archive_readable"},
		"an item and its copy are missing": {rebuilt(slices.DeleteFunc(slices.Clone(entries), func(e archivetest.Entry) bool {
			return strings.Contains(e.Path, "services/")
		})), "resource_list_agrees"},
		"an item is missing and its copy is there": {rebuilt(slices.DeleteFunc(slices.Clone(entries), func(e archivetest.Entry) bool {
			return e.Path == service
		})), "archive_readable"},
		"an entry climbs out":     {rebuilt(append(slices.Clone(entries), archivetest.File("../../etc/cron.d/x", "x"))), "archive_readable"},
		"an entry lies beside":    {rebuilt(append(slices.Clone(entries), archivetest.File("resources2/services/namespaces/notes/x.json", "{}"))), "archive_readable"},
		"an entry is there twice": {rebuilt(append(slices.Clone(entries), entries[1])), "archive_readable"},
		"an entry is a link":      {rebuilt(append(slices.Clone(entries), archivetest.Entry{Path: service + "x", Type: tar.TypeSymlink, Link: "/etc/passwd"})), "archive_readable"},
		"an item was added": {rebuilt(append(slices.Clone(entries), archivetest.Entry{
			Path: "resources/configmaps/namespaces/notes/new.json",
			Body: archivetest.Object(item.Key{Resource: "configmaps", Namespace: "notes", Name: "new"}, "v1", "ConfigMap", "").Raw,
		})), "resource_list_agrees"},
		"the tarball is a bomb": {func(t *testing.T, b bucket) {
			var bomb bytes.Buffer
			require.NoError(t, archivetest.Bomb(&bomb, 1200<<20))
			b[store.Contents(veleros)] = bomb.Bytes()
		}, "archive_readable"},
		"the tarball is that of another backup": {rebuilt(archivetest.Entries(archivetest.Items()...)), "resource_list_agrees"},
		"the tarball is empty":                  {func(_ *testing.T, b bucket) { b[store.Contents(veleros)] = nil }, "archive_readable"},
		"the resource list names too much":      {edit(store.ResourceList, `"notes/token"`, `"notes/token","notes/other"`), "resource_list_agrees"},
		"the resource list names too little":    {edit(store.ResourceList, `"v1/Secret":["notes/token"],`, ``), "resource_list_agrees"},
		"the resource list has another version": {edit(store.ResourceList, `"apps/v1/Deployment"`, `"apps/v1beta1/Deployment"`), "resource_list_agrees"},
		"one item more was counted":             {edit(store.Metadata, `"itemsBackedUp": 20`, `"itemsBackedUp": 21`), "counts_agree"},
		"one item less was counted":             {edit(store.Metadata, `"itemsBackedUp": 20`, `"itemsBackedUp": 19`), "counts_agree"},
		"not all items were backed up":          {edit(store.Metadata, `"totalItems": 20`, `"totalItems": 25`), "counts_agree"},
		"the metadata has another name":         {edit(store.Metadata, `"name": "notes-1h-20261122084242"`, `"name": "other"`), "metadata_valid"},
		"the metadata is of another kind":       {edit(store.Metadata, `"kind": "Backup"`, `"kind": "Restore"`), "metadata_valid"},
		"the metadata is no JSON":               {edit(store.Metadata, `"status": {`, `"status": `), "metadata_valid"},
		"the metadata is of a later format":     {edit(store.Metadata, `"formatVersion": "1.1.0"`, `"formatVersion": "2.0.0"`), "metadata_valid"},
		"the backup was left InProgress":        {edit(store.Metadata, `"phase": "Completed"`, `"phase": "InProgress"`), "metadata_valid"},
		"the backup was left Finalizing":        {edit(store.Metadata, `"phase": "Completed"`, `"phase": "Finalizing"`), "metadata_valid"},
		"the backup Failed":                     {edit(store.Metadata, `"phase": "Completed"`, `"phase": "Failed"`), "metadata_valid"},
		"the phase is none":                     {edit(store.Metadata, `"phase": "Completed",`, ``), "metadata_valid"},
		"the backup ended before it began":      {edit(store.Metadata, `"completionTimestamp": "2026-11-22`, `"completionTimestamp": "2026-11-21`), "metadata_valid"},
		"the tarball is of a later format": {rebuilt(archivetest.Replace(entries, archive.VersionFile, func(e *archivetest.Entry) {
			e.Body = []byte("2.0.0")
		})), "archive_readable"},
		"the phase is unknown":                 {edit(store.Metadata, `"phase": "Completed"`, `"phase": "Complete"`), "metadata_valid"},
		"the backup has no end":                {edit(store.Metadata, `"completionTimestamp": "2026-11-22T08:42:49Z",`, ``), "metadata_valid"},
		"a volume record names another volume": {edit(store.VolumeInfo, `"pvName":"pv-notes"`, `"pvName":"pv-other"`), "volume_records_consistent"},
		"a volume record names another claim":  {edit(store.VolumeInfo, `"pvcName":"notes"`, `"pvcName":"other"`), "volume_records_consistent"},
		"a volume record names no method":      {edit(store.VolumeInfo, `"backupMethod":"PodVolumeBackup",`, ``), "volume_records_consistent"},
		"a volume record names another snapshot": {
			edit(store.VolumeInfo, "7866ab99d8e5151f66ed5241d65ea594", "7866ab99d8e5151f66ed5241d65ea595"), "volume_records_consistent"},
		"a volume record names no snapshot": {
			edit(store.VolumeInfo, `"snapshotHandle":"7866ab99d8e5151f66ed5241d65ea594"`, `"snapshotHandle":""`), "volume_records_consistent"},
		"a volume record says failed": {edit(store.VolumeInfo, `"result":"succeeded"`, `"result":"failed"`), "volume_records_consistent"},
		"the volume records are none": {func(t *testing.T, b bucket) { b[store.VolumeInfo(veleros)] = zipped(t, nil) }, "volume_records_consistent"},
		"a PodVolumeBackup has no snapshot": {
			edit(store.PodVolumeBackups, `"snapshotID":"7866ab99d8e5151f66ed5241d65ea594"`, `"snapshotID":""`), "volume_records_consistent"},
		"a PodVolumeBackup has failed":             {edit(store.PodVolumeBackups, `"phase":"Completed"`, `"phase":"Failed"`), "volume_records_consistent"},
		"a PodVolumeBackup is of another backup":   {edit(store.PodVolumeBackups, `"velero.io/backup-name":"notes`, `"velero.io/backup-name":"other`), "volume_records_consistent"},
		"a PodVolumeBackup has another backup UID": {edit(store.PodVolumeBackups, `06fccc08`, `16fccc08`), "volume_records_consistent"},
		"the PodVolumeBackups are none":            {func(t *testing.T, b bucket) { b[store.PodVolumeBackups(veleros)] = zipped(t, nil) }, "volume_records_consistent"},
		"a native snapshot has no ID": {func(t *testing.T, b bucket) {
			b[store.VolumeSnapshots(veleros)] = zipped(t, []volume.Snapshot{{Spec: volume.SnapshotSpec{BackupName: veleros}, Status: volume.SnapshotStatus{Phase: volume.SnapshotPhaseCompleted}}})
		}, "volume_records_consistent"},
		"the results list an error":      {edit(store.Results, `"errors":{}`, `"errors":{"velero":["lost"]}`), "results_readable"},
		"the backup counts an error":     {edit(store.Metadata, `"version": 1,`, `"version": 1, "errors": 1,`), "results_readable"},
		"the results are no JSON":        {edit(store.Results, `}`, `]`), "results_readable"},
		"the volume records are no JSON": {edit(store.VolumeInfo, `}`, `]`), "companions_readable"},
		"the resource list is a list":    {func(t *testing.T, b bucket) { b[store.ResourceList(veleros)] = zipped(t, []int{1}) }, "companions_readable"},
		"the log is cut short":           {func(_ *testing.T, b bucket) { k := store.Log(veleros); b[k] = b[k][:len(b[k])-9] }, "companions_readable"},
		"a file holds two documents":     {edit(store.ItemOperations, `[]`, `[] []`), "companions_readable"},
		"a file has a second part": {func(t *testing.T, b bucket) {
			k := store.ItemOperations(veleros)
			b[k] = append(bytes.Clone(b[k]), archivetest.Gzip(t, nil)...)
		}, "companions_readable"},
		"a file goes on after its end": {func(_ *testing.T, b bucket) { k := store.ItemOperations(veleros); b[k] = append(bytes.Clone(b[k]), 0) }, "companions_readable"},
	} {
		t.Run(name, func(t *testing.T) {
			b := sound.clone()
			c.do(t, b)
			checks, findings := verify(t, b, veleros)
			assert.Contains(t, failedChecks(checks), c.want, "%+v", findings)
		})
	}
}

// With a manifest, whatever is done to a backup is found, and named.
func TestSabotageOfOurBackupIsFound(t *testing.T) {
	sound := ourBucket(t)
	entries := sound.entries(t, ours)
	const certificate = "resources/configmaps/namespaces/shop/kube-root-ca.crt.json"
	alter := func(e *archivetest.Entry) {
		e.Body = bytes.Replace(e.Body, []byte("certificate"), []byte("certifiable"), 1)
	}
	changeManifest := func(change func(*manifest.Manifest)) func(*testing.T, bucket) {
		return func(t *testing.T, b bucket) {
			m := b.manifest(t, ours)
			change(&m)
			m.Backup = ours
			b.setManifest(t, m)
		}
	}
	for name, c := range map[string]struct {
		do   func(*testing.T, bucket)
		want []string
	}{
		"an item was altered, and so was its copy": {func(t *testing.T, b bucket) {
			b[store.Contents(ours)] = archivetest.Build(t, archivetest.Replace(archivetest.Replace(entries, certificate, alter),
				strings.Replace(certificate, "configmaps/", "configmaps/v1-preferredversion/", 1), alter)...)
		}, []string{"files_digests", "items_digests"}},
		"an item was taken out": {func(t *testing.T, b bucket) {
			b[store.Contents(ours)] = archivetest.Build(t, slices.DeleteFunc(slices.Clone(entries), func(e archivetest.Entry) bool {
				return strings.Contains(e.Path, "kube-root-ca.crt")
			})...)
		}, []string{"files_digests", "items_digests", "resource_list_agrees", "counts_agree"}},
		"the tarball was packed anew without copies": {func(t *testing.T, b bucket) {
			b[store.Contents(ours)] = archivetest.Build(t, slices.DeleteFunc(slices.Clone(entries), func(e archivetest.Entry) bool {
				return strings.Contains(e.Path, "-preferredversion/")
			})...)
		}, []string{"files_digests"}},
		"a file was added": {func(_ *testing.T, b bucket) { b[store.BackupPrefix(ours)+"extra"] = []byte("x") }, []string{"files_digests"}},
		"the manifest is of another backup": {func(t *testing.T, b bucket) {
			m := b.manifest(t, ours)
			m.Backup = "other"
			var out bytes.Buffer
			require.NoError(t, m.Encode(&out))
			b[store.Manifest(ours)] = out.Bytes()
		}, []string{"manifest_consistent"}},
		"the manifest has another schema": {changeManifest(func(m *manifest.Manifest) { m.Schema = "lifeboat.dev/manifest/v9" }), []string{"manifest_consistent"}},
		"the manifest lists an item twice": {changeManifest(func(m *manifest.Manifest) { m.Items = append(m.Items, m.Items[0]) }),
			[]string{"manifest_consistent"}},
		"the manifest has a digest that is none": {changeManifest(func(m *manifest.Manifest) { m.Items[0].SHA256 = "abc" }),
			[]string{"manifest_consistent", "items_digests"}},
		"the manifest says another kind": {changeManifest(func(m *manifest.Manifest) { m.Items[0].Kind = "Other" }), []string{"items_digests"}},
		"the manifest lacks an item":     {changeManifest(func(m *manifest.Manifest) { m.Items = m.Items[1:] }), []string{"items_digests"}},
		"the manifest lacks a file":      {changeManifest(func(m *manifest.Manifest) { delete(m.Files, ours+"-results.gz") }), []string{"files_digests"}},
		"the manifest lacks the items":   {changeManifest(func(m *manifest.Manifest) { delete(m.Files, ours+".tar.gz") }), []string{"manifest_consistent", "files_digests"}},
		"a volume record was altered":    {func(t *testing.T, b bucket) { b.edit(t, store.VolumeInfo(ours), "pv-1", "pv-2") }, []string{"files_digests", "volume_records_consistent"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := sound.clone()
			c.do(t, b)
			checks, findings := verify(t, b, ours)
			assert.Equal(t, c.want, failedChecks(checks), "%+v", findings)
		})
	}
}

func TestAMissingFileIsFound(t *testing.T) {
	for backup, sound := range map[string]bucket{veleros: velerosBucket(t), ours: ourBucket(t)} {
		for key := range sound {
			if !strings.HasPrefix(key, store.BackupPrefix(backup)) {
				continue
			}
			t.Run(key, func(t *testing.T) {
				b := sound.clone()
				delete(b, key)
				checks, findings := verify(t, b, backup)
				if key == store.Log(veleros) {
					assert.Empty(t, findings, "Velero does not fail without its log")
					return
				}
				assert.Equal(t, []string{"files_present"}, failedChecks(checks))
				require.Len(t, findings, 1, "one thing is wrong, one is named")
				assert.Equal(t, key, findings[0].Object)
			})
		}
	}
}

func TestATruncatedTarballIsOneFinding(t *testing.T) {
	sound := velerosBucket(t)
	whole := sound[store.Contents(veleros)]
	for i := range 16 {
		b := sound.clone()
		b[store.Contents(veleros)] = whole[:len(whole)*i/16]
		checks, findings := verify(t, b, veleros)
		require.Len(t, findings, 1, "%d/16: %+v", i, findings)
		assert.Equal(t, []string{"archive_readable"}, failedChecks(checks))
		assert.Equal(t, store.Contents(veleros), findings[0].Object)
		assert.Contains(t, findings[0].Message, "truncated")
	}
}

// Without a manifest gzip's sums guard every file but velero-backup.json. Bytes
// 4 to 9 of gzip are a time, flags and a system that no one reads, and deflate
// can say the same in two ways: a change there changes nothing.
func TestAChangedByteInVelerosFilesIsOneFindingOrChangesNothing(t *testing.T) {
	sound := velerosBucket(t)
	for key, content := range sound {
		if !strings.HasPrefix(key, store.BackupPrefix(veleros)) || !strings.HasSuffix(key, ".gz") {
			continue
		}
		want, err := gunzip(content)
		require.NoError(t, err)
		unnoticed := 0
		for i := 0; i < len(content); i += 1 + len(content)/150 {
			b := sound.clone()
			b[key] = archivetest.Flip(content, i)
			_, findings := verify(t, b, veleros)
			if len(findings) > 0 {
				require.Len(t, findings, 1, "%s byte %d: %+v", key, i, findings)
				require.Equal(t, key, findings[0].Object)
				continue
			}
			unnoticed++
			got, err := gunzip(b[key])
			require.NoError(t, err, "%s byte %d", key, i)
			require.Equal(t, want, got, "%s byte %d", key, i)
		}
		assert.LessOrEqual(t, unnoticed, 12, key)
	}
}

func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// With a manifest, every byte of every file counts. The manifest itself is
// guarded by gzip's sum: what gets past that leaves its content as it was.
func TestAChangedByteInOurFilesIsFound(t *testing.T) {
	sound := ourBucket(t)
	want := sound.manifest(t, ours)
	for key, content := range sound {
		for i := 0; i < len(content); i += 1 + len(content)/150 {
			b := sound.clone()
			b[key] = archivetest.Flip(content, i)
			checks, findings := verify(t, b, ours)
			if key == store.Manifest(ours) && len(findings) == 0 {
				require.Equal(t, want, b.manifest(t, ours), "byte %d", i)
				continue
			}
			require.NotEmpty(t, findings, "%s byte %d", key, i)
			if key != store.Manifest(ours) {
				require.Contains(t, failedChecks(checks), "files_digests", "%s byte %d", key, i)
			}
		}
	}
}

func TestAPartiallyFailedBackupPassesAndSaysSo(t *testing.T) {
	b := velerosBucket(t)
	b.edit(t, store.Metadata(veleros), `"phase": "Completed"`, `"phase": "PartiallyFailed", "errors": 2, "warnings": 1`)
	b.edit(t, store.Metadata(veleros), `"itemsBackedUp": 20`, `"itemsBackedUp": 21`)
	b.edit(t, store.Metadata(veleros), `"totalItems": 20`, `"totalItems": 21`)
	b.edit(t, store.ResourceList(veleros), `"notes/token"`, `"notes/token","notes/lost"`)
	b.edit(t, store.Results(veleros), `{"errors":{},"warnings":{}}`, `{"errors":{"velero":["a"],"namespaces":{"notes":["b"]}},"warnings":{"cluster":["c"]}}`)
	b.edit(t, store.PodVolumeBackups(veleros), `"phase":"Completed"`, `"phase":"Failed"`)
	b.edit(t, store.VolumeInfo(veleros), `"result":"succeeded"`, `"result":"failed"`)
	checks, findings := verify(t, b, veleros)
	assert.Empty(t, findings)
	assert.Equal(t, report.Passed, check.Verdict(checks, findings))
	for _, c := range checks {
		if c.Name == "metadata_valid" {
			assert.Contains(t, c.Message, "PartiallyFailed")
		}
	}
	b.edit(t, store.ResourceList(veleros), `"notes/token"`, `"notes/token","notes/lost-2","notes/lost-3"`)
	_, findings = verify(t, b, veleros)
	assert.Len(t, findings, 3, "more is lost than errors account for")
}

// A backup that failed leaves next to nothing; that is one finding, not ten.
func TestAFailedBackupIsOneFinding(t *testing.T) {
	sound := velerosBucket(t)
	b := bucket{store.Metadata(veleros): sound[store.Metadata(veleros)]}
	b.edit(t, store.Metadata(veleros), `"phase": "Completed"`, `"phase": "Failed", "failureReason": "no space left"`)
	checks, findings := verify(t, b, veleros)
	require.Len(t, findings, 1)
	assert.Contains(t, findings[0].Message, "no space left")
	assert.Equal(t, []string{"metadata_valid"}, failedChecks(checks))
}

// Backups of older versions of Velero lack files that newer ones write.
func TestBackupsOfOlderVelerosAreSound(t *testing.T) {
	older := func(keys ...func(string) string) bucket {
		b := velerosBucket(t)
		for _, k := range keys {
			delete(b, k(veleros))
		}
		b.edit(t, store.Metadata(veleros), `"hookStatus": {}`, `"version": 1`)
		b.edit(t, store.Metadata(veleros), `"volumeGroupSnapshotLabelKey": "velero.io/volume-group",`, ``)
		b[store.BackupPrefix(veleros)+veleros+"-csi-volumesnapshots.json.gz"] = zipped(t, []int{})
		return b
	}
	t.Run("1.12 has no volume info", func(t *testing.T) {
		_, findings := verify(t, older(store.VolumeInfo), veleros)
		assert.Empty(t, findings)
	})
	t.Run("1.10 has no results and no operations", func(t *testing.T) {
		b := older(store.VolumeInfo, store.Results, store.ItemOperations)
		_, findings := verify(t, b, veleros)
		assert.Len(t, findings, 2, "spec.itemOperationTimeout shows that it is not that old")
		b.edit(t, store.Metadata(veleros), `"itemOperationTimeout": "4h0m0s",`, ``)
		_, findings = verify(t, b, veleros)
		assert.Empty(t, findings)
	})
	t.Run("status.hookStatus shows 1.13", func(t *testing.T) {
		b := velerosBucket(t)
		delete(b, store.VolumeInfo(veleros))
		b.edit(t, store.Metadata(veleros), `"volumeGroupSnapshotLabelKey": "velero.io/volume-group",`, ``)
		_, findings := verify(t, b, veleros)
		require.Len(t, findings, 1)
		assert.Contains(t, findings[0].Message, "status.hookStatus")
	})
	t.Run("format 1.1.0 shows a resource list", func(t *testing.T) {
		b := older(store.VolumeInfo, store.Results, store.ItemOperations, store.ResourceList)
		b.edit(t, store.Metadata(veleros), `"itemOperationTimeout": "4h0m0s",`, ``)
		_, findings := verify(t, b, veleros)
		require.Len(t, findings, 1)
		assert.Equal(t, store.ResourceList(veleros), findings[0].Object)
	})
	t.Run("before format 1.1.0 nothing is certain", func(t *testing.T) {
		b := older(store.VolumeInfo, store.Results, store.ItemOperations, store.ResourceList, store.PodVolumeBackups)
		b.edit(t, store.Metadata(veleros), `"itemOperationTimeout": "4h0m0s",`, ``)
		b.edit(t, store.Metadata(veleros), `"formatVersion": "1.1.0",`, ``)
		_, findings := verify(t, b, veleros)
		assert.Empty(t, findings)
	})
}

// A data mover's results come into the tarball after Velero has counted.
func TestItemsThatOperationsAddAreExpected(t *testing.T) {
	b := velerosBucket(t)
	upload := archivetest.Object(item.Key{Group: "velero.io", Resource: "datauploads", Namespace: "velero", Name: "du-1"}, "v2alpha1", "DataUpload", "")
	entries := append(b.entries(t, veleros), archivetest.Entries(upload)[1:]...)
	b[store.Contents(veleros)] = archivetest.Build(t, entries...)
	checks, _ := verify(t, b, veleros)
	assert.Equal(t, []string{"resource_list_agrees", "counts_agree"}, failedChecks(checks))

	b[store.ItemOperations(veleros)] = archivetest.Gzip(t, []byte(
		`[{"spec":{"postOperationItems":[{"Group":"velero.io","Resource":"datauploads","Namespace":"velero","Name":"du-1"}]},"status":{"phase":"Completed"}}]`))
	b.edit(t, store.Metadata(veleros), `"phase": "Completed"`, `"phase": "Completed", "backupItemOperationsAttempted": 1`)
	_, findings := verify(t, b, veleros)
	assert.Empty(t, findings)
}

func TestOtherVersionsOfAnItemAreCountedAsVeleroCountsThem(t *testing.T) {
	b := velerosBucket(t)
	k := item.Key{Group: "apps", Resource: "deployments", Namespace: "notes", Name: "notes"}
	b[store.Contents(veleros)] = archivetest.Build(t, append(b.entries(t, veleros), archivetest.Entry{
		Path: "resources/deployments.apps/v1beta2/namespaces/notes/notes.json", Body: archivetest.Object(k, "v1beta2", "Deployment", "").Raw})...)
	b.edit(t, store.Metadata(veleros), `"itemsBackedUp": 20`, `"itemsBackedUp": 21`)
	b.edit(t, store.Metadata(veleros), `"totalItems": 20`, `"totalItems": 21`)
	b.edit(t, store.ResourceList(veleros), `"apps/v1/Deployment":["notes/notes"]`, `"apps/v1/Deployment":["notes/notes"],"apps/v1beta2/Deployment":["notes/notes"]`)
	_, findings := verify(t, b, veleros)
	assert.Empty(t, findings)
}

// gathered is Velero's sound backup as the checks see it, for tests that turn
// one thing in it.
func gathered(t *testing.T) check.Input {
	t.Helper()
	in, err := check.Gather(t.Context(), velerosBucket(t).store(t), veleros, check.IntegrityOptions{})
	require.NoError(t, err)
	return in
}

func TestVolumeRecords(t *testing.T) {
	csi := func(change func(*volume.Info)) func(*check.Input) {
		return func(in *check.Input) {
			info := volume.Info{PVName: "pv-notes", PVCName: "notes", PVCNamespace: "notes", BackupMethod: volume.CSISnapshot}
			change(&info)
			in.VolumeInfos, in.PodVolumeBackups = []volume.Info{info}, nil
		}
	}
	snapshot := func(s volume.Snapshot) func(*check.Input) {
		return func(in *check.Input) { in.Snapshots = []volume.Snapshot{s} }
	}
	for name, c := range map[string]struct {
		turn  func(*check.Input)
		sound bool
	}{
		"a CSI snapshot with a handle": {csi(func(i *volume.Info) { i.CSISnapshotInfo = &volume.CSISnapshotInfo{SnapshotHandle: "snap-1"} }), true},
		"a CSI snapshot without":       {csi(func(i *volume.Info) { i.CSISnapshotInfo = &volume.CSISnapshotInfo{} }), false},
		"moved data with its snapshot": {csi(func(i *volume.Info) {
			i.SnapshotDataMoved, i.SnapshotDataMovementInfo = true, &volume.SnapshotDataMovementInfo{SnapshotHandle: "k1"}
		}), true},
		"moved data with a CSI handle only": {csi(func(i *volume.Info) {
			i.SnapshotDataMoved, i.CSISnapshotInfo = true, &volume.CSISnapshotInfo{SnapshotHandle: "unknown"}
		}), false},
		"a native snapshot in the records": {csi(func(i *volume.Info) {
			i.BackupMethod, i.NativeSnapshotInfo = volume.NativeSnapshot, &volume.NativeSnapshotInfo{SnapshotHandle: "snap-1"}
		}), true},
		"a native snapshot without an ID in the records": {csi(func(i *volume.Info) { i.BackupMethod = volume.NativeSnapshot }), false},
		"a volume without a claim, skipped": {csi(func(i *volume.Info) {
			i.PVCName, i.PVCNamespace, i.BackupMethod, i.Skipped = "gone", "gone", "", true
		}), true},
		"a volume in an emptyDir": {func(in *check.Input) {
			pod := *in.VolumeInfos[0].PVBInfo
			pod.VolumeName = "cache"
			in.VolumeInfos = append(in.VolumeInfos, volume.Info{BackupMethod: volume.PodVolumeBackup, PVBInfo: &pod})
			pvb := in.PodVolumeBackups[0]
			pvb.Spec.Volume = "cache"
			in.PodVolumeBackups = append(in.PodVolumeBackups, pvb)
		}, true},
		"a bound volume without a record": {func(in *check.Input) { in.VolumeInfos, in.PodVolumeBackups = nil, nil }, false},
		"an unbound volume without a record": {func(in *check.Input) {
			in.VolumeInfos, in.PodVolumeBackups, in.Archive.Claims = nil, nil, nil
		}, true},
		"a skipped volume with a PodVolumeBackup that saved nothing": {func(in *check.Input) {
			in.VolumeInfos = []volume.Info{{PVName: "pv-notes", Skipped: true}}
			in.PodVolumeBackups[0].Status.SnapshotID = ""
		}, false},
		"a native snapshot": {snapshot(volume.Snapshot{
			Spec: volume.SnapshotSpec{BackupName: veleros}, Status: volume.SnapshotStatus{Phase: volume.SnapshotPhaseCompleted, ProviderSnapshotID: "snap-1"}}), true},
		"a native snapshot of another backup": {snapshot(volume.Snapshot{
			Spec: volume.SnapshotSpec{BackupName: "other"}, Status: volume.SnapshotStatus{Phase: volume.SnapshotPhaseCompleted, ProviderSnapshotID: "snap-1"}}), false},
		"a native snapshot that failed": {snapshot(volume.Snapshot{
			Spec: volume.SnapshotSpec{BackupName: veleros}, Status: volume.SnapshotStatus{Phase: volume.SnapshotPhaseFailed}}), false},
	} {
		t.Run(name, func(t *testing.T) {
			in := gathered(t)
			c.turn(&in)
			checks, findings := check.Decide(in)
			if c.sound {
				assert.Empty(t, findings)
				return
			}
			assert.Equal(t, []string{"volume_records_consistent"}, failedChecks(checks))
		})
	}
}

func TestAPodVolumeBackupWithoutASnapshotIsExplained(t *testing.T) {
	in := gathered(t)
	in.PodVolumeBackups[0].Status.SnapshotID = ""
	in.VolumeInfos = []volume.Info{{PVName: "pv-notes", Skipped: true}}
	_, findings := check.Decide(in)
	require.Len(t, findings, 1)
	assert.Contains(t, findings[0].Object, "podvolumebackups.velero.io velero/notes-1h-20261122084242")
	assert.Contains(t, findings[0].Message, "without the ID of a snapshot")
}

// Velero's plugins and operations change the tarball in ways its list and
// counts do not follow.
func TestWhatVelerosPluginsDoIsNoFault(t *testing.T) {
	t.Run("a CRD is written at another version than the one listed", func(t *testing.T) {
		in := gathered(t)
		in.Archive.Items = append(in.Archive.Items, check.Item{
			Key: item.Key{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "widgets.example.com"}, Version: "v1beta1", Kind: "CustomResourceDefinition"})
		in.ResourceList["apiextensions.k8s.io/v1/CustomResourceDefinition"] = []string{"widgets.example.com"}
		in.Metadata.Status.Progress = &velerov1.BackupProgress{TotalItems: 21, ItemsBackedUp: 21}
		_, findings := check.Decide(in)
		assert.Empty(t, findings)
	})
	t.Run("operations bring snapshot objects and errors with them", func(t *testing.T) {
		in := gathered(t)
		in.Operations = make([]check.Operation, 1)
		in.Operations[0].Status.Phase = "Completed"
		in.Metadata.Status.BackupItemOperationsAttempted = 1
		in.Metadata.Status.Warnings = 1
		in.Archive.Items = append(in.Archive.Items, check.Item{
			Key: item.Key{Group: "snapshot.storage.k8s.io", Resource: "volumesnapshotcontents", Name: "vsc-1"}, Version: "v1", Kind: "VolumeSnapshotContent"})
		_, findings := check.Decide(in)
		assert.Empty(t, findings)
		in.Operations = nil
		checks, _ := check.Decide(in)
		assert.Equal(t, []string{"resource_list_agrees", "counts_agree", "operations_agree"}, failedChecks(checks))
	})
}

func TestACompletedBackupHasNoOperationThatIsNot(t *testing.T) {
	for phase, want := range map[string]map[velerov1.BackupPhase]bool{
		"Completed":  {velerov1.BackupPhaseCompleted: true, velerov1.BackupPhasePartiallyFailed: true},
		"Failed":     {velerov1.BackupPhasePartiallyFailed: true},
		"InProgress": {velerov1.BackupPhasePartiallyFailed: true},
	} {
		for _, of := range []velerov1.BackupPhase{velerov1.BackupPhaseCompleted, velerov1.BackupPhasePartiallyFailed} {
			in := gathered(t)
			in.Metadata.Status.Phase, in.Metadata.Status.BackupItemOperationsAttempted = of, 1
			in.Operations = make([]check.Operation, 1)
			in.Operations[0].Status.Phase = phase
			checks, _ := check.Decide(in)
			assert.Equal(t, want[of], !slices.Contains(failedChecks(checks), "operations_agree"), "%s in a %s backup", phase, of)
		}
	}
}

func TestABackupExpiresWhenItsTTLIsOver(t *testing.T) {
	expires := gathered(t).Metadata.Status.Expiration.Time
	for by, want := range map[time.Duration]bool{0: true, time.Minute: true, -time.Minute: true, 2 * time.Hour: false, -2 * time.Hour: false} {
		in := gathered(t)
		in.Metadata.Status.Expiration = &metav1.Time{Time: expires.Add(by)}
		checks, _ := check.Decide(in)
		assert.Equal(t, want, !slices.Contains(failedChecks(checks), "metadata_valid"), by)
	}
}

func TestTheDigestOfADamagedFileIsOfAllOfIt(t *testing.T) {
	b := velerosBucket(t)
	junk := bytes.Repeat([]byte("no archive "), 100_000)
	b[store.Contents(veleros)] = junk
	in, err := check.Gather(t.Context(), b.store(t), veleros, check.IntegrityOptions{})
	require.NoError(t, err)
	sum := sha256.Sum256(junk)
	assert.Equal(t, hex.EncodeToString(sum[:]), in.Digest(store.Contents))
}

func TestFindingsAreOrderedAndBounded(t *testing.T) {
	b := velerosBucket(t)
	entries := b.entries(t, veleros)
	for i := range 5000 {
		entries = append(entries, archivetest.File(fmt.Sprintf("resources2/%04d.json", i), "{}"))
	}
	b[store.Contents(veleros)] = archivetest.Build(t, entries...)
	_, findings := verify(t, b, veleros)
	require.Len(t, findings, check.MaxFindings+1)
	assert.Regexp(t, `^and \d+ more$`, findings[check.MaxFindings].Message)
	_, again := verify(t, b, veleros)
	assert.Equal(t, findings, again)
}

// brokenStore fails to deliver one key.
type brokenStore struct {
	store.Store
	key  string
	err  error
	late bool // while reading, not at Get
}

func (s brokenStore) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if key != s.key {
		return s.Store.Get(ctx, key)
	}
	if !s.late {
		return nil, s.err
	}
	r, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	half := io.LimitReader(r, 40)
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(half, iotest.ErrReader(s.err)), r}, nil
}

// What the store does not deliver is never held against the backup.
func TestAStoreThatFailsIsAnErrorAndNotAFailure(t *testing.T) {
	for backup, b := range map[string]bucket{veleros: velerosBucket(t), ours: ourBucket(t)} {
		s := b.store(t)
		for key := range b {
			if !strings.HasPrefix(key, store.BackupPrefix(backup)) {
				continue
			}
			for _, late := range []bool{false, true} {
				for _, err := range []error{errors.New("403 access denied"), io.ErrUnexpectedEOF} {
					in, gatherErr := check.Gather(t.Context(), brokenStore{s, key, err, late}, backup, check.IntegrityOptions{})
					require.NoError(t, gatherErr)
					checks, findings := check.Decide(in)
					require.Empty(t, findings, "%s late=%v", key, late)
					require.Equal(t, report.Error, check.Verdict(checks, findings), "%s late=%v", key, late)
				}
			}
		}
	}
}

func TestNoBackupIsAnError(t *testing.T) {
	s := velerosBucket(t).store(t)
	_, err := check.Gather(t.Context(), s, "other", check.IntegrityOptions{})
	require.ErrorIs(t, err, catalog.ErrNoBackup)
	_, err = check.Gather(t.Context(), s, "../restores/x", check.IntegrityOptions{})
	require.Error(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = check.Gather(ctx, s, veleros, check.IntegrityOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

// No bytes in any file make a check panic, and every verdict can be explained.
func FuzzGather(f *testing.F) {
	sound := velerosBucket(f)
	var keys []string
	for key := range sound {
		if strings.HasPrefix(key, store.BackupPrefix(veleros)) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for i, key := range keys {
		content := sound[key]
		compressed := strings.HasSuffix(key, ".gz")
		if compressed {
			var err error
			content, err = gunzip(content)
			require.NoError(f, err)
		}
		f.Add(uint8(i), content, compressed)
		f.Add(uint8(i), []byte(`[{"pvbInfo":null},{"skipped":false,"csiSnapshotInfo":{}},null]`), true)
		f.Add(uint8(i), []byte("null"), true)
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte, compressed bool) {
		if compressed {
			content = archivetest.Gzip(t, content)
		}
		b := sound.clone()
		b[keys[int(which)%len(keys)]] = content
		in, err := check.Gather(t.Context(), b.store(t), veleros, check.IntegrityOptions{Limits: archive.Limits{MaxSize: 1 << 20}})
		require.NoError(t, err)
		checks, findings := check.Decide(in)
		verdict := check.Verdict(checks, findings)
		if (verdict == report.Failed) != (len(findings) > 0) {
			t.Fatalf("verdict %s with %d findings", verdict, len(findings))
		}
	})
}
