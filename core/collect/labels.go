package collect

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// serverSelector is what the API server is asked to select. With several
// selectors it is asked for everything and each object is looked at here: one
// list for each selector would take K walks of the server over the same
// objects, and miss an object whose labels change from one selector to the
// other between two of them. So a resource stays one list of one moment, in the
// order of the server.
func (c *Collection) serverSelector(r item.Resource) string {
	if c.filter.IgnoresLabels(r) {
		return ""
	}
	return c.filter.LabelSelector
}

// selects reports whether the labels of an object are those that are selected.
func (c *Collection) selects(r item.Resource, it item.Item) (bool, error) {
	if c.filter.IgnoresLabels(r) {
		return true, nil
	}
	set, err := labelsOf(it)
	return err == nil && c.filter.MatchLabels(set), err
}

// labelsOf reads the labels of an item and nothing else.
func labelsOf(it item.Item) (labels.Set, error) {
	var head struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(it.Raw, &head); err != nil {
		return nil, fmt.Errorf("read the labels of %s: %w", it.Key, err)
	}
	return head.Metadata.Labels, nil
}
