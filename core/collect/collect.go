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
	"iter"
	"maps"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/api"
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

// String is the object and the reason, in the words of the API server if it
// gave one.
func (p Problem) String() string { return p.Object + ": " + cluster.Reason(p.Err) }

// MarshalText makes a problem a string in JSON.
func (p Problem) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Collection is one walk over a cluster. It is used by one goroutine.
type Collection struct {
	source     Source
	filter     filter.Filter
	choices    []Choice
	namespaces []string          // to list one by one; nil = all at once
	marked     map[string]bool   // namespaces with the label that excludes them
	order      map[int][]string  // names that come first, by choice
	first      map[item.Key]bool // those that did
	report     []manifest.Resource
	problems   []Problem
	warnings   []Problem
	related    related
	taken      map[item.Key]bool // items that others may need, kept only when such are looked up
	matched    bool              // an object was selected, and by its labels if labels select
	hits       []bool            // by label selector: an object has its labels
	tenant     *tenant           // set for an identity that may not list namespaces
}

// Begin asks the cluster what it serves and decides what to list. The objects
// that the order names come before the others of their resource. It fails when
// filter or order is wrong or names a resource that does not exist, or the API
// server cannot be asked.
func Begin(ctx context.Context, source Source, f filter.Filter, o filter.Order) (*Collection, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	resources, failures, err := source.Resources(ctx)
	if err != nil {
		return nil, err
	}
	if f, err = resolved(f, resources, failures); err != nil {
		return nil, err
	}
	c := &Collection{source: source, filter: f, choices: Select(f, resources), taken: map[item.Key]bool{}, first: map[item.Key]bool{}, hits: make([]bool, len(f.OrLabelSelectors))}
	if c.order, err = ordered(o, c.choices); err != nil {
		return nil, filter.NoMatch(err)
	}
	c.problems = undiscovered(f, failures)
	c.warnOfOrder()
	if err := c.findNamespaces(ctx); err != nil {
		return nil, err
	}
	if err := c.findMarked(ctx); err != nil {
		return nil, err
	}
	c.report = make([]manifest.Resource, len(c.choices))
	for i, ch := range c.choices {
		c.report[i] = manifest.Resource{Name: ch.GroupResource(), Version: ch.Version, Excluded: ch.Excluded}
	}
	return c, nil
}

// findNamespaces resolves the included namespaces against those that exist.
func (c *Collection) findNamespaces(ctx context.Context) error {
	if len(c.filter.IncludedNamespaces) == 0 || slices.Contains(c.filter.IncludedNamespaces, "*") {
		return nil
	}
	i := c.choice("namespaces")
	if i < 0 {
		return errors.New("the cluster serves no namespaces")
	}
	var info cluster.ListInfo
	var there []string
	for it, err := range c.source.List(ctx, c.choices[i].Resource, cluster.ListOptions{}, &info) {
		if apierrors.IsForbidden(err) {
			return c.beTenant(ctx, c.choices[i].Resource, err)
		}
		if err != nil {
			return err
		}
		there = append(there, it.Key.Name)
	}
	for _, p := range c.filter.IncludedNamespaces {
		if !slices.ContainsFunc(there, func(n string) bool { return filter.MatchAny(n, []string{p}) }) {
			c.problems = append(c.problems, Problem{Object: "namespace " + p, Err: errNoNamespace})
		}
	}
	for _, n := range there {
		if c.filter.HasNamespace(n) {
			c.namespaces = append(c.namespaces, n)
		}
	}
	if len(c.namespaces) == 0 {
		return c.noNamespace()
	}
	return nil
}

// findMarked finds the namespaces that carry the label which excludes them
// from backups, with everything in them (Velero v1.18, prepareBackupRequest).
func (c *Collection) findMarked(ctx context.Context) error {
	c.marked = map[string]bool{}
	i := c.choice("namespaces")
	if i < 0 {
		return nil
	}
	defer func() {
		c.namespaces = slices.DeleteFunc(c.namespaces, func(n string) bool { return c.marked[n] })
	}()
	if c.tenant != nil {
		marked, err := c.tenant.marked()
		c.marked = marked
		return err
	}
	r := c.choices[i].Resource
	var info cluster.ListInfo
	for it, err := range c.source.List(ctx, r, cluster.ListOptions{LabelSelector: api.LabelExcludeFromBackup + "=true"}, &info) {
		switch {
		case err == nil:
			c.marked[it.Key.Name] = true
		case ctx.Err() != nil, cluster.Unreachable(err):
			return err
		default:
			c.problem(r.GroupResource(), err)
		}
	}
	return nil
}

// problem notes that an object could not be had, once.
func (c *Collection) problem(object string, err error) {
	if !slices.ContainsFunc(c.problems, func(p Problem) bool { return p.Object == object }) {
		c.problems = append(c.problems, Problem{Object: object, Err: err})
	}
}

// mayComeAlong finds a resource of which objects come along if selected ones need them.
func (c *Collection) mayComeAlong(groupResource string) (item.Resource, bool) {
	i := c.choice(groupResource)
	if i < 0 || never(c.choices[i].Resource, nil) != "" {
		return item.Resource{}, false
	}
	r := c.choices[i].Resource
	return r, c.filter.MayComeAlong(r)
}

// choice is the index of a resource, -1 if the cluster does not have it.
func (c *Collection) choice(groupResource string) int { return choiceOf(c.choices, groupResource) }

func choiceOf(choices []Choice, groupResource string) int {
	return slices.IndexFunc(choices, func(ch Choice) bool { return ch.GroupResource() == groupResource })
}

