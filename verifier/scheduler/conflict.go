package scheduler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"slices"

	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// recentRuns is in how many of the newest runs other policies of the same name are
// looked for.
const recentRuns = 5

// digest identifies what a policy asks for: equal for verifiers that share it,
// whatever URL each has for the location and wherever its files are.
func digest(s policy.Spec) string {
	s.Location = ""
	s.Images.Archive = filepath.Base(s.Images.Archive)
	raw, err := json.Marshal(s)
	if err != nil {
		return "" // a policy that was read is written
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])[:16]
}

// conflicts records that this verifier takes part in the last run, and returns the
// digests of other policies of this name that are in use.
func (k *keeper) conflicts(ctx context.Context) ([]string, error) {
	record := drilllog.Settings{Digest: k.settings, At: k.Now().UTC(), By: k.By}
	if err := drilllog.WriteSettings(ctx, k.Store, k.name(), k.last.Due, record); err != nil {
		return nil, err
	}
	runs, err := drilllog.Runs(ctx, k.Store, k.name(), later(k.Now(), k.last.Due))
	if err != nil {
		return nil, err
	}
	used := make([][]string, min(len(runs), recentRuns))
	for i := range used {
		if used[i], err = drilllog.ListSettings(ctx, k.Store, k.name(), runs[i]); err != nil {
			return nil, err
		}
	}
	return foreign(k.settings, used), nil
}

// foreign are the digests that were used since this verifier's settings were used
// before, in the runs, newest first; the newest run counts in any case. What was
// used only earlier is a policy that was changed since. It is pure.
func foreign(own string, used [][]string) []string {
	before := slices.IndexFunc(used[min(1, len(used)):], func(digests []string) bool { return slices.Contains(digests, own) }) + 1
	var out []string
	for _, digests := range used[:min(before+1, len(used))] {
		for _, d := range digests {
			if d != own && !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	return out
}
