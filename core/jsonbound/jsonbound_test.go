package jsonbound_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
)

func TestADocumentWithinItsLimitsPassesAsItIs(t *testing.T) {
	const text = `{"a":[1,2,{"b":"{[,\"{[,\\"}],"c":{}}` // { [ , , { , {
	for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
		got, err := io.ReadAll(jsonbound.NewReader(r, jsonbound.Limits{Bytes: int64(len(text)), Values: 7}))
		require.NoError(t, err, "brackets and commas in strings are no values")
		assert.Equal(t, text, string(got))
	}
	for _, l := range []jsonbound.Limits{{Bytes: int64(len(text)) - 1, Values: 7}, {Bytes: int64(len(text)), Values: 6}} {
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			b := jsonbound.NewReader(r, l)
			_, err := io.ReadAll(b)
			require.ErrorIs(t, err, jsonbound.ErrTooLarge)
			require.Equal(t, err, b.Err())
		}
	}
}

func TestAFailureBelowPasses(t *testing.T) {
	broken := errors.New("broken")
	_, err := io.ReadAll(jsonbound.NewReader(iotest.ErrReader(broken), jsonbound.Limits{Bytes: 10, Values: 10}))
	assert.ErrorIs(t, err, broken)
}

// A decoder makes no more values of a document than were counted, but for the
// document itself.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{`{}`, `[{},{"a":[1,2]}]`, `"\\\","`, `{"a":"\u0022,"}`, `[[],[[]],,`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		if json.Unmarshal([]byte(text), &v) != nil || values(v) < 2 {
			return
		}
		limits := jsonbound.Limits{Bytes: int64(len(text)), Values: values(v) - 2}
		_, err := io.ReadAll(jsonbound.NewReader(strings.NewReader(text), limits))
		require.ErrorIs(t, err, jsonbound.ErrTooLarge)
	})
}

func values(v any) int64 {
	n := int64(1)
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += values(e)
		}
	case map[string]any:
		for _, e := range v {
			n += values(e)
		}
	}
	return n
}
