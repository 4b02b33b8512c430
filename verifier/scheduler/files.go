package scheduler

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// listedFiles identifies the files of one backup as the location lists them.
type listedFiles struct {
	print    report.Fingerprint
	modified time.Time // of the newest
}

// filesOf lists the files of all backups, by backup, in one listing: ten of
// Velero's files for each velero-backup.json that is read anyway.
func filesOf(ctx context.Context, s store.Store) (map[string]listedFiles, error) {
	out := map[string]listedFiles{}
	var files []report.File // of the backup that is being listed
	name := ""
	end := func() {
		if name != "" {
			out[name] = listedFiles{report.FingerprintOf(files), newestOf(files)}
		}
		files = files[:0]
	}
	for info, err := range s.List(ctx, store.BackupsPrefix, true) {
		if err != nil {
			return nil, fmt.Errorf("list the files of backups in %s: %w", s, err)
		}
		of, file, _ := strings.Cut(strings.TrimPrefix(info.Key, store.BackupsPrefix), "/")
		if of != name {
			end()
			name = of
		}
		if len(files) <= report.MaxFiles { // one more is enough to know that there are too many
			files = append(files, report.NewFile(file, info.Size, info.Modified, info.ETag))
		}
	}
	end()
	return out, nil
}

func newestOf(files []report.File) time.Time {
	var newest time.Time
	for _, f := range files {
		newest = later(newest, f.Modified)
	}
	return newest
}
