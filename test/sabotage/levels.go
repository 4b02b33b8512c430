package sabotage

import (
	"slices"

	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// levels says at which levels a run drills each case. The whole corpus is
// drilled at integrity and at controlplane. A part of it is all cases at
// integrity, and at controlplane all but those that integrity must find: a drill
// at controlplane begins with the same checks, so there one case of each check is
// enough to show that it stops the drill. The part says which one.
func levels(cases []Case, p part.Part) [][]report.Level {
	out := make([][]report.Level, len(cases))
	same := map[string][]int{} // what the level must say: cases
	for i, c := range cases {
		out[i] = []report.Level{report.LevelIntegrity}
		if c.Want.Level == report.LevelIntegrity && !p.Whole() {
			said := string(c.Want.Verdict) + c.Want.Finding.Check
			same[said] = append(same[said], i)
			continue
		}
		out[i] = append(out[i], report.LevelControlPlane)
	}
	for _, is := range same {
		i := is[p.One(len(is))]
		out[i] = append(out[i], report.LevelControlPlane)
	}
	return out
}

// some are the cases of the part.
func some(cases []Case, p part.Part) []Case {
	i := 0
	return slices.DeleteFunc(slices.Clone(cases), func(Case) bool { i++; return !p.Takes(i - 1) })
}
