package fact

import (
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Contents are the values of the label content, and the folders of each; other is
// what lies elsewhere.
var Contents = []struct {
	Name    string
	folders []string
}{
	{"catalog", []string{store.BackupsPrefix, store.RestoresPrefix}},
	{"volumes", []string{"kopia/", "restic/"}}, // where Velero keeps its repositories
	{"ledger", []string{store.LedgerPrefix}},
	{"drills", []string{store.DrillsPrefix}},
	{contentOther, nil},
}

const contentOther = "other"

func ContentOf(key string) string {
	for _, c := range Contents {
		for _, folder := range c.folders {
			if strings.HasPrefix(key, folder) {
				return c.Name
			}
		}
	}
	return contentOther
}
