package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// readers is how many lists of the sandbox are in progress at once.
const readers = 8

// Gather looks at the sandbox, as far as the restored objects ask for it.
func Gather(ctx context.Context, c *cluster.Client, restored map[item.Key]bool) (State, error) {
	var s State
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	read := func(group, version, resource, kind string, into func(raw []byte) error) {
		g.Go(func() error {
			return list(gctx, c, item.Resource{Group: group, Version: version, Name: resource, Kind: kind}, into)
		})
	}
	read(apps, "v1", "deployments", "Deployment", to(&s.Deployments))
	read(apps, "v1", "statefulsets", "StatefulSet", to(&s.StatefulSets))
	read(apps, "v1", "daemonsets", "DaemonSet", to(&s.DaemonSets))
	read(apps, "v1", "replicasets", "ReplicaSet", to(&s.ReplicaSets))
	read("", "v1", "replicationcontrollers", "ReplicationController", to(&s.Controllers))
	read("batch", "v1", "jobs", "Job", to(&s.Jobs))
	read("", "v1", "pods", "Pod", to(&s.Pods))
	read("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", to(&s.Claims))
	read("", "v1", "services", "Service", to(&s.Services))
	read("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", to(&s.Slices))
	read("", "v1", "events", "Event", to(&s.Events))
	// These are large in some clusters, and few in a backup of a namespace.
	wanted := map[string]bool{}
	for k := range restored {
		wanted[k.GroupResource()] = true
	}
	if wanted["validatingwebhookconfigurations."+admission] {
		read(admission, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", to(&s.Validating))
	}
	if wanted["mutatingwebhookconfigurations."+admission] {
		read(admission, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", to(&s.Mutating))
	}
	if wanted[apiServices] {
		read("apiregistration.k8s.io", "v1", "apiservices", "APIService", to(&s.APIServices))
	}
	if wanted["customresourcedefinitions.apiextensions.k8s.io"] {
		read("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", to(&s.Definitions))
	}
	if err := g.Wait(); err != nil {
		return State{}, c.Explain(err)
	}
	return s, nil
}

// to decodes what a list brings into a slice.
func to[T any](all *[]T) func([]byte) error {
	return func(raw []byte) error {
		var o T
		if err := json.Unmarshal(raw, &o); err != nil {
			return err
		}
		*all = append(*all, o)
		return nil
	}
}

// list reads all objects of a resource; none if the resource is not served.
func list(ctx context.Context, c *cluster.Client, r item.Resource, into func(raw []byte) error) error {
	var info cluster.ListInfo
	for it, err := range c.List(ctx, r, cluster.ListOptions{}, &info) {
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err == nil {
			err = into(it.Raw)
		}
		if err != nil {
			return fmt.Errorf("read the sandbox: %w", err)
		}
	}
	return nil
}

// Servers are the ports of Services that the API server calls for restored
// webhooks and conversions and that have a ready endpoint.
func (in Input) Servers() []Endpoint {
	d := decider{Input: in, groups: in.workloads(), asked: map[string]int{}}
	d.webhooks()
	var out []Endpoint
	for _, e := range d.called {
		if d.hasEndpoint(e.Namespace, e.Service) && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// Call sets Answers: it calls each of the servers once, through the API server.
func (in *Input) Call(ctx context.Context, c *cluster.Client) error {
	in.Answers = map[Endpoint]string{}
	for _, e := range in.Servers() {
		err := c.CallService(ctx, e.Namespace, e.Service, int(e.Port))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			in.Answers[e] = cluster.Reason(err)
		}
	}
	return nil
}

const (
	// logLines and logBytes bound what is kept of the log of a container.
	logLines = 5
	logBytes = 2 << 10
)

// LastLines returns the last lines of a log, "" if it cannot be read: the problem
// is reported without them.
//
// A container that ends again and again may have been restarted since its pod was
// read. The log of the run that ended is then the previous one, or still the
// current one, and for a moment the kubelet has neither.
func LastLines(ctx context.Context, c *cluster.Client, l Log) string {
	of := cluster.Container{Namespace: l.Namespace, Pod: l.Pod, Name: l.Container}
	for try := range 3 {
		if try > 0 && !cluster.Sleep(ctx, time.Second) {
			break
		}
		for _, previous := range []bool{l.Previous, !l.Previous} {
			b, err := c.Logs(ctx, of, cluster.LogOptions{Previous: previous, Tail: logLines, Limit: logBytes})
			if err == nil && len(b) > 0 {
				return string(b)
			}
		}
	}
	return ""
}
