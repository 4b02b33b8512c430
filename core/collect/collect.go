// Package collect turns a cluster into a stream of items: what a filter
// selects, in an order that depends only on the cluster's content, while
// several lists are under way at once.
//
// The rules (select.go, leave.go) are pure. What was listed, taken and left
// out is counted, with the reason for everything left out.
package collect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
)

// Source is the cluster as collecting needs it; *cluster.Client is one.
type Source interface {
	Resources(ctx context.Context) ([]item.Resource, []cluster.GroupFailure, error)
	List(ctx context.Context, r item.Resource, o cluster.ListOptions, info *cluster.ListInfo) iter.Seq2[item.Item, error]
	Get(ctx context.Context, r item.Resource, namespace, name string) (item.Item, error)
}

// Parallel is how many lists are under way at once. The API server spends
// about as much on a list as we do, so more gains nothing on a small machine.
const Parallel = 4

// Problem is something that was selected and could not be had: the backup is
// not complete.
type Problem struct {
	Object string // a resource, API group or namespace
	Err    error
}

// Collection is one walk over a cluster.
type Collection struct {
	source     Source
	filter     filter.Filter
	choices    []Choice
	namespaces []string        // to list one by one; nil = all at once
	excluded   map[string]bool // namespaces that ask by label to be left out
	report     []manifest.Resource
	problems   []Problem
	related    related
	taken      map[item.Key]bool // cluster-scoped items, kept only when related ones are looked up
}

// Begin asks the cluster what it serves and decides what to list. It fails
// when the filter is wrong, names something that does not exist, or the API
// server cannot be asked.
func Begin(ctx context.Context, source Source, f filter.Filter) (*Collection, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	resources, failures, err := source.Resources(ctx)
	if err != nil {
		return nil, err
	}
	c := &Collection{source: source, filter: f, excluded: map[string]bool{}, taken: map[item.Key]bool{}}
	if c.choices, err = Select(f, resources); err != nil {
		return nil, err
	}
	if len(f.IncludedResources) == 0 {
		for _, failure := range failures {
			c.problems = append(c.problems, Problem{Object: "API group " + failure.GroupVersion, Err: failure.Err})
		}
	}
	if err := c.findNamespaces(ctx); err != nil {
		return nil, err
	}
	c.report = make([]manifest.Resource, len(c.choices))
	for i, ch := range c.choices {
		c.report[i] = manifest.Resource{Name: ch.GroupResource(), Version: ch.Version, Excluded: ch.Excluded}
	}
	return c, nil
}

// findNamespaces resolves the included namespaces against those that exist and
// finds those that are not to be backed up.
func (c *Collection) findNamespaces(ctx context.Context) error {
	r, ok := c.resource("namespaces")
	if !ok {
		return errors.New("the cluster serves no namespaces")
	}
	var existing []string
	var info cluster.ListInfo
	for it, err := range c.source.List(ctx, r, cluster.ListOptions{}, &info) {
		if err != nil {
			return err
		}
		existing = append(existing, it.Key.Name)
		reason, err := c.leftOut(it)
		if err != nil {
			return err
		}
		c.excluded[it.Key.Name] = reason == leftByLabel
	}
	return c.resolve(existing)
}

// resolve matches the included namespaces with those that exist. One that does
// not exist is a Problem; when none does, there is nothing to back up.
func (c *Collection) resolve(existing []string) error {
	included := c.filter.IncludedNamespaces
	if len(included) == 0 || slices.Contains(included, "*") {
		return nil
	}
	for _, name := range existing {
		if c.filter.HasNamespace(name) {
			c.namespaces = append(c.namespaces, name)
		}
	}
	for _, p := range included {
		if !slices.ContainsFunc(existing, func(n string) bool { return filter.MatchAny(n, []string{p}) }) {
			c.problems = append(c.problems, Problem{Object: "namespace " + p, Err: errors.New("no such namespace in the cluster")})
		}
	}
	if len(c.namespaces) == 0 {
		return fmt.Errorf("none of the included namespaces exist in the cluster: %v", included)
	}
	return nil
}

func (c *Collection) resource(groupResource string) (item.Resource, bool) {
	for _, ch := range c.choices {
		if ch.GroupResource() == groupResource {
			return ch.Resource, true
		}
	}
	return item.Resource{}, false
}

// Total is how many resources will be listed.
func (c *Collection) Total() int {
	n := 0
	for _, ch := range c.choices {
		if ch.Excluded == "" {
			n++
		}
	}
	return n
}

