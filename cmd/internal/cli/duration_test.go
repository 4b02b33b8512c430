package cli

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestADurationInDaysIsExplained(t *testing.T) {
	var d time.Duration
	fl := pflag.NewFlagSet("x", pflag.ContinueOnError)
	DurationVar(fl, &d, "ttl", 720*time.Hour, "how long")
	assert.Equal(t, "720h0m0s", fl.Lookup("ttl").DefValue)
	for value, want := range map[string]time.Duration{"12h": 12 * time.Hour, " 1h30m ": 90 * time.Minute, "0": 0, "-1h": -time.Hour} {
		require.NoError(t, fl.Set("ttl", value), value)
		assert.Equal(t, want, d, value)
	}
	for value, want := range map[string]string{
		"30d":     "use hours: 720h",
		"1 day":   "use hours: 24h",
		"2w":      "use hours: 336h",
		"7Days":   "use hours: 168h",
		"1d12h":   "such as 720h or 1h30m",
		"720":     "such as 720h or 1h30m",
		"forever": "such as 720h or 1h30m",
		"":        "empty value",
	} {
		err := fl.Set("ttl", value)
		require.Error(t, err, value)
		assert.Contains(t, err.Error(), want, value)
	}
}
