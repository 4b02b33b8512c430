package kube

import (
	"slices"
	"sync"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

const (
	// RememberDeletions is how long a processed DeleteBackupRequest is told of
	// after it is gone: several times the longest sensible --refresh-interval.
	RememberDeletions = time.Hour
	// MaxDeletions bounds how many are remembered.
	MaxDeletions = 10_000
)

// Processed remembers DeleteBackupRequests that were processed. Velero deletes
// one that left no errors as soon as it is (Velero v1.18.1,
// pkg/controller/backup_deletion_controller.go), so it is seen in one event of
// the watch and never again.
type Processed struct {
	mu   sync.Mutex
	seen []seenDeletion // oldest first
}

type seenDeletion struct {
	fact.Deletion
	at time.Time
}

// Read is readDeletion that remembers.
func (p *Processed) Read(it item.Item) (fact.Deletion, error) {
	d, err := ReadDeletion(it)
	if err == nil && d.Processed {
		p.Remember(d, time.Now())
	}
	return d, err
}

func (p *Processed) Remember(d fact.Deletion, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = slices.DeleteFunc(p.seen, func(s seenDeletion) bool { return s.UID == d.UID || now.Sub(s.at) > RememberDeletions })
	p.seen = append(p.seen[max(0, len(p.seen)-MaxDeletions+1):], seenDeletion{d, now})
}

// With adds those that are gone to the ones there are.
func (p *Processed) With(there []fact.Deletion) []fact.Deletion {
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
