package plan

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// RefusedItem is the entry of an item that the archive holds and that cannot be read.
// Its step fails with the reason, unless the filter leaves it out. Nothing is known
// of its labels, so a selector does not.
func (o Options) RefusedItem(k item.Key, reason string) Entry {
	o.Filter.LabelSelector, o.Filter.OrLabelSelectors = "", nil
	e := Entry{Key: o.Target(k), Broken: reason, selection: o.selectItem(&unstructured.Unstructured{}, item.Item{Key: k})}
	e.Leave = e.selection.leave
	if e.Key != k {
		e.From = &k
	}
	return e
}

// RefusedEntry is the entry of a file in an archive of which not even the path says
// what it is.
func RefusedEntry(path, reason string) Entry {
	return Entry{Key: item.Key{Resource: "entry", Name: path}, Broken: reason}
}
