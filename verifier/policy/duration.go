package policy

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

var errDuration = errors.New("must be a time such as 90s, 36h, 30d or 1d12h, not negative")

// ParseDuration reads what time.ParseDuration reads, optionally preceded by a
// number of days of 24 hours: 1d12h. It rejects negative durations.
func ParseDuration(text string) (Duration, error) {
	rest := text
	var days float64
	if before, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseFloat(before, 64)
		if err != nil || strings.ContainsAny(before, "xXpPeE_infINF+") || n < 0 || n > math.MaxInt64/float64(day)-1 {
			return Duration{}, errDuration
		}
		days, rest = n, after
	}
	var d time.Duration
	if rest != "" || text == "" {
		var err error
		if d, err = time.ParseDuration(rest); err != nil {
			return Duration{}, errDuration
		}
	}
	d += time.Duration(days * float64(day))
	if d < 0 { // also when the sum is too large
		return Duration{}, errDuration
	}
	return Duration{d}, nil
}

// String is the shortest form that ParseDuration reads back: whole days as
// days.
func (d Duration) String() string {
	if d.Duration > 0 && d.Duration%day == 0 {
		return strconv.FormatInt(int64(d.Duration/day), 10) + "d"
	}
	s := d.Duration.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return errDuration
	}
	var err error
	*d, err = ParseDuration(text)
	return err
}
