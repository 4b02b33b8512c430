package storetest_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
)

func TestAStoreWithoutFaultsIsTheStoreBehindIt(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.Calls(mem.New()) })
}

func TestAFaultStrikesWhenItSays(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		when storetest.When
		put  []string // what a failing Put leaves
		read string   // what a failing Get gives before its error
		list []string // what a failing List gives before its error
		gone bool     // whether a failing Delete has deleted
	}{
		{storetest.Before, []string{"a", "b"}, "", nil, false},
		{storetest.During, []string{"a", "b"}, "bytes", []string{"a"}, false},
		{storetest.After, []string{"a", "b", "new"}, "bytes", []string{"a", "b"}, true},
	} {
		t.Run(tt.when.String(), func(t *testing.T) {
			behind := func() *mem.Store {
				s := mem.New()
				for _, key := range []string{"a", "b"} {
					require.NoError(t, s.Put(t.Context(), key, strings.NewReader("bytes")))
				}
				return s
			}
			with := func(s store.Store, m storetest.Method) *storetest.Faults {
				f := storetest.NewFaults(s, storetest.Fault{Method: m, Nth: 1, When: tt.when, Err: boom})
				t.Cleanup(func() { f.AssertAllFired(t) })
				return f
			}

			s := behind()
			assert.ErrorIs(t, with(s, storetest.Put).Put(t.Context(), "new", strings.NewReader("new bytes")), boom)
			assert.Equal(t, tt.put, keys(t, s))

			s = behind()
			read, err := readAll(t, with(s, storetest.Get), "a")
			assert.ErrorIs(t, err, boom)
			assert.Equal(t, tt.read, read)

			s = behind()
			var listed []string
			var listErr error
			for info, err := range with(s, storetest.List).List(t.Context(), "", true) {
				if listErr = err; err == nil {
					listed = append(listed, info.Key)
				}
			}
			assert.ErrorIs(t, listErr, boom)
			assert.Equal(t, tt.list, listed)

			s = behind()
			assert.ErrorIs(t, with(s, storetest.Delete).Delete(t.Context(), "a"), boom)
			assert.Equal(t, tt.gone, len(keys(t, s)) == 1)
		})
	}
}

func TestAFaultStrikesTheCallItNamesAndNoOther(t *testing.T) {
	f := storetest.NewFaults(mem.New(),
		storetest.Fault{Method: storetest.Put, Nth: 2},
		storetest.Fault{Method: storetest.Any, Nth: 4},
	)
	var failed []int
	for i := range 6 {
		if f.Put(t.Context(), fmt.Sprint(i), strings.NewReader("")) != nil {
			failed = append(failed, i+1)
		}
	}
	assert.Equal(t, []int{2, 4}, failed)
	assert.Equal(t, 6, f.Count(storetest.Put))
	assert.Equal(t, storetest.Call{Method: storetest.Put, Key: "5"}, f.Calls()[5])
	f.AssertAllFired(t)
}

func TestAKilledStoreStopsEverything(t *testing.T) {
	boom := errors.New("boom")
	s := mem.New()
	for _, key := range []string{"a", "b"} {
		require.NoError(t, s.Put(t.Context(), key, strings.NewReader("bytes")))
	}
	f := storetest.NewFaults(s, storetest.Fault{Method: storetest.Delete, Nth: 1, When: storetest.After, Err: boom, Kill: true})
	r, err := f.Get(t.Context(), "b")
	require.NoError(t, err)
	defer r.Close()

	// A Put that is under way when the process dies.
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := f.Put(t.Context(), "new", pr)
		pr.Close()
		done <- err
	}()
	_, err = io.WriteString(pw, "first piece")
	require.NoError(t, err)

	assert.ErrorIs(t, f.Delete(t.Context(), "a"), boom)

	pw.Close() // all the bytes are there, and still nothing may be published
	assert.ErrorIs(t, <-done, boom)
	_, err = r.Read(make([]byte, 1))
	assert.ErrorIs(t, err, boom)
	assert.ErrorIs(t, f.Put(t.Context(), "c", strings.NewReader("")), boom)
	_, err = f.Get(t.Context(), "b")
	assert.ErrorIs(t, err, boom)
	assert.ErrorIs(t, f.Delete(t.Context(), "b"), boom)
	for _, err := range f.List(t.Context(), "", true) {
		assert.ErrorIs(t, err, boom)
	}
	assert.Equal(t, []string{"b"}, keys(t, s))
}

func TestAStoreMayBeKilledFromOutside(t *testing.T) {
	boom := errors.New("boom")
	s := mem.New()
	f := storetest.Calls(s)
	require.NoError(t, f.Put(t.Context(), "a", strings.NewReader("bytes")))
	f.Kill(boom)
	assert.ErrorIs(t, f.Delete(t.Context(), "a"), boom)
	_, err := f.Get(t.Context(), "a")
	assert.ErrorIs(t, err, boom)
	assert.Equal(t, []string{"a"}, keys(t, s))
}

func TestAFaultThatNeverFiresFailsTheTest(t *testing.T) {
	f := storetest.NewFaults(mem.New(), storetest.Fault{Method: storetest.Get, Nth: 3, When: storetest.After})
	rec := &recorder{TB: t}
	f.AssertAllFired(rec)
	assert.Equal(t, []string{"fault after Get call 3 never fired; 0 such calls were made"}, rec.errors)
}

// recorder takes the errors of a test that is to fail.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func keys(t *testing.T, s store.Store) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(t.Context(), "", true) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

func readAll(t *testing.T, s store.Store, key string) (string, error) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return string(data), err
}
