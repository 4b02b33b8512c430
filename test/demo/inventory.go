package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/collect"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// inventory is what a cluster holds. It is taken straight from the API server,
// with no backup involved.
type inventory map[item.Key]object

type object struct {
	digest plan.Digest // of the normalised form
	// excluded says that the object asks to be left out of backups.
	excluded bool
}

func take(ctx context.Context, kubeconfig []byte) (inventory, error) {
	client, err := cluster.FromKubeconfig(kubeconfig, "lifeboat-demo")
	if err != nil {
		return nil, err
	}
	resources, _, err := client.Resources(ctx)
	if err != nil {
		return nil, err
	}
	inv := inventory{}
	for _, c := range collect.Select(filter.Filter{}, resources) {
		if c.Excluded != "" {
			continue
		}
		var info cluster.ListInfo
		for it, err := range client.List(ctx, c.Resource, cluster.ListOptions{}, &info) {
			if err != nil {
				return nil, err
			}
			u, err := it.Object()
			if err != nil {
				return nil, err
			}
			o := object{excluded: u.GetLabels()[api.LabelExcludeFromBackup] == "true"}
			if o.digest, err = plan.DigestOf(it); err != nil {
				return nil, err
			}
			inv[it.Key] = o
		}
	}
	return inv, nil
}

// compare holds what was lost against what is there. An object that is not back
// must have been left out by rule: skipped with a reason by the restore, or
// never in the backup because its label or its namespace's said so.
func (before inventory) compare(after inventory, outcome map[item.Key]apply.Change) (equal, byRule int, lost []string) {
	for key, o := range before {
		now, there := after[key]
		change, known := outcome[key]
		switch {
		case there && now.digest == o.digest:
			equal++
		case known && change.Outcome == apply.Skipped, !known && (o.excluded || before.excludedNamespace(key)):
			byRule++
		default:
			lost = append(lost, fmt.Sprintf("%s: %s (in the cluster: %t) %s", key, change.Outcome, there, change.Reason))
		}
	}
	slices.Sort(lost)
	return equal, byRule, lost
}

func (before inventory) excludedNamespace(k item.Key) bool {
	return k.Namespace != "" && before[item.Key{Resource: "namespaces", Name: k.Namespace}].excluded
}
