// Package ledger remembers the ends of runs (of backups, restores, deletions,
// drills, maintenance) beyond the life of what they left behind, so that
// counters made of them never decrease: not when a process restarts or another
// one takes over, when a backup expires, or when the cluster is lost.
//
// A ledger is a grow-only set of Runs, identified by kind and ID, in a folder of
// a location:
//
//	metadata/lifeboat/ledger/_runs/<name>/
//	  epoch.json                        when it began
//	  2006-01-02/150405.000-<writer>-<n>.json.gz   a batch: runs that its writer saw first
//	  2006-01-02/sealed.json.gz         the runs of that day's batches in one object
//
// Every object is written once, by Put, and none is changed or deleted, so a
// bucket with object lock will do.
//
// What holds:
//   - Any number of processes may write at once. They need no lock and no
//     leader: a run that two of them write counts once.
//   - Runs that ended before the epoch are in no count. Whoever writes epoch.json
//     first decides for all.
//   - What Keep returned nil for is in the location. Until then it is in memory,
//     counted, and written again.
//   - A batch that comes late, into a day that was sealed or by a clock that is
//     wrong, is read: at the next reading of everything, once a day, or at the
//     next start.
//   - An object that cannot be understood loses its own runs and no others. One
//     of a later version is an error: counting without it would make counters
//     go back.
//
// What does not hold: nothing proves who wrote a run. Whoever may write to the
// location can make counters rise, and whoever may delete there can make them
// fall. A run whose object was gone before anybody looked is in no ledger.
package ledger
