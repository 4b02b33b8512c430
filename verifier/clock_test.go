package verifier

import "time"

func now() time.Time { return time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC) }
