package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// builder is a plan in the making.
type builder struct {
	plan     *Plan
	options  Options
	seen     Observed
	first    map[item.Key]item.Key // target -> the item of the backup that becomes it
	awaits   map[string]bool
	warnings []string
}

// decide makes the step of an entry.
func (b *builder) decide(e Entry) Step {
	s := Step{
		Key: e.Key, From: e.From, Version: e.Version, Kind: e.Kind, Stage: stageOf(e.Key), Status: e.Status,
		Size: e.Size, Sum: e.Sum, Digest: e.Digest,
	}
	existing, exists := b.seen.Existing[e.Key]
	namespace := namespaceOf(e.Key)
	other, twice := b.first[e.Key]
	switch {
	case e.Leave != "":
		s.Action, s.Reason = Skip, e.Leave
		return s
	case twice && e.Key.GroupResource() == "namespaces":
		s.Action, s.Reason = Skip, fmt.Sprintf("its items go to namespace %s, which is made like %s", e.Key.Name, other.Name)
		return s
	case twice:
		s.Action, s.Reason = Fail, fmt.Sprintf("%s of the backup becomes %s too; restore them one after the other, or map their namespaces apart", other, e.Key)
		return s
	case e.Broken != "":
		s.Action, s.Reason = Fail, e.Broken
		return s
	}
	b.first[e.Key] = s.Source()
	goes := b.goes(e.Key, existing, exists)
	if exists && goes == "" {
		e.protected = (e.protected || existing.reconciled) && !e.asked
		if original := b.originalOf(e); original == "" || existing.Digest == s.Digest || e.protected {
			b.decideExisting(&s, existing, e)
		} else {
			b.decideShared(&s, e, existing, original)
		}
		return s
	}
	b.decideAbsent(&s)
	if s.Action != Create {
		return s
	}
	switch {
	case e.neededBy != "" && s.GroupResource() == "namespaces":
		s.Reason += "; restored items are in it"
	case e.neededBy != "":
		s.Reason += "; " + e.neededBy + " needs it"
	}
	if b.seen.Terminating[namespace] {
		b.awaits[namespace] = true
	}
	if goes != "" {
		s.Reason = fmt.Sprintf("absent once %s, which is being deleted, is gone", goes)
	}
	return s
}

// goes names what is being deleted and takes the object with it: its namespace,
// the object itself, or the definition of its resource. It returns "" when the
// object stays.
func (b *builder) goes(k item.Key, existing Live, exists bool) string {
	definition := item.Key{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: k.GroupResource()}
	switch namespace := namespaceOf(k); {
	case b.seen.Terminating[namespace]:
		return "namespace " + namespace
	case exists && existing.Deleting && k.GroupResource() != "namespaces":
		return "the object"
	case b.seen.Existing[definition].Deleting:
		return "definition " + definition.Name
	}
	return ""
}

// decideExisting says what happens to an object that is in the target.
func (b *builder) decideExisting(s *Step, live Live, e Entry) {
	policy := b.options.ExistingResourcePolicy
	differs := live.Digest != s.Digest
	// What others use too is changed only if it is selected itself.
	shared := e.neededBy != "" && s.Namespace == ""
	updates := (policy == PolicyUpdate || policy == PolicyRecreate) && !shared
	switch {
	case live.Hidden:
		s.Action, s.Reason = Skip, "there is no permission to read it in the target; it is taken to exist"
		return
	case differs && !updates && live.Incomplete == backupLabel(b.plan.Backup) && len(e.withheld) > 0:
		s.Action, s.Live, s.Completes, s.Withheld = Update, live.Digest, true, e.withheld
		s.Reason = "exists, and an interrupted restore of this backup left it without " + strings.Join(e.withheld, ", ")
	case differs && e.protected:
		s.Action, s.Reason = Skip, ReasonProtected
		return
	case differs && shared:
		s.Action, s.Reason = Skip, ReasonDiffers+" (the filter does not select it; "+e.neededBy+" needs it)"
		return
	case !differs && updates && !e.protected && !bareOfLabels(s.Key):
		s.Action, s.Reason = Label, "exists and is equal; gets the labels of this restore"
	case !differs:
		s.Action, s.Reason = Unchanged, ReasonEqual
	case s.GroupResource() == "serviceaccounts":
		s.Action, s.Reason, s.Live, s.Merge = Update, "exists; is completed with what the backup has more", live.Digest, true
	case updates:
		s.Action, s.Reason, s.Live = Update, "exists and differs from the backup", live.Digest
	default:
		s.Action, s.Reason = Skip, ReasonDiffers
	}
	if versions := b.seen.Served[s.GroupResource()]; len(versions) > 0 {
		b.serve(s, versions)
	}
}

