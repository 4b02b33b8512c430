//go:build e2e && kind

package sabotage

import (
	"slices"
	"testing"

	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// What no cheaper level sees is drilled in a kind cluster each; so are two
// healthy backups.
func TestEverySabotageOfWorkloadsIsCaughtInAKindCluster(t *testing.T) {
	rig.WorkloadImage(t, AppImage)
	sources := NewSources(t, keys(t))
	cases := slices.DeleteFunc(All(), func(c Case) bool {
		healthy := c.Name == "healthy" && (c.From == Ours || c.From == Encrypted)
		return c.Want.Level != report.LevelKind && !healthy
	})
	results := make([]Result, len(cases))
	t.Run("case", func(t *testing.T) {
		for i, c := range cases {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				results[i] = drillAt(t, sources, c, rig.S3Server{}, report.LevelKind)
			})
		}
	})
	record(t, "sabotage-kind", results)
}
