package archive

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

// source is the decompressed tar: it enforces the limits of the archive as a
// whole and distinguishes faults of the archive from faults of the reader below.
type source struct {
	in     *counter
	buffer *bufio.Reader
	gz     *gzip.Reader
	limits Limits
	size   int64 // bytes decompressed
	zeros  int64 // length of the run of zero bytes at the end of what was read
	over   error // the limit that was exceeded
}

func newSource(r io.Reader, l Limits) *source {
	in := &counter{r: r}
	return &source{in: in, buffer: bufio.NewReaderSize(in, 64<<10), limits: l}
}

// compressed is how many bytes were taken from below, up to a buffer ahead of
// what was decompressed.
func (s *source) compressed() int64 { return s.in.n }

func (s *source) Read(p []byte) (int, error) {
	if s.over != nil {
		return 0, s.over
	}
	if s.gz == nil {
		gz, err := gzip.NewReader(s.buffer)
		if err != nil {
			return 0, unexpectedEOF(err)
		}
		gz.Multistream(false) // what follows the first member is no part of an archive
		s.gz = gz
	}
	n, err := s.gz.Read(p)
	s.count(p[:n])
	if s.over != nil {
		return 0, s.over
	}
	return n, err
}

func (s *source) count(p []byte) {
	s.size += int64(len(p))
	tail := len(p)
	for tail > 0 && p[tail-1] == 0 {
		tail--
	}
	if tail > 0 {
		s.zeros = 0
	}
	s.zeros += int64(len(p) - tail)
	switch {
	case s.size > s.limits.MaxSize:
		s.over = fmt.Errorf("archive has more than %d bytes decompressed: %w", s.limits.MaxSize, ErrTooLarge)
	case s.size > s.limits.RatioFloor && s.size/s.limits.MaxRatio > s.in.n:
		s.over = fmt.Errorf("archive is compressed more than %d to 1: %w", s.limits.MaxRatio, ErrTooLarge)
	}
}

// fault turns an error of reading the tar into one that says whose it is.
func (s *source) fault(err error) error {
	if errors.Is(err, tar.ErrHeader) {
		// A damaged byte shows in the tar first; gzip, read on, knows whether
		// the archive was damaged after it was made.
		if _, below := io.Copy(io.Discard, s); below != nil {
			err = below
		}
	}
	switch {
	case s.over != nil:
		return s.over
	case s.in.err != nil:
		return fmt.Errorf("read archive: %w", s.in.err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("archive ends after %d bytes of it: %w", s.in.n, ErrTruncated)
	}
	return fmt.Errorf("archive is %w: %w", ErrCorrupt, err)
}

// endMarker is what ends a tar: two blocks of zero bytes.
const endMarker = 2 * 512

// finish reads what follows the last entry: zero bytes, gzip's sum, nothing.
func (s *source) finish() error {
	marked := s.zeros
	rest := &zeroes{}
	n, err := io.Copy(rest, s)
	if err != nil {
		return s.fault(err)
	}
	switch {
	case rest.other:
		return fmt.Errorf("archive goes on after its end: %w", ErrTruncated)
	case marked+n < endMarker:
		return fmt.Errorf("archive has no end marker: %w", ErrTruncated)
	}
	if _, err := s.buffer.ReadByte(); err == nil {
		return fmt.Errorf("file goes on after the end of the archive: %w", ErrTruncated)
	} else if err != io.EOF {
		return s.fault(err)
	}
	return nil
}

// zeroes is a writer that looks for anything but zero bytes.
type zeroes struct{ other bool }

func (z *zeroes) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != 0 {
			z.other = true
		}
	}
	return len(p), nil
}

// counter counts what it reads and remembers why reading failed.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}