// decideAbsent says whether an object that is not in the target can be created.
func (b *builder) decideAbsent(s *Step) {
	versions, served := b.seen.Served[s.GroupResource()]
	definition, defined := b.plan.Defines[s.GroupResource()]
	undiscovered := b.seen.Undiscovered[s.APIVersion()]
	service := b.plan.aggregates[s.APIVersion()]
	going := b.goes(item.Key{Group: s.Group, Resource: s.Resource}, Live{}, false)
	switch {
	case going != "" && !defined:
		s.Action, s.Reason = Fail, going+" is being deleted, and the restore does not create it"
	case slices.Contains(versions, s.Version):
		s.Action, s.Reason = Create, "absent in the cluster"
	case defined:
		s.Action, s.Reason = Create, "absent in the cluster; defined by "+definition
	case undiscovered != "":
		s.Action, s.Reason = Fail, fmt.Sprintf("the target cluster cannot say what it serves of %s: %s", s.APIVersion(), undiscovered)
	case served:
		s.Action = Create
		s.Reason = fmt.Sprintf("absent in the cluster, which serves %s at %s and not at %s", s.GroupResource(), strings.Join(versions, ", "), s.Version)
		b.serve(s, versions)
	case service != "":
		s.Action, s.Aggregated = Fail, true
		s.Reason = fmt.Sprintf("the target cluster does not serve %s; it needs the API server behind %s to run", s.GroupResource(), service)
	default:
		s.Action, s.Reason = Fail, fmt.Sprintf("the target cluster does not serve %s, and the backup does not define it", s.GroupResource())
	}
}

// serve sets the version at which the target gets the item.
func (b *builder) serve(s *Step, versions []string) {
	if v := ServedVersion(s.Version, versions); v != s.Version {
		s.Held, s.Version = s.Version, v
	}
}

// ServedVersion is the version at which a target gets an item: the one at which
// the backup holds it, or, where that is not served, the one the target
// prefers. The API server is then asked to refuse fields it does not know, so
// that nothing is lost silently.
func ServedVersion(held string, served []string) string {
	if len(served) == 0 || slices.Contains(served, held) {
		return held
	}
	return served[0]
}

// The reasons of steps whose object is in the cluster already.
const (
	ReasonEqual   = "exists and is equal"
	ReasonDiffers = "exists and differs from the backup; left alone"
)

// bareOfLabels are the objects that carry no labels of a restore.
func bareOfLabels(k item.Key) bool { return k.GroupResource() == "namespaces" }

// Refusal is what the API server would say to an update.
type Refusal struct {
	Words string // "" when it would accept it
	// Invalid says that the object may not become what the backup holds. Other
	// refusals, as of rights or of a webhook, would meet a creation as well.
	Invalid bool
}

// Refused settles an update that the API server would refuse: the object is
// recreated where the policy allows it, that can help, and nothing is lost by
// it.
func (o Options) Refused(s *Step, live Live, r Refusal) {
	s.Action, s.Reason = Fail, "cannot be updated: "+r.Words
	switch {
	case s.Merge: // completed under every policy, and nothing else
		return
	case s.Add:
		s.Reason += " (it is not deleted, since another namespace of the cluster uses it)"
		return
	case o.ExistingResourcePolicy != PolicyRecreate:
		s.Relabel = !bareOfLabels(s.Key)
		return
	}
	switch {
	case !r.Invalid:
		s.Reason += " (it is not deleted, since its creation could be refused too)"
	case s.GroupResource() == "namespaces":
		s.Reason += " (a namespace is never deleted, since all that is in it would go)"
	case s.Defining():
		s.Reason += " (a definition is never deleted, since all its objects would go)"
	case live.Bound:
		s.Reason += " (what is bound is never deleted, since its data could go)"
	default:
		s.Action, s.Reason = Recreate, "exists, and is deleted and recreated, since it cannot be updated: "+r.Words
	}
}
