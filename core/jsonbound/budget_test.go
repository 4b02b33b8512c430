package jsonbound_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
)

var bounds = jsonbound.Limits{Bytes: 1 << 20, Values: 100_000}

func TestDocumentsAreDecodedAtTheSameTimeAsFarAsMemoryAllows(t *testing.T) {
	for name, tc := range map[string]struct {
		document string
		most     int64
	}{
		"small ones all at once": {`{"a":[1,2,3]}`, 16},
		"large ones two by two":  {`[` + strings.Repeat(`{},`, 45_000) + `{}]`, 2},
		"long ones side by side": {`"` + strings.Repeat("a", 400<<10) + `"`, 16},
	} {
		t.Run(name, func(t *testing.T) {
			b := jsonbound.NewBudget(32 << 20) // a document at its limits takes 3 MiB and 100,000 times 125 bytes
			var now, most atomic.Int64
			var all errgroup.Group
			for range 16 {
				all.Go(func() error {
					return b.Decode(t.Context(), strings.NewReader(tc.document), bounds, 100, func(raw []byte) error {
						assert.Equal(t, tc.document, string(raw))
						for n := now.Add(1); n > most.Load(); {
							most.Store(n)
						}
						time.Sleep(20 * time.Millisecond)
						now.Add(-1)
						return nil
					})
				})
			}
			require.NoError(t, all.Wait())
			assert.LessOrEqual(t, most.Load(), tc.most)
			assert.Greater(t, most.Load(), int64(1))
			require.NoError(t, b.Decode(t.Context(), strings.NewReader(tc.document), bounds, 100, func([]byte) error { return nil }), "everything was given back")
		})
	}
}

func TestADecoderWaitsNoLongerThanItsContext(t *testing.T) {
	b := jsonbound.NewBudget(1 << 10)
	large := `"` + strings.Repeat("a", 100<<10) + `"`
	err := b.Decode(t.Context(), strings.NewReader(large), bounds, 1, func([]byte) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		err := b.Decode(ctx, strings.NewReader("{}"), bounds, 1, func([]byte) error { return nil })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		return errors.New("of the decoder")
	})
	require.EqualError(t, err, "of the decoder")
}

func TestWhatIsAtFaultCanBeTold(t *testing.T) {
	b := jsonbound.NewBudget(64 << 20)
	packed := func(text string) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
		return out.Bytes()
	}
	broken := errors.New("broken")
	good := packed(`{"a":1}`)
	random := packed(strings.Repeat("{},", 1<<20))
	for name, tc := range map[string]struct {
		r    io.Reader
		want error
	}{
		"good":            {bytes.NewReader(good), nil},
		"no gzip":         {strings.NewReader("{}"), jsonbound.ErrPacked},
		"cut":             {bytes.NewReader(good[:len(good)-3]), jsonbound.ErrPacked},
		"a wrong sum":     {bytes.NewReader(append(bytes.Clone(good[:len(good)-8]), 1, 2, 3, 4, 5, 6, 7, 8)), jsonbound.ErrPacked},
		"a bomb":          {bytes.NewReader(random), jsonbound.ErrTooLarge},
		"large as stored": {io.MultiReader(bytes.NewReader(good), bytes.NewReader(make([]byte, 1<<20))), jsonbound.ErrPacked},
		"unreadable":      {io.MultiReader(bytes.NewReader(good[:10]), iotest.ErrReader(broken)), broken},
	} {
		t.Run(name, func(t *testing.T) {
			err := b.DecodeGzip(t.Context(), tc.r, 1<<16, bounds, 100, func([]byte) error { return nil })
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func TestAnErrorQuotesNoWholeDocument(t *testing.T) {
	short, long := errors.New("short"), errors.New(strings.Repeat("ü", 1<<20))
	assert.Equal(t, short, jsonbound.Short(short))
	assert.Less(t, len(jsonbound.Short(long).Error()), 1100)
	assert.NoError(t, jsonbound.Short(nil))
}
