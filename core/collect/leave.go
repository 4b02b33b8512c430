package collect

import (
	"bytes"
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// The reasons for which a listed object is left out. They are part of the manifest format
// and must stay as they are.
const (
	leftByLabel     = "label " + api.LabelExcludeFromBackup + "=true"
	leftDeleting    = "being deleted"
	leftByNamespace = "its namespace is not selected"
	leftByMark      = "its namespace has the label " + api.LabelExcludeFromBackup + "=true"
)

// leftOut says why an object is not taken, "" when it is.
func (c *Collection) leftOut(it item.Item) (string, error) {
	return leftOut(c.filter, c.marked, it)
}

// leftOut is pure. Only objects whose text holds one of the marks are decoded.
func leftOut(f filter.Filter, marked map[string]bool, it item.Item) (string, error) {
	namespace := it.Key.Namespace
	if it.Key.Group == "" && it.Key.Resource == "namespaces" {
		namespace = it.Key.Name
	}
	switch {
	case namespace != "" && !f.HasNamespace(namespace):
		return leftByNamespace, nil
	case marked[it.Key.Namespace]:
		return leftByMark, nil
	case !bytes.Contains(it.Raw, []byte(api.LabelExcludeFromBackup)) && !bytes.Contains(it.Raw, []byte(`"deletionTimestamp"`)):
		return "", nil
	}
	obj, err := it.Object()
	if err != nil {
		return "", fmt.Errorf("decide whether to back up: %w", err)
	}
	switch {
	case obj.GetLabels()[api.LabelExcludeFromBackup] == "true":
		return leftByLabel, nil
	case obj.GetDeletionTimestamp() != nil:
		return leftDeleting, nil
	}
	return "", nil
}
