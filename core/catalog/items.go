package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Items lists the items of a backup as "apiVersion/Kind namespace/name", in
// order: from its manifest or, for a backup made by Velero (the zero manifest),
// from its resource list.
func Items(ctx context.Context, s store.Store, name string, m manifest.Manifest) ([]string, error) {
	var out []string
	for _, it := range m.Items {
		i := item.Item{Key: it.Key, Version: it.Version}
		out = append(out, i.APIVersion()+"/"+it.Kind+" "+strings.TrimPrefix(it.Namespace+"/"+it.Name, "/"))
	}
	if m.Schema == "" {
		kinds, err := resourceList(ctx, s, name)
		if err != nil {
			return nil, fmt.Errorf("read the resource list of %s: %w", name, err)
		}
		for kind, names := range kinds {
			for _, n := range names {
				out = append(out, kind+" "+n)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

func resourceList(ctx context.Context, s store.Store, name string) (map[string][]string, error) {
	r, err := s.Get(ctx, store.ResourceList(name))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	var kinds map[string][]string
	err = json.NewDecoder(jsonbound.NewReader(z, jsonbound.Limits{Bytes: MaxResourceList, Values: MaxResourceListValues})).Decode(&kinds)
	return kinds, err
}
