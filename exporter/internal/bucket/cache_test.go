package bucket

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// location has objects that can be listed, and refuses some of them.
type location struct {
	mu      sync.Mutex
	listed  []store.Info
	refused func(key string) error
	reads   int
	noted   []string
}

func newLocation(objects int) *location {
	l := &location{refused: func(string) error { return nil }}
	for i := range objects {
		l.listed = append(l.listed, store.Info{Key: fmt.Sprintf("o%04d", i), Size: 1, Modified: time.Unix(int64(i), 0)})
	}
	return l
}

// refresh reads with a cache and returns how many reads it took.
func (l *location) refresh(t *testing.T, c *cache[string]) (int, error) {
	l.reads = 0
	err := c.refresh(t.Context(), l.listed, reader[string]{8, func(_ context.Context, info store.Info) (string, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.reads++
		return info.Key, l.refused(info.Key)
	}, func(key string, _ error) { l.noted = append(l.noted, key) }})
	return l.reads, err
}

var errDenied = errors.New("access denied")

func denied(string) error { return errDenied }

func TestALocationThatLetsNothingBeReadIsDownAndIsNotAskedForEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache[string]
		l := newLocation(1000)
		l.refused = denied
		reads, err := l.refresh(t, &c)
		require.ErrorIs(t, err, errNoneReadable)
		require.ErrorContains(t, err, "access denied")
		assert.Less(t, reads, hopeless+8+1, "it gives up")
		for range 20 {
			time.Sleep(time.Minute)
			reads, err = l.refresh(t, &c)
			require.ErrorIs(t, err, errNoneReadable)
			assert.LessOrEqual(t, reads, probes)
		}
		l.refused = func(string) error { return nil }
		reads, err = l.refresh(t, &c)
		require.NoError(t, err, "at the next reading")
		assert.LessOrEqual(t, reads, 1000+1)
		for _, info := range l.listed {
			_, err := c.get(info.Key)
			require.NoError(t, err)
		}
	})
}

func TestRightsThatAreTakenAwayAreNoticedByTheNextObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache[string]
		l := newLocation(100)
		_, err := l.refresh(t, &c)
		require.NoError(t, err)
		l.refused = denied
		reads, err := l.refresh(t, &c)
		require.NoError(t, err, "nothing has to be read, so nothing is known")
		assert.Zero(t, reads)
		time.Sleep(proveAgain)
		reads, err = l.refresh(t, &c)
		require.ErrorIs(t, err, errNoneReadable, "after a while one is read, to know")
		assert.Equal(t, 1, reads)
		l.refused = func(string) error { return nil }
		reads, err = l.refresh(t, &c)
		require.NoError(t, err)
		assert.Equal(t, 1, reads)
		l.refused = denied
		l.listed = append(l.listed, store.Info{Key: "new", Size: 1, Modified: time.Now()})
		reads, err = l.refresh(t, &c)
		require.ErrorIs(t, err, errNoneReadable)
		assert.Equal(t, 2, reads, "the new one, and one that could be read before")
		value, err := c.get("o0001")
		require.NoError(t, err)
		assert.Equal(t, "o0001", value, "what was read is kept")
	})
}

func TestOneObjectThatIsRefusedStopsNoneOfTheOthersAndIsTriedLessAndLess(t *testing.T) {
	for name, refuse := range map[string]error{"denied": errDenied, "archived": fmt.Errorf("%w: glacier", store.ErrArchived)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c cache[string]
				l := newLocation(10)
				l.refused = func(key string) error {
					if key == "o0003" {
						return refuse
					}
					return nil
				}
				reads, err := l.refresh(t, &c)
				require.NoError(t, err)
				assert.Equal(t, 10, reads)
				total := 0
				for range 120 { // two hours
					time.Sleep(time.Minute)
					reads, err := l.refresh(t, &c)
					require.NoError(t, err, "another can be read")
					total += reads
				}
				assert.LessOrEqual(t, total, 2*10+12, "the object and another one beside it, and now and then one to know")
				assert.Equal(t, []string{"o0003"}, l.noted, "it is named once")
				l.listed[3].Modified = time.Now()
				l.refused = func(string) error { return nil }
				reads, err = l.refresh(t, &c)
				require.NoError(t, err)
				assert.Equal(t, 1, reads, "what was written again is read at once")
			})
		})
	}
}

func TestManyArchivedObjectsDoNotHideTheOthers(t *testing.T) {
	var c cache[string]
	l := newLocation(500)
	l.refused = func(key string) error {
		if key < "o0490" {
			return store.ErrArchived
		}
		return nil
	}
	_, err := l.refresh(t, &c)
	require.NoError(t, err)
	for _, info := range l.listed[490:] {
		_, err := c.get(info.Key)
		require.NoError(t, err)
	}
}

// Some stay unreadable when the location is readable again.
func TestALocationComesBackAlthoughItsFirstObjectsStayUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache[string]
		l := newLocation(30)
		l.refused = denied
		_, err := l.refresh(t, &c)
		require.Error(t, err)
		l.refused = func(key string) error {
			if key != "o0017" {
				return errDenied
			}
			return nil
		}
		for range 30 {
			time.Sleep(time.Minute)
			if _, err = l.refresh(t, &c); err == nil {
				break
			}
		}
		require.NoError(t, err)
		_, err = c.get("o0017")
		assert.NoError(t, err)
	})
}

func TestWhatIsMalformedOrGoneOrOfTheFutureSaysNothingAboutTheLocation(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		again int
	}{
		"malformed":     {ContentError{errors.New("x")}, 0},
		"gone":          {store.ErrNotFound, 2},
		"of the future": {clockError{errors.New("x")}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var c cache[string]
			l := newLocation(2)
			l.refused = func(string) error { return tc.err }
			_, err := l.refresh(t, &c)
			require.NoError(t, err)
			reads, err := l.refresh(t, &c)
			require.NoError(t, err)
			assert.Equal(t, tc.again, reads)
		})
	}
}
