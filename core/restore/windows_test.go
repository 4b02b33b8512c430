package restore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// readings counts how often something is read from a store.
type readings struct {
	store.Store
	n int
}

func (r *readings) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r.n++
	return r.Store.Get(ctx, key)
}

// staged makes n items and their steps, ordered as a plan's; size says how
// much JSON each pretends to be.
func staged(n, stages int, rnd *rand.Rand, size func() int) (items []item.Item, steps []plan.Step) {
	for i := range n {
		it := configMap(fmt.Sprintf("c%03d", i))
		items = append(items, it)
		steps = append(steps, plan.Step{Key: it.Key, Version: "v1", Kind: "ConfigMap", Action: plan.Create, Stage: rnd.IntN(stages), Size: size(), Sum: sha256.Sum256(it.Raw)})
	}
	for i := range 3 {
		steps = append(steps, plan.Step{Key: item.Key{Resource: "namespaces", Name: fmt.Sprint("bare-", i)}, Bare: true, Stage: rnd.IntN(stages + 1)})
	}
	slices.SortFunc(steps, func(a, b plan.Step) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), item.Compare(a.Key, b.Key))
	})
	return items, steps
}

func TestEveryStepComesOnceInABoundedWindowAndAfterAllEarlierStages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		stages := 1 + rnd.IntN(6)
		items, steps := staged(rnd.IntN(120), stages, rnd, func() int {
			if rnd.IntN(40) == 0 {
				return 3 * windowBytes
			}
			return windowBytes / (1 + rnd.IntN(30))
		})
		s := &readings{Store: written(t, false, items...)}
		came := map[item.Key]int{}
		left := map[int]int{} // steps still to come, by stage
		for _, step := range steps {
			left[step.Stage]++
		}
		err := Windows(t.Context(), s, "b", steps, func(work []apply.Work) error {
			size, before := 0, -1
			for _, w := range work {
				came[w.Step.Key]++
				size += w.Step.Size
				at := slices.IndexFunc(steps, func(s plan.Step) bool { return s.Key == w.Step.Key })
				require.Greater(t, at, before, "in the order of the plan")
				before = at
				if !w.Step.Bare {
					require.Equal(t, w.Step.Key, w.Item.Key)
					require.Equal(t, w.Step.Sum, plan.Digest(sha256.Sum256(w.Item.Raw)))
				}
				for stage := range w.Step.Stage {
					require.Zero(t, left[stage], "round %d: a step of stage %d before one of %d", round, w.Step.Stage, stage)
				}
				left[w.Step.Stage]--
			}
			sized := slices.DeleteFunc(slices.Clone(work), func(w apply.Work) bool { return w.Step.Size == 0 })
			require.True(t, size <= windowBytes || len(sized) == 1, "round %d: %d bytes of %d items at once", round, size, len(sized))
			return nil
		})
		require.NoError(t, err)
		require.Len(t, came, len(steps))
		for k, n := range came {
			require.Equal(t, 1, n, "%s", k)
		}
		assert.LessOrEqual(t, s.n, stages, "each pass completes a stage")
	}
}

func TestWhatIsInOneStageOrFitsAWindowIsReadInOnePass(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for name, c := range map[string]struct{ items, stages, size, windows int }{
		"one stage of ten windows":         {100, 1, windowBytes / 10, 10},
		"five stages that fit in a window": {50, 5, windowBytes / 50, 1},
	} {
		items, steps := staged(c.items, c.stages, rnd, func() int { return c.size })
		s := &readings{Store: written(t, false, items...)}
		windows := 0
		require.NoError(t, Windows(t.Context(), s, "b", steps, func([]apply.Work) error { windows++; return nil }))
		assert.Equal(t, 1, s.n, name)
		assert.Equal(t, c.windows, windows, name)
	}
}

func TestStepsThatNeedNoItemReadNothing(t *testing.T) {
	_, steps := staged(0, 1, rand.New(rand.NewPCG(5, 6)), nil)
	s := &readings{Store: written(t, false)}
	var came int
	require.NoError(t, Windows(t.Context(), s, "b", steps, func(w []apply.Work) error { came += len(w); return nil }))
	assert.Equal(t, 3, came)
	assert.Zero(t, s.n, "steps that need no item")
	require.NoError(t, Windows(t.Context(), s, "b", nil, func([]apply.Work) error { return errors.New("nothing to use") }))
}

func TestAnErrorOfAWindowEndsThem(t *testing.T) {
	items, steps := staged(40, 2, rand.New(rand.NewPCG(7, 8)), func() int { return windowBytes / 4 })
	stop := errors.New("stop")
	windows := 0
	err := Windows(t.Context(), written(t, false, items...), "b", steps, func([]apply.Work) error {
		if windows++; windows == 3 {
			return stop
		}
		return nil
	})
	assert.ErrorIs(t, err, stop)
	assert.Equal(t, 3, windows)
}
