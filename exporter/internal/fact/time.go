package fact

import "time"

// FirstSet is the first time that is set, in UTC.
func FirstSet(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t.UTC()
		}
	}
	return time.Time{}
}
