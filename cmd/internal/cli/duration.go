package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// DurationVar adds a flag that takes a duration as Go writes it, such as 720h or
// 1h30m. The error of a value in days or weeks gives the same time in hours.
func DurationVar(fl *pflag.FlagSet, to *time.Duration, name string, value time.Duration, usage string) {
	*to = value
	fl.Var(duration{to}, name, usage)
}

type duration struct{ to *time.Duration }

func (d duration) Type() string { return "duration" }

func (d duration) String() string {
	if d.to == nil {
		return ""
	}
	return d.to.String()
}

func (d duration) Set(s string) error {
	s = strings.TrimSpace(s)
	v, err := time.ParseDuration(s)
	switch {
	case s == "":
		return errEmpty
	case err != nil:
		return durationError(s)
	}
	*d.to = v
	return nil
}

var daysRE = regexp.MustCompile(`^([0-9]{1,5}) ?(d|day|days|w|week|weeks)$`)

// durationError explains how to write a duration.
func durationError(s string) error {
	m := daysRE.FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return fmt.Errorf("%q is not a duration: use hours, minutes and seconds, such as 720h or 1h30m", s)
	}
	n, _ := strconv.Atoi(m[1]) // five digits
	hours := 24 * n
	if strings.HasPrefix(m[2], "w") {
		hours *= 7
	}
	return fmt.Errorf("%q is not a duration: days and weeks have no unit, use hours: %dh", s, hours)
}
