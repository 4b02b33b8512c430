package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Measurement is one turn of one thing. What does not apply is 0.
type Measurement struct {
	Seconds    float64 `json:"seconds"`              // wall time; of a program, from its start to its end
	CPUSeconds float64 `json:"cpuSeconds,omitempty"` // of the client alone, user and system
	PeakMiB    float64 `json:"peakMiB,omitempty"`    // of a program, resident
	Objects    int     `json:"objects,omitempty"`
	Bytes      int64   `json:"bytes,omitempty"` // read from the API server
}

// Series is all turns of one thing.
type Series struct {
	Name  string        `json:"name"`
	Turns []Measurement `json:"turns"`
}

// Budget is a promise of the design: the median of one series over that of
// another, or, when there is no other, its peak memory or the seconds of a
// drill. Without a limit it is there to be seen beside the others.
type Budget struct {
	Name  string  `json:"name"`
	Of    string  `json:"of"`
	Over  string  `json:"over,omitempty"`
	Limit float64 `json:"limit,omitempty"`
	// At is the number of objects the budget is for, 0 = any: with fewer, the
	// start of a process and discovery outweigh them.
	At int `json:"at,omitempty"`
	// What came out: both ends of a ratio, and the ratio; otherwise the value
	// alone.
	Numerator   float64 `json:"numerator,omitempty"`
	Denominator float64 `json:"denominator,omitempty"`
	Value       float64 `json:"value"`
	// Least and Most are of the single turns.
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
	// Held is told only at the number of objects the budget is for.
	Held *bool `json:"held,omitempty"`
}

// Results is a whole run.
type Results struct {
	Date         string         `json:"date"`
	Command      string         `json:"command"`
	Machine      Machine        `json:"machine"`
	Versions     Versions       `json:"versions"`
	Asked        int            `json:"asked"`        // objects that were asked for
	Objects      int            `json:"objects"`      // in the backup
	ObjectBytes  int64          `json:"objectBytes"`  // their JSON
	ArchiveBytes int64          `json:"archiveBytes"` // the backup's tarball
	Budgets      []Budget       `json:"budgets"`
	Series       []*Series      `json:"series"`
	Stages       []report.Stage `json:"drillStages,omitempty"`
	Shares       []Shares       `json:"shares,omitempty"`
}

func (r *Results) add(name string, m Measurement) {
	if s := r.series(name); s != nil {
		s.Turns = append(s.Turns, m)
		return
	}
	r.Series = append(r.Series, &Series{Name: name, Turns: []Measurement{m}})
}

