// Package store is where backups live: bytes under keys, with the one
// interface every kind of location implements, the layout of the keys
// (layout.go) and the order in which a backup is written (commit.go).
//
// A store knows nothing of Kubernetes and nothing of archives.
package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

var (
	// ErrNotFound says that no object has that key.
	ErrNotFound = errors.New("not found")
	// ErrExists says that an object with that key exists already; nothing in a
	// location is written twice.
	ErrExists = errors.New("already exists")
	// ErrArchived says that an object is in a storage class that is not read without
	// a restore first. It says nothing about other objects.
	ErrArchived = errors.New("archived")
	// ErrInvalidKey says that a key is not one this package would make: empty,
	// absolute, with an empty, "." or ".." segment, a backslash, a control
	// character, bytes that are not UTF-8, or too long.
	ErrInvalidKey = errors.New("invalid key")
)

// Store is a location's bytes. Keys are relative to the location's prefix,
// with "/" between segments and none in front; CheckKey says which are valid.
// Implementations are safe for concurrent use. Every method returns promptly
// when ctx is done, with an error that wraps ctx.Err().
type Store interface {
	// Put writes a new object from r. The object appears whole or not at all:
	// when r fails, ctx ends, or the process dies, no reader ever sees a part
	// of it. A key that exists gives ErrExists and stays as it is. The size of
	// r need not be known; memory used does not grow with it. After a nil
	// return the object is durable and Get and List see it. When ctx ends, a
	// Read of r that is under way is waited for: nothing touches r after the
	// return.
	Put(ctx context.Context, key string, r io.Reader) error
	// Get opens an object for reading from its start; ErrNotFound if there is
	// none. A failure while reading is an error of Read, never a silent end.
	// The caller closes the reader.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// List yields the objects whose key starts with prefix ("" is all) in
	// lexical order of their keys. With recursive false, keys are cut after
	// the first "/" behind the prefix and each cut one is yielded once, as an
	// Info whose Key ends in "/". No match yields nothing. After an error the
	// sequence ends.
	List(ctx context.Context, prefix string, recursive bool) iter.Seq2[Info, error]
	// Delete removes an object; ErrNotFound if there is none, where the store
	// can tell (S3 cannot, and returns nil).
	Delete(ctx context.Context, key string) error
	// String is the location as a URL fit for messages: no credentials.
	String() string
}

// Info describes one object of a listing, or a common prefix (Key ends in "/",
// the rest is zero).
type Info struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
	// ETag identifies the content in a store that has such a thing (S3), as the
	// store writes it; "" otherwise. It is not a digest.
	ETag string
}

// IsPrefix reports whether the entry is that of all keys below it.
func (i Info) IsPrefix() bool { return len(i.Key) > 0 && i.Key[len(i.Key)-1] == '/' }