// Report says what became of each resource; it is complete when Items has
// ended.
func (c *Collection) Report() []manifest.Resource { return c.report }

// Problems are what was selected and is not in the stream, each named.
func (c *Collection) Problems() []Problem { return c.problems }

// Items yields what was selected. An error ends the sequence: ctx is done or
// the API server has gone away. A resource that the API server refuses to list
// becomes a Problem and the sequence goes on.
func (c *Collection) Items(ctx context.Context) iter.Seq2[item.Item, error] {
	return func(yield func(item.Item, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		units := c.units()
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(Parallel + 1)
		// Lists start in order, and the consumer waits for them in the same
		// order, so the one it waits for is always among those that run.
		g.Go(func() error {
			for _, u := range units {
				g.Go(func() error { u.run(gctx, c.source, c.filter.LabelSelector); return nil })
			}
			return nil
		})
		defer func() {
			cancel()
			_ = g.Wait() // units return no error; it is in the unit
		}()
		for _, u := range units {
			if more := c.drain(ctx, u, yield); !more {
				return
			}
		}
		c.yieldRelated(ctx, yield)
	}
}

// drain yields the items of one list. It returns false when the sequence is
// over.
func (c *Collection) drain(ctx context.Context, u *unit, yield func(item.Item, error) bool) bool {
	report := &c.report[u.choice]
	for batch := range u.batches {
		for _, it := range batch {
			report.Listed++
			reason, err := c.leftOut(it)
			if err != nil {
				yield(item.Item{}, err)
				return false
			}
			if reason != "" {
				if report.LeftOut == nil {
					report.LeftOut = map[string]int{}
				}
				report.LeftOut[reason]++
				continue
			}
			if !c.take(it, report, yield) {
				return false
			}
		}
	}
	if err := ctx.Err(); err != nil {
		yield(item.Item{}, err)
		return false
	}
	report.ResourceVersion = u.info.ResourceVersion
	if u.err == nil {
		return true
	}
	if cluster.Unreachable(u.err) {
		yield(item.Item{}, u.err)
		return false
	}
	report.Error = cluster.Reason(u.err)
	c.problems = append(c.problems, Problem{Object: u.resource.GroupResource(), Err: u.err})
	return true
}

func (c *Collection) take(it item.Item, report *manifest.Resource, yield func(item.Item, error) bool) bool {
	report.Written++
	if c.filter.Narrowed() {
		if err := c.related.note(it); err != nil {
			yield(item.Item{}, err)
			return false
		}
		if it.Key.Namespace == "" {
			c.taken[it.Key] = true
		}
	}
	return yield(it, nil)
}

// unit is one list: a resource, in one namespace or in all.
type unit struct {
	choice    int
	resource  item.Resource
	namespace string
	batches   chan []item.Item
	info      cluster.ListInfo
	err       error // set before batches is closed
}

// A unit runs ahead of the consumer by at most unitBuffer batches, each closed
// at batchBytes: with Parallel lists, some 16 MiB in all.
const (
	unitBuffer = 8
	batchBytes = 256 << 10
	batchItems = 64
)

func (c *Collection) units() []*unit {
	var out []*unit
	for i, ch := range c.choices {
		if ch.Excluded != "" {
			continue
		}
		namespaces := []string{""}
		if ch.Namespaced && c.namespaces != nil {
			namespaces = c.namespaces
		}
		for _, ns := range namespaces {
			out = append(out, &unit{choice: i, resource: ch.Resource, namespace: ns, batches: make(chan []item.Item, unitBuffer)})
		}
	}
	return out
}

func (u *unit) run(ctx context.Context, source Source, selector string) {
	defer close(u.batches)
	var batch []item.Item
	size := 0
	flush := func() bool {
		if len(batch) == 0 {
			return true
		}
		select {
		case u.batches <- batch:
			batch, size = nil, 0
			return true
		case <-ctx.Done():
			u.err = ctx.Err()
			return false
		}
	}
	o := cluster.ListOptions{Namespace: u.namespace, LabelSelector: selector}
	for it, err := range source.List(ctx, u.resource, o, &u.info) {
		if err != nil {
			u.err = err
			break
		}
		batch = append(batch, it)
		size += len(it.Raw)
		if (size >= batchBytes || len(batch) >= batchItems) && !flush() {
			return
		}
	}
	flush()
}
