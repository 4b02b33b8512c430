package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return v
}

func parse(t *testing.T, expr string) schedule.Cron {
	t.Helper()
	c, err := schedule.Parse(expr)
	require.NoError(t, err)
	return c
}

func TestNextRun(t *testing.T) {
	for name, tc := range map[string]struct{ expr, after, want string }{
		"a daily run is due at its hour":                           {"0 2 * * *", "2026-11-22T02:00:07Z", "2026-11-23T02:00:00Z"},
		"a weekday schedule is not due at the weekend":             {"0 9 * * 1-5", "2026-11-20T09:00:05Z", "2026-11-23T09:00:00Z"},
		"a monthly run follows the length of months":               {"0 0 1 * *", "2026-01-31T12:00:00Z", "2026-02-01T00:00:00Z"},
		"every 730h is exactly 730h later":                         {"@every 730h", "2026-01-01T00:00:00Z", "2026-01-31T10:00:00Z"},
		"the 29th of February waits for a leap year":               {"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		"no zone means UTC, whatever zone the time is in":          {"0 2 * * *", "2026-11-22T00:30:00+01:00", "2026-11-22T02:00:00Z"},
		"CRON_TZ is honoured in winter":                            {"CRON_TZ=Europe/Berlin 0 2 * * *", "2026-11-22T02:00:00Z", "2026-11-23T01:00:00Z"},
		"CRON_TZ is honoured in summer":                            {"CRON_TZ=Europe/Berlin 0 2 * * *", "2026-07-22T02:00:00Z", "2026-07-23T00:00:00Z"},
		"an hour that the spring change skips is due the next day": {"CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-28T02:00:00Z", "2026-03-30T00:30:00Z"},
		"a descriptor works":                                       {"@weekly", "2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"},
		"spaces around do not matter":                              {"  @daily ", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, at(t, tc.want), parse(t, tc.expr).Next(at(t, tc.after)))
		})
	}
}

func TestTheLatestRunOfManyThatWereMissed(t *testing.T) {
	for name, tc := range map[string]struct{ expr, after, now, want string }{
		"none is due yet":                          {"0 2 * * *", "2026-11-22T02:00:00Z", "2026-11-23T01:59:59Z", ""},
		"one is due this second":                   {"0 2 * * *", "2026-11-22T02:00:00Z", "2026-11-23T02:00:00Z", "2026-11-23T02:00:00Z"},
		"of a week's the last one":                 {"0 2 * * *", "2026-11-15T02:00:00Z", "2026-11-22T14:30:00Z", "2026-11-22T02:00:00Z"},
		"of a year's minutes the last one":         {"* * * * *", "2025-11-22T02:00:00Z", "2026-11-22T14:30:59Z", "2026-11-22T14:30:00Z"},
		"a bunch of runs long ago":                 {"* 0 * * *", "2026-11-01T00:00:00Z", "2026-11-22T23:10:00Z", "2026-11-22T00:59:00Z"},
		"a leap day years ago":                     {"0 0 29 2 *", "2020-01-01T00:00:00Z", "2026-11-22T00:00:00Z", "2024-02-29T00:00:00Z"},
		"a zone is honoured":                       {"CRON_TZ=Europe/Berlin 0 2 * * *", "2026-07-20T12:00:00Z", "2026-07-22T12:00:00Z", "2026-07-22T00:00:00Z"},
		"every counts from the one before":         {"@every 90m", "2026-11-22T00:00:00Z", "2026-11-22T10:00:00Z", "2026-11-22T09:00:00Z"},
		"every is not due before its time is over": {"@every 90m", "2026-11-22T00:00:00Z", "2026-11-22T01:29:59Z", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := parse(t, tc.expr).Latest(at(t, tc.after), at(t, tc.now))
			if tc.want == "" {
				assert.True(t, got.IsZero())
				return
			}
			assert.Equal(t, at(t, tc.want), got)
		})
	}
	assert.True(t, parse(t, "@every 1h").Every())
	assert.False(t, parse(t, "@hourly").Every())
	assert.True(t, schedule.Cron{}.Latest(at(t, "2025-01-01T00:00:00Z"), at(t, "2026-01-01T00:00:00Z")).IsZero())
}

