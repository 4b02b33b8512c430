package web

import (
	"fmt"
	"time"
)

// Distance is a time span in the one or two units that matter to a reader.
func Distance(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return unit(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	case d < 365*24*time.Hour:
		return unit(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
	}
	return unit(int(d.Hours())/24/365, "y", int(d.Hours())/24%365, "d")
}

func unit(n int, of string, rest int, ofRest string) string {
	if rest == 0 {
		return fmt.Sprintf("%d %s", n, of)
	}
	return fmt.Sprintf("%d %s %d %s", n, of, rest, ofRest)
}
