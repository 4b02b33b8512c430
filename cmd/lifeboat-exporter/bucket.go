package main

import (
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

// The values of --object-lock.
const (
	lockOff     = "off"
	lockReport  = "report"
	lockRequire = "require"
)

// bucketFlags say what is asked of locations beyond their backups.
type bucketFlags struct {
	storageInterval time.Duration
	lock            string
	probeWrites     bool
}

func (f *bucketFlags) add(set *pflag.FlagSet) {
	cli.DurationVar(set, &f.storageInterval, "storage-scan-interval", 6*time.Hour, "time between two counts of everything in a location, which cost a request for each 1,000 objects")
	set.StringVar(&f.lock, "object-lock", lockOff, "`mode`: off, report (ask buckets how they lock objects) or require (and alert where they do not)")
	set.BoolVar(&f.probeWrites, "probe-writes", false, "write and delete one small object at each reading, to see whether that works; not done in a bucket that keeps versions")
}

func (f *bucketFlags) check() error {
	if f.storageInterval < time.Second {
		return cli.Usage("--storage-scan-interval %s: it must be a second or more", f.storageInterval)
	}
	if modes := []string{lockOff, lockReport, lockRequire}; !slices.Contains(modes, f.lock) {
		return cli.Usage("--object-lock %q: it must be one of %v", f.lock, modes)
	}
	return nil
}
