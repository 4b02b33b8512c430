package kopia

import (
	"cmp"
	"context"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Repositories opens the repositories of a location, each once: opening one takes
// some tenths of a second of CPU time. It is not safe for concurrent use.
type Repositories struct {
	store    store.Store
	password string
	opened   map[string]opened
}

type opened struct {
	repository *Repository
	err        error
}

// NewRepositories returns the repositories of a location. An empty password is
// StaticPassword.
func NewRepositories(s store.Store, password string) *Repositories {
	return &Repositories{store: s, password: cmp.Or(password, StaticPassword), opened: map[string]opened{}}
}

// Get opens the repository of the volumes of a namespace as Open does. An error is
// the same each time.
func (r *Repositories) Get(ctx context.Context, namespace string) (*Repository, error) {
	o, ok := r.opened[namespace]
	if !ok {
		o.repository, o.err = Open(ctx, r.store, namespace, r.password)
		r.opened[namespace] = o
	}
	return o.repository, o.err
}

// Close gives all of them back.
func (r *Repositories) Close(ctx context.Context) {
	for _, o := range r.opened {
		if o.err == nil {
			_ = o.repository.Close(ctx) // it was only read
		}
	}
}
