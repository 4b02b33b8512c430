package jsonbound

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/semaphore"
)

// Budget limits the memory of documents that are decoded at the same time. The
// limits of one document do not, because there are many readers.
type Budget struct {
	free *semaphore.Weighted
	size int64
}

// NewBudget makes a budget of so many bytes.
func NewBudget(size int64) *Budget { return &Budget{semaphore.NewWeighted(size), size} }

// Memory is the budget that all readers of locations share. A document of usual
// size (a few kB) takes so little of it that it does not wait.
var Memory = NewBudget(128 << 20)

// ErrPacked reports that a document is not gzip, or is damaged or too large as it
// is stored.
var ErrPacked = errors.New("damaged gzip")

const (
	// small is how much of a document is read before its place in the budget is
	// known, in bytes. Readers hold that much beside the budget.
	small = 64 << 10
	// copies is how often a document is in memory while it is read: buffers grow.
	copies = 3
	// growth is how many times its element a slice takes for each value, while it is
	// decoded: it is copied when it grows, and "{}," counts as two values.
	growth = 1.25
	// large is the cost from which on garbage is collected at once, so that the next
	// document does not come on top of it.
	large = 16 << 20
)

// cost estimates the memory of a document of so many bytes and values, when the
// largest element that a decoder makes of one value has so many bytes.
func cost(size, values, largest int64) int64 {
	return copies*size + int64(growth*float64(largest))*values
}

// Decode reads a document within its limits and calls decode with it while the
// budget has room for both. largest is the size in bytes of the largest struct of
// which the document can hold a list. The error wraps ErrTooLarge over a limit; it
// is that of ctx if there was no room until then.
func (b *Budget) Decode(ctx context.Context, r io.Reader, l Limits, largest int64, decode func(raw []byte) error) error {
	bounded := NewReader(r, l)
	var raw bytes.Buffer
	if _, err := io.CopyN(&raw, bounded, small); err != nil && err != io.EOF {
		return err
	}
	// Only reading shows how large the rest is, and whoever waits must not hold a
	// part of the budget already.
	held := cost(int64(raw.Len()), bounded.values, largest)
	if raw.Len() == small {
		held = cost(l.Bytes, l.Values, largest)
	}
	held = min(held, b.size)
	if err := b.free.Acquire(ctx, held); err != nil {
		return err
	}
	defer func() {
		if held >= large {
			runtime.GC()
		}
		b.free.Release(held)
	}()
	if _, err := raw.ReadFrom(bounded); err != nil {
		return err
	}
	if actual := min(cost(int64(raw.Len()), bounded.values, largest), held); actual < held {
		b.free.Release(held - actual)
		held = actual
	}
	return decode(raw.Bytes())
}

// DecodeGzip is Decode of a document that is stored as gzip, in at most packed
// bytes. The error wraps ErrPacked if what is stored is at fault; one of r passes
// as it is.
func (b *Budget) DecodeGzip(ctx context.Context, r io.Reader, packed int64, l Limits, largest int64, decode func(raw []byte) error) error {
	in := &source{r: r, left: packed}
	z, err := gzip.NewReader(bufio.NewReader(in))
	if err == nil {
		err = b.Decode(ctx, z, l, largest, func(raw []byte) error {
			in.decoding = true
			return decode(raw)
		})
	}
	switch {
	case err == nil || in.decoding || errors.Is(err, ErrTooLarge) || ctx.Err() != nil:
		return err
	case in.err != nil:
		return in.err
	}
	return fmt.Errorf("%w: %w", ErrPacked, err)
}

// source keeps the errors of a reader apart from those of what it holds.
type source struct {
	r        io.Reader
	left     int64
	err      error
	decoding bool // all was read
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.left -= int64(n); s.left < 0 {
		return 0, errors.New("it is too large as it is stored")
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// maxText bounds the text of an error about a document, in bytes.
const maxText = 1 << 10

// Short is err, or its beginning: errors of decoders quote what they could not
// decode, which may be the whole document.
func Short(err error) error {
	if err == nil || len(err.Error()) <= maxText {
		return err
	}
	return errors.New(string(bytes.ToValidUTF8([]byte(err.Error()[:maxText]), nil)) + "…")
}
