// Package evidence keeps the reports of drills in a location: it writes each
// once, lists them, and decides which ones a policy does not have to keep. The
// format is that of verifier/drilllog.
//
// Locations are untrusted: reads are limited, and a malformed report is named
// and does not hide the others.
package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Write writes a report in its three forms. The JSON goes last: a drill is done
// when its JSON exists, and readers can then open the others.
func Write(ctx context.Context, s store.Store, r report.Report) error {
	page, err := r.HTML()
	if err != nil {
		return err
	}
	junit, err := r.JUnit()
	if err != nil {
		return err
	}
	raw, err := r.Encode()
	if err != nil {
		return err
	}
	for _, form := range []struct {
		key     string
		content []byte
	}{
		{store.EvidencePage(r.Backup.Name, r.ID), page},
		{store.EvidenceJUnit(r.Backup.Name, r.ID), junit},
		{store.Evidence(r.Backup.Name, r.ID), raw},
	} {
		if err := s.Put(ctx, form.key, bytes.NewReader(form.content)); err != nil {
			return fmt.Errorf("write evidence to %s (is the location writable?): %w", form.key, err)
		}
	}
	return nil
}

// Delete removes the evidence of one drill. The JSON goes last, so that a drill
// can be deleted completely by another attempt.
func Delete(ctx context.Context, s store.Store, ref drilllog.Ref) error {
	for _, key := range []string{
		store.EvidencePage(ref.Backup, ref.Drill), store.EvidenceJUnit(ref.Backup, ref.Drill), store.Evidence(ref.Backup, ref.Drill),
	} {
		if err := s.Delete(ctx, key); err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("delete evidence %s: %w", key, err)
		}
	}
	return nil
}
