package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/results"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// namespace is where Velero keeps its objects by default.
const namespace = "velero"

// recordTimeout bounds the writing of the record, which happens although the
// restore was interrupted.
const recordTimeout = time.Minute

// record writes what Velero writes about a restore. Nothing in a location is
// written twice, so a second restore of the same name has no record.
func (j Job) record(ctx context.Context, p plan.Plan, r Result, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	res, log := j.results(r, failed)
	for _, f := range []struct {
		key     string
		content any
	}{
		{store.RestoreLog(j.Name), log},
		{store.RestoreResults(j.Name), res},
		{store.RestoreResourceList(j.Name), resourceList(p, r.Changes)},
		{store.RestoreItemOperations(j.Name), []any{}},
		{store.RestoreVolumeInfo(j.Name), []any{}},
	} {
		err := j.put(ctx, f.key, f.content)
		switch {
		case errors.Is(err, store.ErrExists):
			return fmt.Errorf("the record of restore %s was not written to %s: %s exists (choose another name)", j.Name, j.Store, f.key)
		case err != nil:
			return fmt.Errorf("the record of restore %s was not written to %s: %w", j.Name, j.Store, err)
		}
	}
	return nil
}

// put writes a file, text as it is and anything else as JSON.
func (j Job) put(ctx context.Context, key string, content any) error {
	text, isText := content.([]byte)
	if !isText {
		var err error
		if text, err = results.Encode(content); err != nil {
			return fmt.Errorf("encode %s: %w", key, err)
		}
	}
	z, err := results.Compress(text)
	if err != nil {
		return fmt.Errorf("compress %s: %w", key, err)
	}
	return j.Store.Put(ctx, key, z)
}

// results are the errors and warnings of a restore, and its log. Like Velero, an
// object that exists and differs is a warning.
func (j Job) results(r Result, failed error) (results.Results, []byte) {
	log := results.Log{Of: "restore=" + namespace + "/" + j.Name, Now: j.Now}
	log.Logf("info", "restore of backup %s", j.Backup)
	var res results.Results
	for _, c := range r.Changes {
		message := c.Key.String() + ": " + c.Reason
		switch {
		case c.Outcome == apply.Failed:
			res.Errors.Add(c.Namespace, message)
			log.Logf("error", "%s", message)
		case differs(c):
			res.Warnings.Add(c.Namespace, message)
			log.Logf("warning", "%s", message)
		default:
			log.Logf("info", "%s: %s: %s", c.Outcome, c.Key, c.Reason)
		}
		if altered := Altered(c); altered != "" {
			res.Warnings.Add(c.Namespace, altered)
			log.Logf("warning", "%s", altered)
		}
	}
	for _, v := range r.Volumes {
		log.Logf("info", "%s: %s", v.Object, v.Note)
	}
	for _, w := range r.Warnings {
		res.Warnings.Velero = append(res.Warnings.Velero, w)
		log.Logf("warning", "%s", w)
	}
	if failed != nil {
		res.Errors.Velero = append(res.Errors.Velero, failed.Error())
		log.Logf("error", "%s", failed)
	}
	log.Logf("info", "%d created, %d updated, %d unchanged, %d skipped, %d failed", r.Changes.Count(apply.Created), r.Changes.Count(apply.Updated),
		r.Changes.Count(apply.Unchanged), r.Changes.Count(apply.Skipped), r.Changes.Count(apply.Failed))
	return res, log.Bytes()
}

func differs(c apply.Change) bool {
	return c.Outcome == apply.Skipped && c.Reason == plan.ReasonDiffers
}

// resourceList is Velero's list of what became of the items, by kind. Items that
// are left out by a filter or by rule are not in it, as with Velero; one that
// exists and is equal is "skipped", and one that exists and differs "failed".
func resourceList(p plan.Plan, changes apply.ChangeSet) map[string][]string {
	kinds := make(map[item.Key]string, len(p.Steps))
	for _, s := range p.Steps {
		kinds[s.Key] = s.APIVersion() + "/" + s.Kind
	}
	list := map[string][]string{}
	for _, c := range changes {
		outcome := string(c.Outcome)
		switch {
		case differs(c):
			outcome = string(apply.Failed)
		case c.Outcome == apply.Skipped:
			continue
		case c.Outcome == apply.Unchanged:
			outcome = string(apply.Skipped)
		}
		name := c.Name
		if c.Namespace != "" {
			name = c.Namespace + "/" + c.Name
		}
		list[kinds[c.Key]] = append(list[kinds[c.Key]], name+"("+outcome+")")
	}
	for _, names := range list {
		slices.Sort(names)
	}
	return list
}
