// Package core is the map of what backs up and restores; the code is in the
// packages below it.
//
// Data flows one way through each line. An arrow is a package, a noun a type:
//
//	cluster -> collect -> item.Item ... -> archive.Writer -> store.Writer.Put
//	                                   -> store.Writer.Commit (velero-backup.json, last)
//	store -> archive.Reader -> item.Item ... -> plan.Examine -> plan.Entry
//	cluster -> plan.Observed
//	plan.Entry + plan.Observed -> plan.Options.Build (pure) -> plan.Plan -> apply -> ChangeSet
//
// Packages, leaves first:
//
//   - item: the one noun that flows, an object with its key. Pure.
//   - progress: how a backup and a restore report how far they are. Pure.
//   - filter: what a user says of which objects to take. Pure.
//   - seal: encryption of backups.
//   - modifier: how objects are changed on their way into a cluster. Pure.
//   - api: names and types of the API groups velero.io and lifeboat.dev. Pure.
//   - jsonbound: bounds JSON that nobody vouches for. Pure.
//   - manifest: Lifeboat's digests of a backup. Pure.
//   - schedule: when backups are due. Pure.
//   - archive: Velero's tar.gz, written and read as a stream. Knows io and item.
//   - store: bytes under keys; the layout of the keys and the order of writing.
//     store/fs, store/s3 and store/mem implement it, location opens them by
//     URL or BackupStorageLocation.
//   - volume: which volumes are backed up, by which method and why; records about
//     volumes. Pure but for decompressing records.
//   - cluster: the client-go side.
//   - collect: cluster to items; what is selected is decided by pure functions.
//   - plan: what a restore will do and why, what is taken off an object, and when
//     two objects are equal. Pure.
//   - spec: specs of Velero's Backup and Restore to settings, and back. Pure.
//   - apply: a plan's steps, carried out.
//   - backup, restore: the pipelines that join these.
//
// Words. Velero's keep Velero's meaning: Backup, Restore, Schedule,
// BackupStorageLocation, and the names of phases. Ours are for new things only:
//
//   - Location: where backups live, opened from a URL or BackupStorageLocation.
//   - Item: one object in a backup.
//   - Plan, Step: what a restore will do, item by item.
//   - ChangeSet: what it did.
//   - Drill: one verification run of one backup. Level: how much it proves.
//   - Sandbox: the ephemeral cluster of a drill.
//   - Check, Finding: a question a drill asks, and one thing that is wrong.
//   - Evidence: a drill's report as stored.
//   - Proven: has a passed drill at the level that is demanded.
//
// Dependencies point from cmd to exporter and verifier to core, and within core
// from pipelines to leaves. A test holds the rules (see deps_test.go).
package core
