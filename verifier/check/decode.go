package check

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
)

// Bounds on what is read of a file, decompressed, in bytes.
const (
	maxCompanion = 128 << 20 // held in memory: a resource list of a million items has 60 MB
	maxLog       = 16 << 30  // only looked through
)

// bytesPerValue is of JSON, on average, in a file that is not made to fill
// memory: three million values, as the largest records there are, take less
// than a gigabyte.
const bytesPerValue = 40

var errTooLarge = errors.New("larger than allowed")

// gunzip is one gzip member, bounded, with nothing behind it.
type gunzip struct {
	in    *bufio.Reader
	z     *gzip.Reader
	limit int64
	left  int64
}

func newGunzip(r io.Reader, limit int64) (*gunzip, error) {
	in := bufio.NewReaderSize(r, 32<<10)
	z, err := gzip.NewReader(in)
	if err == io.EOF {
		err = errors.New("file is empty")
	}
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gunzip{in: in, z: z, limit: limit, left: limit}, nil
}

func (g *gunzip) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	if g.left -= int64(n); g.left < 0 {
		return 0, fmt.Errorf("%w: over %d bytes decompressed", errTooLarge, g.limit)
	}
	return n, err
}

// finish reads to the end, so that gzip's sum is compared, and looks behind it.
func (g *gunzip) finish() error {
	if _, err := io.Copy(io.Discard, g); err != nil {
		return err
	}
	switch _, err := g.in.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return errors.New("data after the end of gzip")
	default:
		return err
	}
}

// readGzip reads gzipped bytes that are not looked at.
func readGzip(r io.Reader, limit int64) error {
	g, err := newGunzip(r, limit)
	if err != nil {
		return err
	}
	return g.finish()
}

// companion limits the files that only checks and displays read.
func companion() jsonbound.Limits { return within(maxCompanion) }

// within limits a document to some bytes, and its values in proportion.
func within(bytes int64) jsonbound.Limits {
	return jsonbound.Limits{Bytes: bytes, Values: max(bytes/bytesPerValue, 1000)}
}

// decodeGzip reads one gzipped JSON document.
func decodeGzip(r io.Reader, l jsonbound.Limits, into any) error {
	g, err := newGunzip(r, l.Bytes)
	if err != nil {
		return err
	}
	d := json.NewDecoder(jsonbound.NewReader(g, l))
	if err := d.Decode(into); errors.Is(err, jsonbound.ErrTooLarge) {
		return err
	} else if err != nil {
		return damageFirst(g, fmt.Errorf("decode JSON: %w", noEOF(err)))
	}
	if _, err := d.Token(); err != io.EOF {
		return damageFirst(g, errors.New("decode JSON: data after its end"))
	}
	return g.finish()
}

// damageFirst prefers gzip's word, if it has one: a damaged file is rarely
// good JSON, but that is not what is wrong with it.
func damageFirst(g *gunzip, err error) error {
	if damage := g.finish(); damage != nil {
		return damage
	}
	return err
}

func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // an error that wraps it is no end
		return io.ErrUnexpectedEOF
	}
	return err
}
