// Package progress is how a backup and a restore report how far they are. Pure.
package progress

import "github.com/lifeboat-backup/lifeboat/core/item"

// Event is one report. Either Stage is set or an item has been dealt with.
type Event struct {
	Stage  string   // what begins now and may take long
	Object item.Key // the item
	Done   int      // items so far, with this one
	Total  int      // items in all, 0 while unknown
	Bytes  int64    // JSON of the items so far, of a backup
}

// Sink receives each event, from one goroutine at a time. It must return quickly.
type Sink func(Event)

// Report calls the sink if there is one.
func (s Sink) Report(e Event) {
	if s != nil {
		s(e)
	}
}
