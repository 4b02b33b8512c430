package fact

// The sources of what the exporter knows.
const (
	SourceKube   = "kube"
	SourceLedger = "ledger"
	SourceBucket = "bucket"
	SourceDrills = "drills"
)

// The collectors are the sources, and the parts of a location that are read on
// their own.
const (
	CollectorClaims  = "claims"
	CollectorStorage = "storage"
)
