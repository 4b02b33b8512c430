package collect

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryReasonIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/backup.md")
	require.NoError(t, err)
	for _, reason := range []string{leftByLabel, leftDeleting, leftByNamespace, leftByMark, notListable, notCreatable, notIncluded, isExcluded, clusterScoped, clusterPart, noClusterScoped, ofSnapshots} {
		assert.Contains(t, string(doc), "\n| "+reason+" |", "docs/backup.md lists the reasons that stand in manifests")
	}
}
