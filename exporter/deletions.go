package exporter

import (
	"slices"
	"sync"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

const (
	// rememberDeletions is how long a processed DeleteBackupRequest is told of
	// after it is gone: several times the longest sensible --refresh-interval.
	rememberDeletions = time.Hour
	// maxDeletions bounds how many are remembered.
	maxDeletions = 10_000
)

// processed remembers DeleteBackupRequests that were processed. Velero deletes
// one that left no errors as soon as it is (Velero v1.18.1,
// pkg/controller/backup_deletion_controller.go), so it is seen in one event of
// the watch and never again.
type processed struct {
	mu   sync.Mutex
	seen []seenDeletion // oldest first
}

type seenDeletion struct {
	Deletion
	at time.Time
}

// read is readDeletion that remembers.
func (p *processed) read(it item.Item) (Deletion, error) {
	d, err := readDeletion(it)
	if err == nil && d.Processed {
		p.remember(d, time.Now())
	}
	return d, err
}

func (p *processed) remember(d Deletion, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = slices.DeleteFunc(p.seen, func(s seenDeletion) bool { return s.UID == d.UID || now.Sub(s.at) > rememberDeletions })
	p.seen = append(p.seen[max(0, len(p.seen)-maxDeletions+1):], seenDeletion{d, now})
}

// with adds those that are gone to the ones there are.
func (p *processed) with(there []Deletion) []Deletion {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := make(map[string]bool, len(there))
	for _, d := range there {
		known[d.UID] = true
	}
	out := slices.Clone(there)
	for _, s := range p.seen {
		if !known[s.UID] {
			out = append(out, s.Deletion)
		}
	}
	return out
}
