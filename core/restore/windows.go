package restore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// windowBytes is how much JSON of a backup is in memory at once.
const windowBytes = 32 << 20

// Windows hands the items of the steps to use, at most windowBytes of them at
// once. The steps must be ordered by stage, as a plan's are; in a window they
// are in the order given, and no step comes before all steps of earlier stages
// have come, in the same window or before. It fails when the archive does not
// hold an item any more as it was when the plan was made.
//
// The archive, which has another order, is read from its start as often as it
// takes: in one pass come whole stages that fit a window together, and window
// after window of the stage that is next. The objects of a cluster have some
// twenty stages, three or four of which are large.
func Windows(ctx context.Context, s store.Store, backup string, steps []plan.Step, use func([]apply.Work) error) error {
	w := newWindows(steps, use)
	for !w.done() {
		if err := w.pass(ctx, s, backup); err != nil {
			return err
		}
	}
	return w.give()
}

// windows converts the order of the archive into that of the steps.
type windows struct {
	steps []plan.Step
	use   func([]apply.Work) error
	byKey []int  // steps that need an item, by its key in the backup
	read  []bool // by step: its item is held, was given, or is not needed
	next  int    // no step before it is still to be read
	held  map[int][]held
	size  int   // bytes held
	bare  []int // steps without an item that have not been given
}

// held is an item that has been read and not given.
type held struct {
	step int
	item item.Item
}

func newWindows(steps []plan.Step, use func([]apply.Work) error) *windows {
	w := &windows{steps: steps, use: use, read: make([]bool, len(steps)), held: map[int][]held{}}
	for i, s := range steps {
		if s.Bare {
			w.read[i] = true
			w.bare = append(w.bare, i)
		} else {
			w.byKey = append(w.byKey, i)
		}
	}
	slices.SortFunc(w.byKey, func(a, b int) int { return item.Compare(steps[a].Source(), steps[b].Source()) })
	return w
}

// done reports whether all items have been read.
func (w *windows) done() bool {
	for w.next < len(w.steps) && w.read[w.next] {
		w.next++
	}
	return w.next == len(w.steps)
}

// wanted finds the step of an item that is still to be read.
func (w *windows) wanted(k item.Key) (step int, wanted bool) {
	i, found := slices.BinarySearchFunc(w.byKey, k, func(i int, k item.Key) int { return item.Compare(w.steps[i].Source(), k) })
	if !found || w.read[w.byKey[i]] {
		return 0, false
	}
	return w.byKey[i], true
}

// pass reads the archive from its start. After it, all steps of the earliest
// stage that was not complete have been read.
func (w *windows) pass(ctx context.Context, s store.Store, backup string) error {
	earliest := w.steps[w.next].Stage
	only := func(k item.Key) bool { _, wanted := w.wanted(k); return wanted }
	use := func(it item.Item) error {
		i, _ := w.wanted(it.Key)
		if sha256.Sum256(it.Raw) != w.steps[i].Sum {
			return fmt.Errorf("the archive of backup %s changed after the plan was made: the digest of %s differs", backup, it.Key)
		}
		if err := w.take(i, it); err != nil {
			return err
		}
		if w.done() {
			return errEnough
		}
		return nil
	}
	_, err := reading{store: s, backup: backup, only: only, use: use}.read(ctx)
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return err
	case !w.done() && w.steps[w.next].Stage == earliest:
		return fmt.Errorf("the archive of backup %s changed after the plan was made: %s is missing", backup, w.steps[w.next].Key)
	}
	return nil
}

// take holds an item if there is room for it, or room can be made: items of
// later stages are forgotten, to be read again, and what may be given is given.
func (w *windows) take(i int, it item.Item) error {
	s := w.steps[i]
	for len(w.held) > 0 && w.size+s.Size > windowBytes {
		latest := slices.Max(slices.Collect(maps.Keys(w.held)))
		switch {
		case latest > s.Stage:
			w.forget(latest)
		case s.Stage > w.due():
			return nil
		default:
			if err := w.give(); err != nil {
				return err
			}
		}
	}
	w.read[i] = true
	w.held[s.Stage] = append(w.held[s.Stage], held{i, it})
	w.size += s.Size
	return nil
}

func (w *windows) forget(stage int) {
	for _, h := range w.held[stage] {
		w.read[h.step] = false
		w.size -= w.steps[h.step].Size
	}
	delete(w.held, stage)
}

// due is the latest stage that may be given: no step of an earlier one is
// still to be read.
func (w *windows) due() int {
	if w.done() {
		return math.MaxInt
	}
	return w.steps[w.next].Stage
}

// give hands on all that may be given.
func (w *windows) give() error {
	due := w.due()
	var out []held
	for stage, hs := range w.held {
		if stage <= due {
			out = append(out, hs...)
			delete(w.held, stage)
		}
	}
	for len(w.bare) > 0 && w.steps[w.bare[0]].Stage <= due {
		out = append(out, held{step: w.bare[0]})
		w.bare = w.bare[1:]
	}
	if len(out) == 0 {
		return nil
	}
	slices.SortFunc(out, func(a, b held) int { return cmp.Compare(a.step, b.step) })
	work := make([]apply.Work, len(out))
	for i, h := range out {
		work[i] = apply.Work{Step: w.steps[h.step], Item: h.item}
		if !work[i].Step.Bare {
			w.size -= work[i].Step.Size
		}
	}
	return w.use(work)
}