func (r *Results) series(name string) *Series {
	i := slices.IndexFunc(r.Series, func(s *Series) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return r.Series[i]
}

func seconds(m Measurement) float64 { return m.Seconds }
func peak(m Measurement) float64    { return m.PeakMiB }
func cpu(m Measurement) float64     { return m.CPUSeconds }

func (s *Series) values(of func(Measurement) float64) []float64 {
	var out []float64
	for _, m := range s.Turns {
		out = append(out, of(m))
	}
	return out
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// judge sets the measurements against the budgets; those of what was not
// measured are left out.
func (r *Results) judge(budgets []Budget) {
	for _, b := range budgets {
		of, over := r.series(b.Of), r.series(b.Over)
		if of == nil || b.Over != "" && over == nil {
			continue
		}
		var turns []float64
		switch {
		case over != nil:
			a, c := of.values(seconds), over.values(seconds)
			b.Numerator, b.Denominator = median(a), median(c)
			b.Value = b.Numerator / b.Denominator
			for i := range min(len(a), len(c)) {
				turns = append(turns, a[i]/c[i])
			}
		case b.Of == drill:
			turns = of.values(seconds)
			b.Value = median(turns)
		default:
			turns = of.values(peak)
			b.Value = slices.Max(turns) // a promise of the most
		}
		b.Least, b.Most = slices.Min(turns), slices.Max(turns)
		if held := b.Value <= b.Limit; b.Limit > 0 && (b.At == 0 || b.At == r.Asked) {
			b.Held = &held
		}
		r.Budgets = append(r.Budgets, b)
	}
}

// rows are the two tables of a report: budgets, and what they come from.
func (r *Results) rows() (budgets, series [][]string) {
	budgets = [][]string{{"budget", "limit", "measured", "from", "single turns", "held"}}
	for _, b := range r.Budgets {
		from := "-"
		if b.Over != "" {
			from = fmt.Sprintf("%.2f s / %.2f s", b.Numerator, b.Denominator)
		}
		budgets = append(budgets, []string{b.Name, known("%g", b.Limit), fmt.Sprintf("%.2f", b.Value), from,
			fmt.Sprintf("%.2f to %.2f", b.Least, b.Most), b.verdict()})
	}
	series = [][]string{{"what", "turns", "median s", "least s", "most s", "objects/s", "CPU s", "peak MiB"}}
	for _, s := range r.Series {
		t := s.values(seconds)
		series = append(series, []string{s.Name, fmt.Sprint(len(t)), fmt.Sprintf("%.2f", median(t)), fmt.Sprintf("%.2f", slices.Min(t)),
			fmt.Sprintf("%.2f", slices.Max(t)), known("%.0f", s.rate()), known("%.2f", median(s.values(cpu))), known("%.0f", slices.Max(s.values(peak)))})
	}
	return budgets, series
}

func (b Budget) verdict() string {
	switch {
	case b.Limit == 0:
		return "-"
	case b.Held == nil:
		return fmt.Sprintf("(for %d)", b.At)
	case *b.Held:
		return "yes"
	}
	return "no"
}

// rate is objects in a second of the median turn, 0 when they were not counted.
func (s *Series) rate() float64 {
	return float64(s.Turns[len(s.Turns)-1].Objects) / median(s.values(seconds))
}

func known(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func (r *Results) write(w io.Writer) error {
	budgets, series := r.rows()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\n", r.describe())
	for _, table := range [][][]string{budgets, series} {
		fmt.Fprintln(t)
		for _, row := range table {
			for _, cell := range row {
				fmt.Fprintf(t, "%s\t", cell)
			}
			fmt.Fprintln(t)
		}
	}
	return t.Flush()
}

func (r *Results) describe() string {
	return fmt.Sprintf("%d objects, %.1f MiB of JSON, %.1f MiB stored; %s; Kubernetes %s", r.Objects,
		float64(r.ObjectBytes)/(1<<20), float64(r.ArchiveBytes)/(1<<20), r.Machine, r.Versions.Kubernetes)
}

// save writes <objects>-objects.json and .md, over what an earlier run left.
func (r *Results) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, fmt.Sprintf("%d-objects", r.Asked))
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".json", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(name+".md", r.markdown(), 0o644)
}

func (r *Results) markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %d objects, %s\n\nMade by `%s`; not edited.\n\n", r.Asked, r.Date, r.Command)
	fmt.Fprintf(&b, "- %s\n- load of the machine before: %s; other processes took %.0f %% of its CPU time meanwhile\n- lifeboat %s, %s, versitygw %s\n", r.describe(), r.Machine.Load, 100*r.Machine.Others, r.Versions.Lifeboat, r.Versions.Go, r.Versions.S3)
	budgets, series := r.rows()
	tables := [][][]string{budgets, series}
	for _, s := range r.Shares {
		tables = append(tables, s.rows())
	}
	for _, table := range tables {
		fmt.Fprintln(&b)
		for i, row := range table {
			for _, cell := range row {
				fmt.Fprintf(&b, "| %s ", cell)
			}
			fmt.Fprintln(&b, "|")
			if i == 0 {
				for range row {
					b.WriteString("|---")
				}
				b.WriteString("|\n")
			}
		}
	}
	if len(r.Stages) > 0 {
		b.WriteString("\nStages of the drill:")
		for i, s := range r.Stages {
			fmt.Fprintf(&b, "%s %s %.2f s", map[bool]string{true: "", false: ","}[i == 0], s.Name, s.Seconds)
		}
		b.WriteString(".\n")
	}
	return b.Bytes()
}
