// Package bucket reads one location through its store: folders of backups, their metadata and
// volume records, evidence, the claims of scheduled drills, object lock and storage. What was read
// is kept, so that a reading of a location that did not change costs listings only.
package bucket
