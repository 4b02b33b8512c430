package verifier

import (
	"cmp"
	"context"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/probe"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
	"github.com/lifeboat-backup/lifeboat/verifier/workload"
)

const checkImages = "images_provided"

func adapter(s policy.Spec) workload.Adapter {
	return workload.Adapter{CronJobs: s.CronJobs == policy.CronJobsAsIs}
}

// survey is what a plan will run, and how it changes the objects of the backup.
type survey struct {
	images  map[string][]string // the objects that use each image
	changed map[string]int      // by rule
}

// images puts the images of what will be restored on the node, while it still
// reaches a registry, and returns the missing ones with the reasons. A missing
// image keeps what uses it from being proven, and nothing else.
func (r *run) images(ctx context.Context) (missing map[string]string, err error) {
	s, err := r.survey(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.changed) > 0 {
		r.report.Changed = s.changed
	}
	wanted := slices.Sorted(maps.Keys(s.images))
	r.progress("images", fmt.Sprintf("%d", len(wanted)))
	if len(wanted) > 0 {
		if missing, err = r.Sandbox.(sandbox.Runner).Provide(ctx, wanted); err != nil {
			return nil, err
		}
	}
	a := passing(checkImages, fmt.Sprintf("%d of %d images are on the node", len(wanted)-len(missing), len(wanted)))
	a.environment = missingImages(s.images, missing)
	r.record(a)
	return missing, nil
}

// survey reads the objects that run something, or are changed for the sandbox.
func (r *run) survey(ctx context.Context) (survey, error) {
	s := survey{images: map[string][]string{}, changed: map[string]int{}}
	steps := slices.DeleteFunc(slices.Clone(r.prepared.Plan.Steps), func(p plan.Step) bool {
		return p.Action != plan.Create || p.Bare || !workload.Touches(p.GroupResource())
	})
	for _, c := range r.Spec.Checks {
		for _, image := range c.Images() {
			s.images[image] = append(s.images[image], probe.Prefix+c.Name)
		}
	}
	as := r.prepared.Options
	as.Adapt = nil
	adapter := adapter(r.Spec)
	err := restore.Windows(ctx, catalog.Readable(r.Store, r.prepared.Metadata, r.Identities), r.Backup, steps, func(work []apply.Work) error {
		for _, w := range work {
			u, err := w.Item.Object()
			if err != nil {
				return err
			}
			if err := as.Transform(u, w.Step.GroupResource()); err != nil {
				return err
			}
			s.note(adapter, u, w.Step)
		}
		return nil
	})
	return s, err
}

func (s survey) note(a workload.Adapter, u *unstructured.Unstructured, step plan.Step) {
	for _, rule := range a.Changes(u, step.GroupResource()) {
		s.changed[rule]++
	}
	for _, image := range workload.Images(u, step.GroupResource()) {
		s.images[image] = append(s.images[image], step.Key.String())
	}
}

// maxUsers bounds how many objects an entry about an image names.
const maxUsers = 10

func missingImages(users map[string][]string, missing map[string]string) []report.Finding {
	var out []report.Finding
	for _, image := range slices.Sorted(maps.Keys(missing)) {
		by := slices.Clone(users[image])
		slices.Sort(by)
		more := ""
		if over := len(by) - maxUsers; over > 0 {
			by, more = by[:maxUsers], fmt.Sprintf(" and %d more", over)
		}
		f := report.Finding{Check: checkImages, Message: fmt.Sprintf("image %s is not available: %s; used by %s%s", image, missing[image], strings.Join(by, ", "), more)}
		if len(by) > 0 {
			f.Object = by[0]
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b report.Finding) int { return cmp.Compare(a.Object, b.Object) })
	return out
}

// contain closes the sandbox before anything is restored into it.
func (r *run) contain(ctx context.Context) (bool, error) {
	return false, r.Sandbox.(sandbox.Runner).Contain(ctx)
}

const checkContained = "contained"

// contained asks whether the sandbox stayed closed. A workload that opened it
// may have reached its like in production: whatever else was seen, the drill
// did not run as it should.
func (r *run) contained(ctx context.Context) (bool, error) {
	a := passing(checkContained, "the sandbox was closed when the drill ended")
	if err := r.Sandbox.(sandbox.Runner).Contained(ctx); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		a.Message = "the sandbox was no longer closed"
		a.environment = []report.Finding{{Check: checkContained, Message: err.Error()}}
	}
	r.record(a)
	return false, nil
}

// standsIn reports for an image whether another one runs in its place.
func standsIn(images policy.Images) func(image string) bool {
	return func(image string) bool {
		other, ok := images.StandIn(image)
		return ok && other != image
	}
}
