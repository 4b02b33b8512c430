package kind

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPoolIsFilledAndRefilledOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made, atOnce := 0, 0
		p := newPool(func(context.Context) (*node, error) {
			atOnce++
			assert.Equal(t, 1, atOnce, "two at once are slower than two in a row")
			time.Sleep(15 * time.Second)
			atOnce--
			made++
			return &node{image: "a"}, nil
		}, 2, nil)
		assert.Nil(t, p.pop("a"), "nothing is ready yet")
		time.Sleep(time.Minute)
		assert.Equal(t, 2, p.Ready())
		assert.Nil(t, p.pop("b"), "of another image there is none")

		first, second := p.pop("a"), p.pop("a")
		require.NotNil(t, first)
		require.NotNil(t, second)
		assert.NotSame(t, first, second, "each is used once")
		assert.Nil(t, p.pop("a"))
		time.Sleep(time.Minute)
		assert.Equal(t, 2, p.Ready())
		assert.Equal(t, 4, made)
		p.ready = nil // what a fake is made of cannot be removed
		require.NoError(t, p.Close(t.Context()))
	})
}

func TestAPoolTriesAgainWhatFailedAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, told := 0, 0
		p := newPool(func(context.Context) (*node, error) {
			if tries++; tries < 3 {
				return nil, errors.New("no room")
			}
			return &node{image: "a"}, nil
		}, 1, func(err error) {
			told++
			assert.EqualError(t, err, "no room")
		})
		time.Sleep(time.Second)
		assert.Equal(t, 1, tries, "not again at once")
		time.Sleep(5 * time.Minute)
		assert.Equal(t, 3, tries)
		assert.Equal(t, 2, told)
		assert.Equal(t, 1, p.Ready())
		p.ready = nil
		require.NoError(t, p.Close(t.Context()))
	})
}

func TestClosingAPoolCancelsWhatIsUnderWayAndWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cleaned := false
		p := newPool(func(ctx context.Context) (*node, error) {
			<-ctx.Done()
			time.Sleep(3 * time.Second) // to remove what there was of it
			cleaned = true
			return nil, ctx.Err()
		}, 1, func(err error) { t.Error("told of what was wanted:", err) })
		synctest.Wait()
		require.NoError(t, p.Close(t.Context()))
		assert.True(t, cleaned)
	})
}
