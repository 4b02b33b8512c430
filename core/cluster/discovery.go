package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// GroupFailure names an API group that could not be discovered, such as an
// aggregated one whose server is down.
type GroupFailure struct {
	GroupVersion string
	Err          error
}

// Version is the version that the API server reports.
func (c *Client) Version(ctx context.Context) (version.Info, error) {
	raw, err := answer(c.rest.Get().AbsPath("/version").Do(ctx))
	if err != nil {
		return version.Info{}, fmt.Errorf("ask for the version: %w", err)
	}
	var info version.Info
	if err := json.Unmarshal(raw, &info); err != nil {
		return version.Info{}, fmt.Errorf("the version of %s is not readable: %w", c.Host(), err)
	}
	return info, nil
}

// Resources lists what the cluster serves, each resource at its preferred
// version, ordered by group and name; subresources are left out. Groups that
// cannot be discovered are returned beside the rest.
func (c *Client) Resources(ctx context.Context) ([]item.Resource, []GroupFailure, error) {
	lists, failures, err := c.discover(ctx, func(d *discovery.DiscoveryClient) ([]*metav1.APIResourceList, error) {
		return d.ServerPreferredResources()
	})
	return flatten(lists), failures, err
}

// AllVersions is Resources with every served version of each resource.
func (c *Client) AllVersions(ctx context.Context) ([]item.Resource, []GroupFailure, error) {
	lists, failures, err := c.discover(ctx, func(d *discovery.DiscoveryClient) ([]*metav1.APIResourceList, error) {
		_, lists, err := d.ServerGroupsAndResources()
		return lists, err
	})
	return flatten(lists), failures, err
}

// discoveryTimeout bounds one round of discovery, which an aggregated API that
// hangs would otherwise hold up.
const discoveryTimeout = 60 * time.Second

func (c *Client) discover(ctx context.Context, ask func(*discovery.DiscoveryClient) ([]*metav1.APIResourceList, error)) ([]*metav1.APIResourceList, []GroupFailure, error) {
	timed, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	cfg := rest.CopyConfig(c.config)
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return bound{timed, rt} })
	d, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("make a discovery client: %w", err)
	}
	lists, err := ask(d)
	var partial *discovery.ErrGroupDiscoveryFailed
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case errors.As(err, &partial):
		return lists, groupFailures(partial), nil
	case err != nil:
		return nil, nil, fmt.Errorf("discover the resources: %w", asked(err))
	case len(lists) == 0:
		return nil, nil, fmt.Errorf("discover the resources: %w: %s serves none", ErrMalformed, c.Host())
	}
	return lists, nil, nil
}

func groupFailures(e *discovery.ErrGroupDiscoveryFailed) []GroupFailure {
	var out []GroupFailure
	for gv, err := range e.Groups {
		out = append(out, GroupFailure{GroupVersion: gv.String(), Err: err})
	}
	slices.SortFunc(out, func(a, b GroupFailure) int { return cmp.Compare(a.GroupVersion, b.GroupVersion) })
	return out
}

func flatten(lists []*metav1.APIResourceList) []item.Resource {
	var out []item.Resource
	preference := map[string]int{}
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			continue // no server that speaks this API sends such a list
		}
		if _, known := preference[gv.Group]; !known {
			preference[gv.Group] = len(preference)
		}
		for _, r := range l.APIResources {
			if strings.Contains(r.Name, "/") {
				continue
			}
			out = append(out, item.Resource{
				Group: gv.Group, Version: gv.Version, Name: r.Name, Singular: r.SingularName, Kind: r.Kind,
				ShortNames: r.ShortNames, Namespaced: r.Namespaced, Verbs: r.Verbs,
				Preference: preference[gv.Group],
			})
		}
	}
	slices.SortStableFunc(out, func(a, b item.Resource) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name))
	})
	return out
}
