package backup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/collect"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/results"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
)

// record is what a backup remembers of what it wrote, for the files that
// accompany the tarball.
type record struct {
	backup    string
	namespace string // of the Backup object
	started   time.Time
	refused   map[string]int // items the archive cannot hold, by group-resource
	items     []manifest.Item
	bytes     int64
	byKind    map[string][]string // "v1/Pod" -> "namespace/name"
	volumes   []volume.Info
	files     map[string]manifest.Digest // by key
	marked    []string                   // namespaces left out by their label
	coverage  []manifest.Resource
	errors    []Problem
	warnings  []string
	results   results.Results
	log       results.Log

	key        manifest.Key // of the digests of items; nil: the backup is not encrypted
	wrappedKey []byte
}

func newRecord(object velerov1.Backup, started time.Time, now func() time.Time) *record {
	namespace := cmp.Or(object.Namespace, defaultNamespace)
	return &record{
		backup: object.Name, namespace: namespace, started: started,
		log:     results.Log{Of: "backup=" + namespace + "/" + object.Name, Now: now},
		refused: map[string]int{}, byKind: map[string][]string{}, files: map[string]manifest.Digest{},
	}
}

func (r *record) add(it item.Item, d archive.Digest) {
	r.items = append(r.items, manifest.Item{Key: it.Key, Version: it.Version, Kind: it.Kind, Digest: r.digest(manifest.Digest(d))})
	r.bytes += d.Size
	kind := it.APIVersion() + "/" + it.Kind
	name := it.Key.Name
	if it.Key.Namespace != "" {
		name = it.Key.Namespace + "/" + name
	}
	r.byKind[kind] = append(r.byKind[kind], name)
}

// refuse records an item that the archive cannot hold.
func (r *record) refuse(k item.Key, err error) {
	r.refused[k.GroupResource()]++
	r.problem(Problem{Object: k.String(), Err: err})
}

// leftByArchive is the reason for rejected items. It is part of the manifest format.
const leftByArchive = "the archive cannot hold it"

// conclude records what the collection reports at its end.
func (r *record) conclude(c *collect.Collection) {
	for _, p := range c.Problems() {
		r.problem(p)
	}
	for _, p := range c.Warnings() {
		r.remark(p.Object + ": " + p.Err.Error())
	}
	if len(r.items) == 0 && len(r.errors) == 0 {
		r.remark("everything that is selected is left out: the backup is empty")
	}
	r.marked = c.Marked()
	r.coverage = c.Report()
	for i := range r.coverage {
		m := &r.coverage[i]
		if n := r.refused[m.Name]; n > 0 {
			m.Written -= n
			if m.LeftOut == nil {
				m.LeftOut = map[string]int{}
			}
			m.LeftOut[leftByArchive] = n
		}
	}
}

// remark is a warning that is about no single object.
func (r *record) remark(message string) {
	r.warnings = append(r.warnings, message)
	r.log.Logf("warning", "%s", message)
	r.results.Warnings.Velero = append(r.results.Warnings.Velero, " message: /"+message)
}

func (r *record) warn(k item.Key, message string) {
	r.warnings = append(r.warnings, k.String()+": "+message)
	r.log.Logf("warning", "%s: %s", k, message)
	text := fmt.Sprintf(" resource: /%s name: /%s message: /%s", k.Resource, k.Name, message)
	r.results.Warnings.Add(k.Namespace, text)
}

func (r *record) problem(p Problem) {
	r.errors = append(r.errors, p)
	r.log.Logf("error", "%s", p)
	r.results.Errors.Velero = append(r.results.Errors.Velero, fmt.Sprintf(" resource: /%s error: /%s", p.Object, cluster.Reason(p.Err)))
}

// writeCompanions writes the files that Velero reads beside the tarball.
func (r *record) writeCompanions(ctx context.Context, w *store.Writer) error {
	for _, names := range r.byKind {
		slices.Sort(names)
	}
	for _, c := range []struct {
		key     string
		content any
	}{
		{store.ResourceList(r.backup), r.byKind},
		{store.VolumeInfo(r.backup), r.volumes},
		{store.PodVolumeBackups(r.backup), []any{}},
		{store.VolumeSnapshots(r.backup), []any{}},
		{store.ItemOperations(r.backup), []any{}},
		{store.Results(r.backup), r.results},
	} {
		content, err := results.Encode(c.content)
		if err != nil {
			return fmt.Errorf("encode %s: %w", c.key, err)
		}
		if err := r.put(ctx, w, c.key, content); err != nil {
			return err
		}
	}
	return r.put(ctx, w, store.Log(r.backup), r.log.Bytes())
}

// put writes a small file gzipped and remembers its digest.
func (r *record) put(ctx context.Context, w *store.Writer, key string, content []byte) error {
	z, err := results.Compress(content)
	if err != nil {
		return fmt.Errorf("compress %s: %w", key, err)
	}
	size, sum, err := w.Put(ctx, key, z)
	if err != nil {
		return err
	}
	r.files[key] = manifest.Digest{Size: size, SHA256: sum}
	return nil
}

// fileName is a key without the backup's folder.
func (r *record) fileName(key string) string {
	return strings.TrimPrefix(key, store.BackupPrefix(r.backup))
}
