package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/klauspost/compress/gzip"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/results"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// MaxResults and MaxResultsValues limit the list of a backup's errors and
// warnings, decompressed, in bytes and in JSON values.
const (
	MaxResults       = 16 << 20
	MaxResultsValues = 200_000
)

// Errors are the errors that a backup recorded when it was made: about the
// backup, about cluster-scoped objects, and about the objects of each namespace.
// The error wraps store.ErrNotFound when the backup has no results.
func Errors(ctx context.Context, s store.Store, name string) ([]string, error) {
	r, err := s.Get(ctx, store.Results(name))
	if err != nil {
		return nil, fmt.Errorf("read the results of backup %s: %w", name, err)
	}
	defer r.Close()
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("read the results of backup %s: %w", name, err)
	}
	var res results.Results
	if err := json.NewDecoder(jsonbound.NewReader(z, jsonbound.Limits{Bytes: MaxResults, Values: MaxResultsValues})).Decode(&res); err != nil {
		return nil, fmt.Errorf("read the results of backup %s: %w", name, err)
	}
	out := slices.Concat(res.Errors.Velero, res.Errors.Cluster)
	for _, namespace := range slices.Sorted(maps.Keys(res.Errors.Namespaces)) {
		out = append(out, res.Errors.Namespaces[namespace]...)
	}
	return out, nil
}
