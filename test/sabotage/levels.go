package sabotage

import (
	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// levels says at which levels a run drills each case: at integrity, and at
// controlplane, which starts a cluster for what integrity has not refused. Of
// those cases, the ones that take minutes, a run takes its part.
func levels(cases []Case, p part.Part) [][]report.Level {
	out := make([][]report.Level, len(cases))
	restored := 0
	for i, c := range cases {
		out[i] = []report.Level{report.LevelIntegrity}
		if c.Want.Level == report.LevelIntegrity || p.Takes(restored) {
			out[i] = append(out[i], report.LevelControlPlane)
		}
		if c.Want.Level != report.LevelIntegrity {
			restored++
		}
	}
	return out
}
