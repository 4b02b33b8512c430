package store

import "time"

// Protection is how a location keeps objects from being lost.
type Protection struct {
	// Versioning says that a deleted object stays as an older version.
	Versioning bool
	// Lock says that the bucket can lock objects, Mode and Retention what it
	// does with each new one: GOVERNANCE or COMPLIANCE, and for how long; "" and
	// zero when nothing. A year counts as 365 days, as it does for S3.
	Lock      bool
	Mode      string
	Retention time.Duration
}
