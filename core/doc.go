// Package core is the map of backup and restore; the code is in the packages
// below it.
//
// Data flows one way in each line. An arrow is a package, a noun a type:
//
//	cluster -> collect -> item.Item ... -> archive.Writer -> store.Writer.Put
//	                                   -> store.Writer.Commit (velero-backup.json, last)
//	store -> archive.Reader -> item.Item ... -> plan.Examine -> plan.Entry
//	cluster -> plan.Observed
//	plan.Entry + plan.Observed -> plan.Options.Build (pure) -> plan.Plan -> apply -> ChangeSet
//
// Packages, leaves first:
//
//   - item: an object with its key, the noun that flows. Pure.
//   - progress: how a backup and a restore report their progress. Pure.
//   - filter: which objects a user selects. Pure.
//   - needs: which objects come along with those that a user selects. Pure.
//   - seal: encryption of backups.
//   - modifier: Velero's resource modifiers, which change objects during a restore. Pure.
//   - api: names and types of the API groups velero.io and lifeboat.dev. Pure.
//   - jsonbound: bounds untrusted JSON. Pure.
//   - manifest: Lifeboat's digests of a backup. Pure.
//   - schedule: when backups are due. Pure.
//   - archive: Velero's tar.gz, written and read as a stream. Imports item only.
//   - store: bytes under keys; the layout of the keys and the order of writing.
//     store/fs, store/s3 and store/mem implement it, location opens them by
//     URL or BackupStorageLocation.
//   - ledger: finished runs, in write-once objects of a location.
//   - volume: which volumes are backed up, by which method and why; records about
//     volumes. Pure, except that it decompresses records.
//   - volume/kopia: reads the data of volumes from kopia repositories.
//   - catalog: reads what a location holds: its backups, the newest, one backup's
//     metadata, manifest and items, with one set of limits. No other package does.
//   - results: the lists of errors and warnings, and the log, in Velero's form.
//   - cluster: the client-go side.
//   - collect: reads items from a cluster; pure functions decide the selection.
//   - plan: what a restore will do and why, what it removes from an object, and
//     when two objects are equal. Pure.
//   - spec: converts specs of Velero's Backup and Restore to settings, and back. Pure.
//   - apply: executes the steps of a plan.
//   - backup, restore: the pipelines that join these.
//
// Words. Velero's words keep their meaning: Backup, Restore, Schedule,
// BackupStorageLocation, and the names of phases. Lifeboat adds these:
//
//   - Location: where backups are stored, opened from a URL or BackupStorageLocation.
//   - Item: one object in a backup.
//   - Plan, Step: what a restore will do, item by item.
//   - ChangeSet: what a restore did.
//   - Drill: one verification run of one backup. Level: how much it proves.
//   - Sandbox: the ephemeral cluster of a drill.
//   - Check, Finding: what a drill checks, and one thing that is wrong.
//   - Evidence: the stored report of a drill.
//   - Proven: has a passed drill at the required level.
//   - Ledger: write-once records in a location. The run log holds finished backup
//     runs; the drill log holds the runs, claims and releases of drills.
//
// Dependencies point from cmd to exporter and verifier to core, and within core
// from pipelines to leaves. A test enforces it (see deps_test.go).
package core
