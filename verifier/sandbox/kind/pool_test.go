package kind

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nodes are what a pool under test is filled with: names of images, no clusters.
type nodes struct {
	*Pool
	mu            sync.Mutex
	made, removed []string
	told          int
}

func poolOf(t *testing.T, first Choice, size int, start func(context.Context, Choice) (*node, error)) *nodes {
	n := &nodes{}
	count := func(what func()) {
		n.mu.Lock()
		defer n.mu.Unlock()
		what()
	}
	n.Pool = &Pool{
		size: size, first: first,
		start: func(ctx context.Context, c Choice) (*node, error) {
			made, err := start(ctx, c)
			if err == nil {
				count(func() { n.made = append(n.made, made.image) })
			}
			return made, err
		},
		remove: func(_ context.Context, old *node) error {
			count(func() { n.removed = append(n.removed, old.image) })
			return nil
		},
		failed: func(error) { count(func() { n.told++ }) },
	}
	n.run()
	t.Cleanup(func() { n.stop() })
	return n
}

// seen is what was made and removed by now, and how often somebody was told of a
// failure.
func (n *nodes) seen() (made, removed []string, told int) {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.made), slices.Clone(n.removed), n.told
}

// slowly makes one in a quarter of a minute.
func slowly(ctx context.Context, c Choice) (*node, error) {
	select {
	case <-time.After(15 * time.Second):
		return &node{image: c.NodeImage}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestAPoolIsFilledAndRefilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf(t, Choice{NodeImage: "a"}, 2, slowly)
		assert.Nil(t, p.pop("a"), "nothing is ready yet")
		time.Sleep(16 * time.Second)
		assert.Equal(t, 1, p.Ready(), "two at once are slower than two in a row")
		time.Sleep(time.Minute)
		assert.Equal(t, 2, p.Ready())

		first, second := p.pop("a"), p.pop("a")
		require.NotNil(t, first)
		require.NotNil(t, second)
		assert.NotSame(t, first, second, "each is used once")
		assert.Nil(t, p.pop("a"))
		time.Sleep(time.Minute)
		assert.Equal(t, 2, p.Ready())
		require.NoError(t, p.Close(t.Context()))
		made, removed, _ := p.seen()
		assert.Len(t, made, 4)
		assert.Equal(t, []string{"a", "a"}, removed, "what was taken is not the pool's")
	})
}

func TestAPoolKeepsTheImageThatWasAskedForLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf(t, Choice{KubernetesVersion: SourceVersion}, 1, slowly)
		time.Sleep(time.Hour)
		made, _, _ := p.seen()
		assert.Empty(t, made, "no backup has said what its source was")
		assert.Nil(t, p.pop("a"))
		time.Sleep(time.Minute)
		assert.Equal(t, 1, p.Ready())
		assert.Nil(t, p.pop("b"), "of another image there is none")
		time.Sleep(time.Minute)
		made, removed, _ := p.seen()
		assert.Equal(t, []string{"a", "b"}, made)
		assert.Equal(t, []string{"a"}, removed)
		assert.NotNil(t, p.pop("b"))
		require.NoError(t, p.Close(t.Context()))
	})
}

func TestAPoolTriesAgainWhatFailedAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		p := poolOf(t, Choice{NodeImage: "a"}, 1, func(ctx context.Context, c Choice) (*node, error) {
			if tries.Add(1) < 3 {
				return nil, errors.New("no room")
			}
			return slowly(ctx, c)
		})
		time.Sleep(time.Second)
		assert.EqualValues(t, 1, tries.Load(), "not again at once")
		time.Sleep(5 * time.Minute)
		_, _, told := p.seen()
		assert.EqualValues(t, 3, tries.Load())
		assert.Equal(t, 2, told)
		assert.Equal(t, 1, p.Ready())
		require.NoError(t, p.Close(t.Context()))
	})
}

func TestClosingAPoolCancelsWhatIsUnderWayAndWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cleaned := false
		p := poolOf(t, Choice{NodeImage: "a"}, 1, func(ctx context.Context, _ Choice) (*node, error) {
			<-ctx.Done()
			time.Sleep(3 * time.Second) // to remove what there was of it
			cleaned = true
			return nil, ctx.Err()
		})
		synctest.Wait()
		require.NoError(t, p.Close(t.Context()))
		assert.True(t, cleaned)
		_, _, told := p.seen()
		assert.Zero(t, told, "that was wanted")
	})
}
