package spec

import (
	"errors"

	corev1 "k8s.io/api/core/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// Restore is what a restore acts on of a RestoreSpec.
type Restore struct {
	// Backup is the backup to restore. If it is empty, the newest restorable one
	// of Schedule is meant.
	Backup, Schedule string
	// ModifierConfigMap is the name of the ConfigMap that holds the rules for
	// Options.Modifiers; the caller reads it and sets them.
	ModifierConfigMap string
	Options           plan.Options
}

// ReadRestore reads the settings of a spec. The error is a Problems.
func ReadRestore(s velerov1.RestoreSpec) (Restore, error) {
	var p Problems
	r := Restore{Backup: s.BackupName, Schedule: s.ScheduleName, Options: plan.Options{
		Filter: filter.Filter{
			IncludedNamespaces:      s.IncludedNamespaces,
			ExcludedNamespaces:      s.ExcludedNamespaces,
			IncludedResources:       s.IncludedResources,
			ExcludedResources:       s.ExcludedResources,
			IncludeClusterResources: s.IncludeClusterResources,
		},
		NamespaceMapping:       s.NamespaceMapping,
		PreserveNodePorts:      isTrue(s.PreserveNodePorts),
		ExistingResourcePolicy: plan.Policy(s.ExistingResourcePolicy),
	}}
	o := &r.Options
	o.Filter.LabelSelector, o.Filter.OrLabelSelectors = p.selectors(s.LabelSelector, s.OrLabelSelectors)
	o.StatusResources, o.ExcludedStatusResources = readStatus(s.RestoreStatus)
	r.ModifierConfigMap = p.modifier(s.ResourceModifier)
	if (r.Backup == "") == (r.Schedule == "") {
		p.invalid("backupName", "exactly one of backupName and scheduleName is required")
	}
	p.filter(o.Filter)
	for _, err := range (plan.Options{NamespaceMapping: o.NamespaceMapping}).Check() {
		p.invalid("namespaceMapping", "%w", err)
	}
	for _, err := range (plan.Options{ExistingResourcePolicy: o.ExistingResourcePolicy}).Check() {
		p.invalid("existingResourcePolicy", "%w", err)
	}
	p.unsupported(len(s.Hooks.Resources) > 0, "hooks", "")
	p.unsupported(isTrue(s.RestorePVs), "restorePVs=true", ": the data of volumes is not restored")
	if err := p.err(); err != nil {
		return Restore{}, err
	}
	return r, nil
}

// readStatus are the resources whose status is restored and those of them whose
// status is not. A list without names means all.
func readStatus(s *velerov1.RestoreStatusSpec) (included, excluded []string) {
	if s == nil {
		return nil, nil
	}
	if len(s.IncludedResources) == 0 {
		return []string{"*"}, s.ExcludedResources
	}
	return s.IncludedResources, s.ExcludedResources
}

// modifier is the name of the ConfigMap that a spec refers to, "" for none.
func (p *Problems) modifier(ref *corev1.TypedLocalObjectReference) string {
	if ref == nil {
		return ""
	}
	switch {
	case ref.APIGroup != nil && *ref.APIGroup != "", ref.Kind != "ConfigMap" && ref.Kind != "configmap":
		p.invalid("resourceModifier", "kind %q is not ConfigMap", ref.Kind)
	case ref.Name == "":
		p.invalid("resourceModifier", "the name of the ConfigMap is empty")
	}
	return ref.Name
}

// errNoField is the problem of an option that only Lifeboat's plans have.
var errNoField = errors.New("a RestoreSpec has no field for it")

// Spec is a spec with the settings and nothing else. The options
// must be free of mistakes (plan.Options.Check). The error, a Problems, names
// the options that a RestoreSpec has no field for.
func (r Restore) Spec() (velerov1.RestoreSpec, error) {
	var p Problems
	o := r.Options
	if len(o.StorageClassMapping) > 0 {
		p = append(p, &Problem{"storageClassMapping", errNoField})
	}
	if !o.Modifiers.IsZero() && r.ModifierConfigMap == "" {
		p = append(p, &Problem{"resourceModifiers", errNoField})
	}
	s := velerov1.RestoreSpec{
		BackupName: r.Backup, ScheduleName: r.Schedule,
		IncludedNamespaces:      o.Filter.IncludedNamespaces,
		ExcludedNamespaces:      o.Filter.ExcludedNamespaces,
		IncludedResources:       o.Filter.IncludedResources,
		ExcludedResources:       o.Filter.ExcludedResources,
		IncludeClusterResources: o.Filter.IncludeClusterResources,
		LabelSelector:           selector(o.Filter.LabelSelector),
		OrLabelSelectors:        selectors(o.Filter.OrLabelSelectors),
		NamespaceMapping:        o.NamespaceMapping,
		ExistingResourcePolicy:  velerov1.ExistingResourcePolicy(o.ExistingResourcePolicy),
	}
	if len(o.StatusResources) > 0 {
		s.RestoreStatus = &velerov1.RestoreStatusSpec{IncludedResources: o.StatusResources, ExcludedResources: o.ExcludedStatusResources}
	}
	if o.PreserveNodePorts {
		s.PreserveNodePorts = &o.PreserveNodePorts
	}
	if r.ModifierConfigMap != "" {
		s.ResourceModifier = &corev1.TypedLocalObjectReference{Kind: "ConfigMap", Name: r.ModifierConfigMap}
	}
	return s, p.err()
}
