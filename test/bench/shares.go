package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	pprof "github.com/google/pprof/profile"
)

// Share is a part of the CPU time that a pipeline took in its process.
type Share struct {
	What    string  `json:"what"`
	Seconds float64 `json:"seconds"` // of one turn
	Part    float64 `json:"part"`    // of the whole, 0 to 1
}

// Shares are those of one pipeline, the largest first.
type Shares struct {
	Name        string  `json:"name"`
	WallSeconds float64 `json:"wallSeconds"` // of one turn
	CPUSeconds  float64 `json:"cpuSeconds"`  // of one turn
	Shares      []Share `json:"shares"`
}

// work says what functions do whose names begin with one of the prefixes.
type work struct {
	what     string
	prefixes []string
}

const (
	inCore = "github.com/lifeboat-backup/lifeboat/core/"
	other  = "the rest: scheduler, discovery, small files"
)

// works tell what CPU time was spent on. Of the functions of a stack the
// innermost that is named here decides.
func works() []work {
	return []work{
		{"gzip", []string{"github.com/klauspost/compress/"}},
		{"tar", []string{"archive/tar."}},
		{"SHA-256", []string{"crypto/sha256.", "crypto/internal/fips140/sha256."}},
		{"connection to the API server: HTTP/2, TLS", []string{"golang.org/x/net/http2.", "net/http.", "crypto/tls."}},
		{"LIST: cutting lists into objects", []string{inCore + "cluster.(*pageReader)"}},
		{"LIST: kind, name and namespace of each object", []string{inCore + "cluster.newItem"}},
		{"deciding what is left out", []string{inCore + "collect.leftOut"}},
		{"paths, limits and copies of the archive", []string{inCore + "archive."}},
		{"writing and reading files", []string{inCore + "store"}},
		{"manifest and record of items", []string{inCore + "manifest.", inCore + "backup.(*record)"}},
		{"plan: decode, normalise and digest each object", []string{inCore + "plan.Examine", inCore + "plan.DigestOf"}},
		{"plan: order and reasons", []string{inCore + "plan."}},
		{"prepare: decode, take off, encode", []string{inCore + "apply.(*Applier).object"}},
		{"CREATE: requests and answers", []string{inCore + "cluster.(*Client).Create"}},
		{"garbage collector", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart"}},
	}
}

// sharesOf reads a CPU profile of so many turns.
func sharesOf(name string, r io.Reader, turns int, wallSeconds float64) (Shares, error) {
	p, err := pprof.Parse(r)
	if err != nil {
		return Shares{}, fmt.Errorf("read the CPU profile of %s: %w", name, err)
	}
	index := slices.IndexFunc(p.SampleType, func(t *pprof.ValueType) bool { return t.Type == "cpu" && t.Unit == "nanoseconds" })
	if index < 0 {
		return Shares{}, fmt.Errorf("the profile of %s is not one of CPU time", name)
	}
	known, spent, total := works(), map[string]float64{}, 0.0
	for _, s := range p.Sample {
		seconds := float64(s.Value[index]) / 1e9 / float64(turns)
		spent[workOf(known, functions(s))] += seconds
		total += seconds
	}
	out := Shares{Name: name, WallSeconds: wallSeconds / float64(turns), CPUSeconds: total}
	for what, seconds := range spent {
		out.Shares = append(out.Shares, Share{What: what, Seconds: seconds, Part: seconds / total})
	}
	slices.SortFunc(out.Shares, func(a, b Share) int { return cmp.Or(-cmp.Compare(a.Seconds, b.Seconds), cmp.Compare(a.What, b.What)) })
	return out, nil
}

// functions are those of a stack, the innermost first.
func functions(s *pprof.Sample) []string {
	var out []string
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				out = append(out, line.Function.Name)
			}
		}
	}
	return out
}

func workOf(known []work, stack []string) string {
	for _, function := range stack {
		for _, w := range known {
			if slices.ContainsFunc(w.prefixes, func(p string) bool { return strings.HasPrefix(function, p) }) {
				return w.what
			}
		}
	}
	return other
}

// rows are those of a table.
func (s Shares) rows() [][]string {
	rows := [][]string{{"share", "CPU s", s.Name}}
	for _, share := range s.Shares {
		rows = append(rows, []string{fmt.Sprintf("%.0f %%", 100*share.Part), fmt.Sprintf("%.3f", share.Seconds), share.What})
	}
	return append(rows, []string{"", fmt.Sprintf("%.3f", s.CPUSeconds), fmt.Sprintf("together, in %.2f s of wall time", s.WallSeconds)})
}