func TestAnExpressionThatCannotWorkIsRefusedWithItsReason(t *testing.T) {
	for name, tc := range map[string]struct{ expr, want string }{
		"no fields":            {"", "empty spec string"},
		"six fields":           {"0 0 2 * * *", "expected exactly 5 fields"},
		"minute 61":            {"61 * * * *", "above maximum"},
		"unknown zone":         {"CRON_TZ=Nowhere/Here 0 2 * * *", "bad location"},
		"a zone alone":         {"CRON_TZ=Europe/Berlin", "no fields after the time zone"},
		"a zone and blanks":    {"TZ=UTC   ", "no fields after the time zone"},
		"unknown descriptor":   {"@sometimes", "unrecognized descriptor"},
		"every without length": {"@every soon", "invalid duration"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := schedule.Parse(tc.expr)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestAnExpressionThatMatchesNoDateIsRefused(t *testing.T) {
	for _, expr := range []string{"0 0 30 2 *", "0 0 31 4,6,9,11 *"} {
		_, err := schedule.Parse(expr)
		assert.ErrorIs(t, err, schedule.ErrNeverDue, expr)
	}
}

func TestTheZeroCronIsNeverDue(t *testing.T) {
	var c schedule.Cron
	assert.True(t, c.IsZero())
	assert.True(t, c.Next(at(t, "2026-11-22T00:00:00Z")).IsZero())
	assert.Zero(t, c.Interval(at(t, "2026-11-22T00:00:00Z")))
	assert.True(t, c.Deadline(at(t, "2026-11-22T00:00:00Z"), time.Hour).IsZero())
}

func TestIntervalIsTheLongestGap(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	for name, tc := range map[string]struct {
		expr string
		want time.Duration
	}{
		"hourly":                                {"0 * * * *", hour},
		"every":                                 {"@every 90m", 90 * time.Minute},
		"weekdays span the weekend":             {"0 9 * * 1-5", 3 * day},
		"monthly is a long month":               {"0 0 1 * *", 31 * day},
		"twice a day, unevenly":                 {"0 2,8 * * *", 18 * hour},
		"yearly":                                {"0 0 1 1 *", 365 * day},
		"a run every four years has a gap, too": {"0 0 29 2 *", 4*365*day + day},
		"not the day of 25 hours in autumn":     {"CRON_TZ=Europe/Berlin 0 12 * * *", day},
		"not the night without this hour":       {"CRON_TZ=Europe/Berlin 30 2 * * *", day},
		"another hemisphere, a week":            {"TZ=America/Santiago 0 0 * * 0", 7 * day},
		"a zone and a weekend":                  {"CRON_TZ=Europe/Berlin 0 9 * * 1-5", 3 * day},
		"a zone and a descriptor":               {"CRON_TZ=America/New_York @daily", day},
		"a zone and every":                      {"CRON_TZ=Europe/Berlin @every 90m", 90 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, parse(t, tc.expr).Interval(at(t, "2026-11-22T00:00:00Z")))
		})
	}
}

func TestDeadline(t *testing.T) {
	for name, tc := range map[string]struct {
		expr, anchor string
		took         time.Duration
		want         string
	}{
		"hourly: half an hour after the next run is due": {
			"0 * * * *", "2026-11-22T01:00:03Z", 0, "2026-11-22T02:30:00Z"},
		"a run that takes long is not overdue while it usually still runs": {
			"0 2 * * *", "2026-11-22T02:00:00Z", 7 * time.Hour, "2026-11-23T15:00:00Z"},
		"daily: grace ends at six hours": {
			"0 2 * * *", "2026-11-22T02:00:00Z", 0, "2026-11-23T08:00:00Z"},
		"every five minutes: grace is never below a quarter of an hour": {
			"*/5 * * * *", "2026-11-22T02:00:00Z", 0, "2026-11-22T02:20:00Z"},
		"Friday's success is good until Monday": {
			"0 9 * * 1-5", "2026-11-20T09:00:00Z", 0, "2026-11-23T15:00:00Z"},
		"a backup made by hand just before a run leaves that run its time": {
			"0 2 * * *", "2026-11-22T01:59:00Z", 0, "2026-11-22T08:00:00Z"},
		"a negative duration, from clocks that disagree, counts as none": {
			"0 2 * * *", "2026-11-22T02:00:00Z", -time.Hour, "2026-11-23T08:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, at(t, tc.want), parse(t, tc.expr).Deadline(at(t, tc.anchor), tc.took))
		})
	}
}

func TestAnIntervalIsInferredFromTheNewestStarts(t *testing.T) {
	day := at(t, "2026-11-22T02:00:00Z")
	starts := func(hours ...int) []time.Time {
		var out []time.Time
		for _, h := range hours {
			out = append(out, day.Add(time.Duration(h)*time.Hour))
		}
		return out
	}
	for name, tc := range map[string]struct {
		starts []time.Time
		want   time.Duration
	}{
		"nothing is known of no run":               {nil, 0},
		"nothing is known of one run":              {starts(0), 0},
		"two runs give their gap":                  {starts(24, 0), 24 * time.Hour},
		"the longest gap counts":                   {starts(0, 1, 2, 26, 27), 24 * time.Hour},
		"gaps before the newest ten are forgotten": {starts(-500, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), time.Hour},
		"the gap between the ninth and tenth is in": {
			starts(-500, 1, 2, 3, 4, 5, 6, 7, 8, 9), 501 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, schedule.InferInterval(tc.starts))
		})
	}
}

func TestAnInferredDeadlineIsIntervalDurationAndGraceAfterTheAnchor(t *testing.T) {
	anchor := at(t, "2026-11-22T02:00:00Z")
	assert.Equal(t, anchor.Add(time.Hour+10*time.Minute+30*time.Minute), schedule.InferredDeadline(anchor, time.Hour, 10*time.Minute))
	assert.True(t, schedule.InferredDeadline(anchor, 0, time.Minute).IsZero(), "an unknown interval gives no deadline")
}

// No input, however odd, may end the program that reads it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0 2 * * *", "@every 1h", "CRON_TZ=UTC @daily", "TZ=0", "CRON_TZ=", "TZ= ", "\tTZ=UTC", "@every -1h", "*/0 * * * *"} {
		f.Add(s)
	}
	from := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		c, err := schedule.Parse(s)
		if err != nil {
			return
		}
		assert.True(t, c.Next(from).After(from), "a parsed expression is due some day")
	})
}
