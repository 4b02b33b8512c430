package fact

import (
	"slices"
	"time"
)

func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Bounds on the series that evidence, which is not trusted, can make.
const (
	MaxStages    = 16
	MaxStageName = 32
)

// stageOther sums up what is over the bound.
const stageOther = "other"

// BoundStages adds up stages of the same name, and all whose name is not a
// plain word or that are too many, under "other".
func BoundStages(stages []Stage) []Stage {
	var out []Stage
	for _, stage := range stages {
		if !PlainWord(stage.Name, MaxStageName) {
			stage.Name = stageOther
		}
		i := slices.IndexFunc(out, func(o Stage) bool { return o.Name == stage.Name })
		if i < 0 && len(out) >= MaxStages-1 {
			stage.Name = stageOther
			i = slices.IndexFunc(out, func(o Stage) bool { return o.Name == stageOther })
		}
		if i < 0 {
			out = append(out, stage)
			continue
		}
		out[i].Seconds += stage.Seconds
	}
	return out
}

// PlainWord reports whether s may be the value of a label: a word of at most so
// many lower-case letters, digits, "_" and "-".
func PlainWord(s string, longest int) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= longest
}
