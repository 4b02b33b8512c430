package main

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/scheduler"
)

// metric is one row of the table of what `run` serves, apart from the metrics
// of the Go runtime and the process. What drills proved is the exporter's to
// say, from the evidence; these say whether the verifier does its work.
type metric struct {
	Name   string
	Type   prometheus.ValueType
	Labels []string
	Help   string
	// values are those of one policy, each with the labels after the policy's.
	values func(scheduler.Status) []sample
}

type sample struct {
	value  float64
	labels []string
}

func single(value float64) []sample { return []sample{{value: value}} }

// metricTable is every metric of a policy.
func metricTable() []metric {
	return []metric{
		{"lifeboat_verifier_drills_total", prometheus.CounterValue, []string{"policy", "level", "verdict"},
			"Drills that this verifier finished since it started. verdict=\"none\" counts drills that left no evidence: the backup was deleted or could not be decrypted, or the report could not be written.",
			drillTotals},
		{"lifeboat_verifier_running_drills", prometheus.GaugeValue, []string{"policy"},
			"Drills in progress in this verifier.",
			func(s scheduler.Status) []sample { return single(float64(len(s.Running))) }},
		{"lifeboat_verifier_last_drill_duration_seconds", prometheus.GaugeValue, []string{"policy"},
			"Duration of the last drill that this verifier finished. Absent until there is one.",
			func(s scheduler.Status) []sample {
				if s.Seconds == 0 {
					return nil
				}
				return single(s.Seconds)
			}},
		{"lifeboat_verifier_last_run_timestamp_seconds", prometheus.GaugeValue, []string{"policy"},
			"When the last run of this verifier ended: every backup that it chose was drilled or given up. Absent until there is one.",
			func(s scheduler.Status) []sample {
				if s.LastEnded.IsZero() {
					return nil
				}
				return single(float64(s.LastEnded.Unix()))
			}},
		{"lifeboat_verifier_next_run_timestamp_seconds", prometheus.GaugeValue, []string{"policy"},
			"When the next run of the policy is due. In the past if a run is late. Absent until the location was read.",
			func(s scheduler.Status) []sample {
				if s.Next.IsZero() {
					return nil
				}
				return single(float64(s.Next.Unix()))
			}},
		{"lifeboat_verifier_missing_backups", prometheus.GaugeValue, []string{"policy"},
			"Number of named backups and schedule patterns that the last run did not find in the location, and of backups that it could not read.",
			func(s scheduler.Status) []sample { return single(float64(len(s.Missing))) }},
		{"lifeboat_verifier_damaged_records", prometheus.GaugeValue, []string{"policy"},
			"Records of the drill log that this verifier found malformed or implausible since it started, at most 100. They have no effect; the log and the status page name them.",
			func(s scheduler.Status) []sample { return single(float64(len(s.Damaged))) }},
		{"lifeboat_verifier_location_up", prometheus.GaugeValue, []string{"policy"},
			"1 if the location of the policy could be used at the last attempt, else 0.",
			func(s scheduler.Status) []sample {
				if s.Err != nil || s.Read.IsZero() {
					return single(0)
				}
				return single(1)
			}},
	}
}

// drillTotals has a series for each verdict from the start, so that rates see
// the first.
func drillTotals(s scheduler.Status) []sample {
	var out []sample
	for _, v := range []report.Verdict{report.Passed, report.Failed, report.Error, scheduler.Unproven} {
		out = append(out, sample{float64(s.Totals[scheduler.Total{Level: s.Level, Verdict: v}]), []string{string(s.Level), string(v)}})
	}
	return out
}

// buildInfo is the one metric that is of no policy.
const (
	buildInfo     = "lifeboat_verifier_build_info"
	buildInfoHelp = "Always 1. Lifeboat version and Go version of the build."
)

// collector serves the status of a scheduler.
type collector struct{ status func() []scheduler.Status }

func (m metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.Name, m.Help, m.Labels, nil) }

func buildDesc() *prometheus.Desc {
	return prometheus.NewDesc(buildInfo, buildInfoHelp, []string{"version", "goversion"}, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range metricTable() {
		out <- m.desc()
	}
	out <- buildDesc()
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	all := c.status()
	for _, m := range metricTable() {
		desc := m.desc()
		for _, s := range all {
			for _, v := range m.values(s) {
				out <- prometheus.MustNewConstMetric(desc, m.Type, v.value, append([]string{s.Policy}, v.labels...)...)
			}
		}
	}
	out <- prometheus.MustNewConstMetric(buildDesc(), prometheus.GaugeValue, 1, cli.Version(), runtime.Version())
}
