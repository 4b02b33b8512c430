package evidence

import (
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Expired returns the records of a policy's drills that it need not keep. A
// drill is kept that is among the newest of its backup, or young enough,
// whichever the policy names; and, whatever it says,
//   - the newest passed drill of each level of a backup, which is its proof;
//   - the newest drill of a backup that passed or failed: without a failure the
//     pass before it would count again.
//
// Drills of other policies and those a person asked for are not the policy's to
// remove. It is pure; records are newest first.
func Expired(records []Record, name string, keep policy.Retention, now time.Time) []Record {
	if keep.Keep <= 0 && keep.MaxAge.Duration <= 0 {
		return nil
	}
	type proof struct {
		backup string
		level  report.Level
	}
	seen, proven, settled := map[string]int{}, map[proof]bool{}, map[string]bool{}
	var out []Record
	for _, r := range records {
		needed := false
		if r.Verdict == report.Passed && !proven[proof{r.Backup, r.Level}] {
			proven[proof{r.Backup, r.Level}], needed = true, true
		}
		if r.Verdict != report.Error && !settled[r.Backup] {
			settled[r.Backup], needed = true, true
		}
		if r.Policy != name {
			continue
		}
		seen[r.Backup]++
		young := keep.MaxAge.Duration > 0 && now.Sub(r.Finished) < keep.MaxAge.Duration
		if !needed && !young && seen[r.Backup] > keep.Keep {
			out = append(out, r)
		}
	}
	return slices.Clip(out)
}