// Marked are the namespaces that carry the label which excludes them.
func (c *Collection) Marked() []string { return slices.Sorted(maps.Keys(c.marked)) }

// Matched reports whether the filter selected anything. Objects that are left out by
// a mark count, those that only come along do not, and neither do namespaces that
// are selected whatever their labels. It is complete when Items has ended.
func (c *Collection) Matched() bool { return c.matched }

// warnOfSelectors warns of label selectors that select nothing beside others that
// select something.
func (c *Collection) warnOfSelectors() {
	for i, hit := range c.hits {
		if !hit && c.matched {
			c.warn("label selector "+strconv.Quote(c.filter.OrLabelSelectors[i]), errors.New("selects nothing"))
		}
	}
}

// Report says what became of each resource; it is complete when Items has
// ended. Written counts what was yielded.
func (c *Collection) Report() []manifest.Resource { return c.report }

// Problems are what was selected and is not in the stream, each named.
func (c *Collection) Problems() []Problem { return c.problems }

// Warnings are what is in the stream and may not be what it seems.
func (c *Collection) Warnings() []Problem { return c.warnings }

// errExpired says that a list is of two states of the cluster.
var errExpired = errors.New("the list took so long that the API server had forgotten the state it began with; " +
	"what was created among the earlier objects meanwhile is missing")

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
				g.Go(func() error { u.run(gctx, c); return nil })
			}
			return nil
		})
		defer func() {
			cancel()
			_ = g.Wait() // units return no error; it is in the unit
		}()
		begun := -1
		for _, u := range units {
			if u.choice != begun && !c.yieldOrdered(ctx, u.choice, yield) {
				return
			}
			begun = u.choice
			if more := c.drain(ctx, u, yield); !more {
				return
			}
		}
		c.warnOfSelectors()
		c.yieldRelated(ctx, yield)
		c.concludeTenant()
	}
}

// drain yields the items of one list. It returns false when the sequence is
// over.
func (c *Collection) drain(ctx context.Context, u *unit, yield func(item.Item, error) bool) bool {
	report := &c.report[u.choice]
	byLabel := !c.filter.Labelled() || !c.filter.IgnoresLabels(u.resource)
	for batch := range u.batches {
		for _, it := range batch {
			c.matched = c.matched || byLabel
			if !c.first[it.Key] && !c.consider(it, report, yield) {
				return false
			}
		}
	}
	for i, hit := range u.hits {
		c.hits[i] = c.hits[i] || hit
	}
	if err := ctx.Err(); err != nil {
		yield(item.Item{}, err)
		return false
	}
	report.ResourceVersion = u.info.ResourceVersion
	if u.info.Expired && !report.Inconsistent {
		report.Inconsistent = true
		c.warn(u.resource.GroupResource(), errExpired)
	}
	if cluster.Unreachable(u.err) {
		yield(item.Item{}, u.err)
		return false
	}
	switch {
	case u.err != nil:
		c.refused(u)
	case c.tenant != nil:
		c.tenant.lists[u.namespace]++
	}
	return true
}

// consider takes an object that was listed or read, or counts why it is left
// out. It returns false when the sequence is over.
func (c *Collection) consider(it item.Item, report *manifest.Resource, yield func(item.Item, error) bool) bool {
	report.Listed++
	reason, err := c.leftOut(it)
	switch {
	case err != nil:
		yield(item.Item{}, err)
		return false
	case reason == "":
		return c.take(it, report, yield)
	}
	if report.LeftOut == nil {
		report.LeftOut = map[string]int{}
	}
	report.LeftOut[reason]++
	return true
}

func (c *Collection) take(it item.Item, report *manifest.Resource, yield func(item.Item, error) bool) bool {
	report.Written++
	if c.filter.Narrowed() {
		if err := c.related.note(it); err != nil {
			yield(item.Item{}, err)
			return false
		}
		if it.Key.Namespace == "" || c.filter.Labelled() && comesByLabel[it.Key.GroupResource()] {
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
	hits      []bool // as Collection.hits; set before batches is closed
	err       error  // set before batches is closed
}

// A unit runs ahead of the consumer by at most unitBuffer batches, each closed
// at batchBytes or one object more: with Parallel lists, some 8 MiB in all
// unless single objects are larger.
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

// matches reports whether an object has the labels of one of the selectors, and
// notes of which.
func (u *unit) matches(it item.Item, selectors []string) (bool, error) {
	set, err := labelsOf(it)
	if err != nil {
		return false, err
	}
	if u.hits == nil {
		u.hits = make([]bool, len(selectors))
	}
	any := false
	for i, s := range selectors {
		if filter.MatchSelector(s, set) {
			u.hits[i], any = true, true
		}
	}
	return any, nil
}

// run lists what the labels select, ahead of the consumer.
func (u *unit) run(ctx context.Context, c *Collection) {
	if c.tenant != nil && u.resource.GroupResource() == "namespaces" {
		u.give(ctx, c.tenant.namespaces)
		return
	}
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
	o := cluster.ListOptions{Namespace: u.namespace, LabelSelector: c.serverSelector(u.resource)}
	for it, err := range c.source.List(ctx, u.resource, o, &u.info) {
		selected := err == nil
		if selected && len(c.filter.OrLabelSelectors) > 0 && !c.filter.IgnoresLabels(u.resource) {
			selected, err = u.matches(it, c.filter.OrLabelSelectors)
		}
		if err != nil {
			u.err = err
			break
		}
		if !selected {
			continue
		}
		batch = append(batch, it)
		size += len(it.Raw)
		if (size >= batchBytes || len(batch) >= batchItems) && !flush() {
			return
		}
	}
	flush()
}
