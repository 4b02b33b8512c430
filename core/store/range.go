package store

import (
	"context"
	"errors"
	"io"
)

// Ranger is a Store that reads a part of an object without the rest.
type Ranger interface {
	// GetRange opens at most length bytes of an object, from offset. What lies
	// behind the object's end is not an error: the reader ends there. Otherwise it
	// is Get.
	GetRange(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
}

// GetRange reads a part of an object. From a store that is not a Ranger it reads
// the object from its start.
func GetRange(ctx context.Context, s Store, key string, offset, length int64) (io.ReadCloser, error) {
	if r, ok := s.(Ranger); ok {
		return r.GetRange(ctx, key, offset, length)
	}
	r, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, offset); err != nil && !errors.Is(err, io.EOF) {
		r.Close()
		return nil, err
	}
	return part{io.LimitReader(r, length), r}, nil
}

type part struct {
	io.Reader
	io.Closer
}
