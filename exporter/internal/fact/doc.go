// Package fact has the nouns of the exporter: what its sources report of backups, restores,
// schedules, locations and drills, and the values of the labels that name them.
package fact
