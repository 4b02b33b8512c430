package verifier

import (
	"context"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// The checks of the level controlplane.
const (
	checkRestored = "items_restored"
	checkEqual    = "items_equal"
)

// ownObject is why an item is not expected: a new cluster already has the object,
// with content of its own (the service kubernetes, for example).
const ownObject = "the sandbox has its own"

// createdFirst is why an item is not expected: a controller of the sandbox created
// it before the restore did.
const createdFirst = "created by a controller of the sandbox first"

// What a sandbox cannot hold, whatever the backup is worth: objects of an
// aggregated API, whose server is a workload, and objects that a webhook has to
// convert. Where pods run these come up too late for the restore.
const (
	needsServer  = "needs an aggregated API server, which does not run when the backup is restored"
	needsWebhook = "needs a webhook, which does not answer when the backup is restored"
)

// conversionFailed is how the API server's message begins when it has to convert an
// object and cannot ask the webhook (apiextensions-apiserver,
// pkg/apiserver/conversion).
const conversionFailed = "conversion webhook for "

// beyondLevel returns why a sandbox of this level cannot hold an item, "" if it can.
func beyondLevel(s plan.Step, ch apply.Change) string {
	switch {
	case s.Aggregated:
		return needsServer
	case ch.Outcome == apply.Failed && (strings.HasPrefix(ch.Reason, conversionFailed) || strings.Contains(ch.Reason, sandbox.Contained)):
		return needsWebhook
	}
	return ""
}

// comparison sorts the items of a restore by what became of them. It is pure.
type comparison struct {
	// controllers says that they work on what is restored, so that an object may
	// have changed since it was created; newer, that the sandbox is of a later minor
	// of Kubernetes than the cluster of the backup.
	controllers, newer bool

	items     report.Items
	restored  []report.Finding
	missing   []report.Finding
	different []plan.Step // to be compared in detail
	altered   []report.Finding
	beyond    map[string]int // items the level cannot hold, by reason
}

// compare compares the plan, what the restore did and what the sandbox has
// afterwards.
func (c comparison) compare(p plan.Plan, changes apply.ChangeSet, live map[item.Key]plan.Live) comparison {
	c.items, c.beyond = report.Items{SkippedBy: map[string]int{}}, map[string]int{}
	outcome := make(map[item.Key]apply.Change, len(changes))
	for _, ch := range changes {
		outcome[ch.Key] = ch
	}
	for _, s := range p.Steps {
		if s.Bare {
			continue
		}
		c.items.InBackup++
		why := beyondLevel(s, outcome[s.Key])
		switch {
		case why != "":
			c.skip(why)
			c.beyond[why]++
		case s.Action == plan.Skip && s.Reason == plan.ReasonDiffers:
			c.skip(ownObject)
		case s.Action == plan.Create && outcome[s.Key].Outcome == apply.Skipped:
			c.skip(createdFirst)
		case s.Action == plan.Skip:
			c.skip(s.Reason)
		default:
			c.expect(s, outcome[s.Key], live)
		}
	}
	return c
}

func (c *comparison) skip(reason string) {
	c.items.Skipped++
	c.items.SkippedBy[reason]++
}

func (c *comparison) expect(s plan.Step, ch apply.Change, live map[item.Key]plan.Live) {
	c.items.Expected++
	if ch.Outcome == apply.Failed || ch.Outcome == "" {
		c.items.Missing++
		c.restored = append(c.restored, report.Finding{Check: checkRestored, Object: s.Key.String(), Message: "not restored: " + ch.Reason})
		return
	}
	found, there := live[s.Key]
	switch {
	case ch.Made != nil && *ch.Made == s.Digest && (there || replaced(s.Key)):
		// It was created as it is in the backup; what controllers change
		// afterwards is no difference.
		c.restore(s)
		c.items.Equal++
	case (there || replaced(s.Key)) && c.admitted(ch) && (c.controllers || found.Digest == *ch.Made):
		c.restore(s)
		c.items.Altered++
		c.altered = append(c.altered, report.Finding{Check: checkEqual, Object: s.Key.String(), Message: alterations(ch)})
	case !there:
		c.items.Missing++
		c.missing = append(c.missing, report.Finding{Check: checkEqual, Object: s.Key.String(), Message: fmt.Sprintf("was %s, and is not in the sandbox", ch.Outcome)})
	case found.Digest != s.Digest:
		c.restore(s)
		c.items.Different++
		c.different = append(c.different, s)
	default:
		c.restore(s)
		c.items.Equal++
	}
}

// admitted reports whether an object differs from the backup in nothing but what
// the admission of the sandbox made of it: the API server answered the creation
// with it, and each field is known to be the work of a built-in plugin, or of a
// webhook or policy that was there before. Defaults of the API server are not:
// a backup has them, unless its cluster was older.
func (c *comparison) admitted(ch apply.Change) bool {
	known := func(a plan.Alteration) bool { return a.Admission }
	unknown := func(a plan.Alteration) bool { return !a.Admission && !(c.newer && a.Adds) }
	return ch.Outcome == apply.Created && ch.Made != nil && slices.ContainsFunc(ch.Altered, known) && !slices.ContainsFunc(ch.Altered, unknown)
}

// alterations says what admission made of an object.
func alterations(ch apply.Change) string {
	out := make([]string, len(ch.Altered))
	for i, a := range ch.Altered {
		out[i] = a.String()
	}
	return strings.Join(out, "; ")
}

func (c *comparison) restore(s plan.Step) {
	c.items.Restored++
	c.items.RestoredBytes += int64(s.Size)
}

// replaced reports whether Kubernetes' own controllers create and delete objects of
// this kind.
func replaced(k item.Key) bool {
	switch k.GroupResource() {
	case "pods", "replicasets.apps", "controllerrevisions.apps", "jobs.batch":
		return true
	}
	return false
}

// compare reads every restored object back and reports each difference.
func (r *run) compare(ctx context.Context) (bool, error) {
	seen, err := restore.Observe(ctx, r.cluster, r.prepared.Entries, r.prepared.Options)
	if err != nil {
		return false, r.cluster.Explain(err)
	}
	c := comparison{controllers: runsPods(r.Level), newer: newerMinor(r.report.Versions.Kubernetes, r.report.Backup.KubernetesVersion)}
	c = c.compare(r.prepared.Plan, r.result.Changes, seen.Existing)
	different, filledIn, err := r.explainDifferences(ctx, c.different)
	if err != nil {
		return false, err
	}
	if filledIn > 0 {
		c.items.Different -= filledIn
		c.items.Equal += filledIn
		r.report = changed(r.report, fmt.Sprintf("fields that Kubernetes %s fills in and %s did not have", r.report.Versions.Kubernetes, r.report.Backup.KubernetesVersion), filledIn)
	}
	r.report.Items = c.items
	r.report.Altered = firstOf(c.altered, "changed by the admission of the sandbox")
	r.facts.beyond = c.beyond
	restored := passing(checkRestored, fmt.Sprintf("%d of %d expected items were accepted by the API server", c.items.Expected-len(c.restored), c.items.Expected))
	restored.findings = c.restored
	equal := passing(checkEqual, fmt.Sprintf("%d of %d restored items equal the backup", c.items.Equal, c.items.Restored)+butAltered(c.items.Altered))
	equal.findings = slices.Concat(c.missing, different)
	r.record(restored)
	r.record(equal)
	return false, nil
}

// butAltered says how many objects admission has changed, "" for none.
func butAltered(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d differ only in what the admission of the sandbox changed", n)
}

// firstOf is the first maxExplained findings and the number of the rest.
func firstOf(findings []report.Finding, what string) []report.Finding {
	rest := len(findings) - maxExplained
	if rest <= 0 {
		return findings
	}
	return append(findings[:maxExplained:maxExplained], report.Finding{Check: checkEqual, Message: fmt.Sprintf("%d more objects %s", rest, what)})
}

// maxExplained bounds how many objects are read back to list their differences,
// unless what a newer Kubernetes fills in has to be separated from a difference.
const maxExplained = 100

// explainDifferences reports in which fields the objects differ, and of how many
// the only difference is what a newer Kubernetes has filled in.
func (r *run) explainDifferences(ctx context.Context, steps []plan.Step) (findings []report.Finding, filledIn int, err error) {
	newer := newerMinor(r.report.Versions.Kubernetes, r.report.Backup.KubernetesVersion)
	rest := 0
	if !newer && len(steps) > maxExplained {
		rest, steps = len(steps)-maxExplained, steps[:maxExplained]
	}
	err = restore.Windows(ctx, catalog.Readable(r.Store, r.prepared.Metadata, r.Identities), r.Backup, steps, func(work []apply.Work) error {
		for _, w := range work {
			only, paths, err := r.difference(ctx, w)
			switch {
			case err != nil:
				return err
			case newer && only:
				filledIn++
			case len(findings) == maxExplained:
				rest++
			default:
				findings = append(findings, report.Finding{Check: checkEqual, Object: w.Step.Key.String(), Message: "differs from the backup: " + strings.Join(paths, "; ")})
			}
		}
		return nil
	})
	if rest > 0 {
		findings = append(findings, report.Finding{Check: checkEqual, Message: fmt.Sprintf("%d more objects differ", rest)})
	}
	return findings, filledIn, err
}

// difference reads one object back; only means that it has more fields than in
// the backup and is the same otherwise.
func (r *run) difference(ctx context.Context, w apply.Work) (only bool, paths []string, err error) {
	res := item.Resource{Group: w.Step.Group, Version: w.Step.Version, Name: w.Step.Resource, Kind: w.Step.Kind}
	live, err := r.cluster.Get(ctx, res, w.Step.Namespace, w.Step.Name)
	if err != nil {
		return false, nil, r.cluster.Explain(err)
	}
	wanted, err := r.wanted(w)
	if err != nil {
		return false, nil, err
	}
	if only, err = plan.OnlyAdds(wanted, live); err != nil {
		return false, nil, err
	}
	paths, err = differ(r.prepared.Metadata)(wanted, live)
	return only, paths, err
}

// newerMinor reports whether a version of Kubernetes is of a later minor than
// another: a later one has fields that objects of the other lack. Of what is no
// version nothing is known.
func newerMinor(is, than string) bool {
	a, err1 := version.ParseGeneric(is)
	b, err2 := version.ParseGeneric(than)
	if err1 != nil || err2 != nil {
		return false
	}
	return a.Major() > b.Major() || a.Major() == b.Major() && a.Minor() > b.Minor()
}

// changed counts what differs from the backup in the sandbox, and may.
func changed(rep report.Report, rule string, n int) report.Report {
	counts := maps.Clone(rep.Changed)
	if counts == nil {
		counts = map[string]int{}
	}
	counts[rule] += n
	rep.Changed = counts
	return rep
}

// wanted is an item as the plan meant to create it.
func (r *run) wanted(w apply.Work) (item.Item, error) {
	u, err := w.Item.Object()
	if err != nil {
		return item.Item{}, err
	}
	if err := r.prepared.Options.Transform(u, w.Step.GroupResource()); err != nil {
		return item.Item{}, err
	}
	return item.FromObject(u, w.Step.Resource)
}

// differ reports how objects of the backup are compared: the evidence is in
// the same location, and must not reveal what an encrypted backup holds.
func differ(b velerov1.Backup) func(backup, live item.Item) ([]string, error) {
	if catalog.Encrypted(b) {
		return plan.DiffHidden
	}
	return plan.Diff
}
