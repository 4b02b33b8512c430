//go:build e2e && kind

package sabotage

import (
	"testing"

	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// What no cheaper level sees is drilled in a kind cluster each; so are two
// healthy backups. A run may take a part of them.
func TestEverySabotageOfWorkloadsIsCaughtInAKindCluster(t *testing.T) {
	rig.WorkloadImage(t, AppImage)
	sources := NewSources(t, keys(t))
	cases := part.Some(t, append(workloads(), Case{Name: "healthy", From: Ours}, Case{Name: "healthy", From: Encrypted}))
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
