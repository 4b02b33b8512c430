package storetest

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"testing"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Method names one of a Store's calls.
type Method string

// The methods of a Store that can fail. Any counts calls of all of them.
const (
	Any    Method = "any"
	Put    Method = "Put"
	Get    Method = "Get"
	List   Method = "List"
	Delete Method = "Delete"
)

// Call is one call a store received.
type Call struct {
	Method Method
	Key    string // or the prefix, for List
}

// When says how far a failing call gets.
type When int

const (
	// Before the call takes effect: the store behind never sees it.
	Before When = iota
	// During it: a Put's reader ends in the error after its first piece, so
	// that nothing is published; a Get's reader fails after its first piece;
	// a List fails after its first entry. A Delete has no middle and fails
	// before.
	During
	// After it took effect: the answer got lost. A Get's reader fails at the
	// end of the object, a List after its last entry.
	After
)

func (w When) String() string { return [...]string{"before", "during", "after"}[w] }

// Fault is one failure to come.
type Fault struct {
	Method Method
	Nth    int // of the calls of Method; 1 is the first
	When   When
	Err    error // ErrInjected when nil
	// Kill stops the store for good, as the death of its user would: every
	// later call, every later Read and every later entry of a List fails with
	// the same error, and a Put that is still reading publishes nothing.
	Kill bool
}

// ErrInjected is the error of a Fault that names none.
var ErrInjected = errors.New("injected fault")

// Faults wraps a store and makes chosen calls of it fail. It counts the calls
// it receives, the failing ones included.
type Faults struct {
	store store.Store

	mu     sync.Mutex
	calls  []Call
	faults []*armed
	killed error
}

type armed struct {
	Fault
	fired bool
}

var _ store.Store = (*Faults)(nil)

// NewFaults wraps s with the faults in any order.
func NewFaults(s store.Store, faults ...Fault) *Faults {
	f := &Faults{store: s}
	for _, fault := range faults {
		if fault.Err == nil {
			fault.Err = ErrInjected
		}
		f.faults = append(f.faults, &armed{Fault: fault})
	}
	return f
}

// Calls wraps s to count its calls, so that a test can put a fault at each.
func Calls(s store.Store) *Faults { return NewFaults(s) }

// Calls returns the calls received so far, in order.
func (f *Faults) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.calls...)
}

// Count is the number of calls of one method, or of Any.
func (f *Faults) Count(m Method) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count(m)
}

// AssertAllFired fails the test when a fault was never reached: such a test
// shows nothing.
func (f *Faults) AssertAllFired(t testing.TB) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.faults {
		if !a.fired {
			t.Errorf("fault %s %s call %d never fired; %d such calls were made", a.When, a.Method, a.Nth, f.count(a.Method))
		}
	}
}

// Kill stops the store for good with an error, as a Fault with Kill does.
func (f *Faults) Kill(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killed = err
}

// Put implements store.Store.
func (f *Faults) Put(ctx context.Context, key string, r io.Reader) error {
	fault, err := f.receive(Put, key)
	if err != nil {
		return err
	}
	src := &source{faults: f, r: r}
	if fault != nil && fault.When == During {
		src.fault = fault
	}
	if err := f.store.Put(ctx, key, src); err != nil {
		return err
	}
	return f.after(fault)
}

// Get implements store.Store.
func (f *Faults) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	fault, err := f.receive(Get, key)
	if err != nil {
		return nil, err
	}
	r, err := f.store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{&source{faults: f, r: r, fault: fault}, r}, nil
}

// List implements store.Store.
func (f *Faults) List(ctx context.Context, prefix string, recursive bool) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		fault, err := f.receive(List, prefix)
		if err != nil {
			yield(store.Info{}, err)
			return
		}
		for info, err := range f.store.List(ctx, prefix, recursive) {
			if err == nil {
				err = f.dead()
			}
			if !yield(info, err) || err != nil {
				return
			}
			if fault != nil && fault.When == During {
				break
			}
		}
		if err := f.after(fault); err != nil {
			yield(store.Info{}, err)
		}
	}
}

// Delete implements store.Store.
func (f *Faults) Delete(ctx context.Context, key string) error {
	fault, err := f.receive(Delete, key)
	if err != nil {
		return err
	}
	if err := f.store.Delete(ctx, key); err != nil {
		return err
	}
	return f.after(fault)
}

// String implements store.Store.
func (f *Faults) String() string { return f.store.String() }

// receive counts a call. It returns the error of one that fails at once, or
// the fault that is to strike later in it.
func (f *Faults) receive(m Method, key string) (*armed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{Method: m, Key: key})
	if f.killed != nil {
		return nil, f.killed
	}
	for _, a := range f.faults {
		if a.fired || a.Method != m && a.Method != Any || a.Nth != f.count(a.Method) {
			continue
		}
		if a.When == Before || a.When == During && m == Delete {
			return nil, f.fire(a)
		}
		return a, nil
	}
	return nil, nil
}

func (f *Faults) count(m Method) int {
	n := 0
	for _, c := range f.calls {
		if m == Any || c.Method == m {
			n++
		}
	}
	return n
}

// fire marks a fault as fired and returns its error. The lock is held.
func (f *Faults) fire(a *armed) error {
	a.fired = true
	if a.Kill {
		f.killed = a.Err
	}
	return a.Err
}

// after fires a fault whose call took effect; nil fires nothing.
func (f *Faults) after(a *armed) error {
	if a == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fire(a)
}

func (f *Faults) dead() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.killed
}

// source is a reader that fails as its fault says, or when the store is
// killed. Without either it is r.
type source struct {
	faults *Faults
	r      io.Reader
	fault  *armed // nil for none
	failed error
	read   bool
}

func (s *source) Read(p []byte) (int, error) {
	if s.failed == nil {
		s.failed = s.faults.dead()
	}
	if s.failed != nil {
		return 0, s.failed
	}
	if s.fault != nil && s.fault.When == During && s.read {
		s.failed = s.faults.after(s.fault)
		return 0, s.failed
	}
	s.read = true
	n, err := s.r.Read(p)
	if s.failed = s.faults.dead(); s.failed != nil {
		return 0, s.failed
	}
	if s.fault != nil && err == io.EOF {
		s.failed = s.faults.after(s.fault)
		err = s.failed
	}
	return n, err
}
