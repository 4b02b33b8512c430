package plan

import (
	"fmt"
	"reflect"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Drift says in what a plan that was reviewed is no longer the one that would
// be made now: one sentence for each step that differs, in the order of the
// plans. Reasons may differ, since they hold words of the API server.
func Drift(reviewed, now Plan) []string {
	var out []string
	if reviewed.Backup != now.Backup {
		out = append(out, fmt.Sprintf("the plan is of backup %s, not of %s", reviewed.Backup, now.Backup))
	}
	current := make(map[origin]Step, len(now.Steps))
	for _, s := range now.Steps {
		current[originOf(s)] = s
	}
	for _, was := range reviewed.Steps {
		is, there := current[originOf(was)]
		delete(current, originOf(was))
		if change := drifted(was, is, there); change != "" {
			out = append(out, was.Key.String()+": "+change)
		}
	}
	for _, s := range now.Steps {
		if _, left := current[originOf(s)]; left {
			out = append(out, fmt.Sprintf("%s: the plan does not have it; now it is %s: %s", s.Key, s.Action, s.Reason))
		}
	}
	return out
}

// origin identifies a step. A namespace that is made bare may be called as one
// of the backup that is mapped to another name.
type origin struct {
	key  item.Key // in the backup
	bare bool
}

func originOf(s Step) origin { return origin{s.Source(), s.Bare} }

func drifted(was, is Step, there bool) string {
	if was.Refused {
		was.Action = Create // a restore does not ask in advance
	}
	switch {
	case !there:
		return fmt.Sprintf("the plan says %s; now nothing is to be done with it", was.Action)
	case was.Action != is.Action:
		return fmt.Sprintf("the plan says %s; now it is %s: %s", was.Action, is.Action, is.Reason)
	case was.Sum != is.Sum:
		return "the backup holds another object than when the plan was made"
	case was.Live != is.Live:
		return "the cluster has another object than when the plan was made"
	case was.Key != is.Key, was.Version != is.Version, was.Held != is.Held:
		return fmt.Sprintf("the plan makes it %s at %s; now it is %s at %s", was.Key, was.APIVersion(), is.Key, is.APIVersion())
	case was.Status != is.Status, was.Relabel != is.Relabel, was.Merge != is.Merge, was.Add != is.Add, was.Completes != is.Completes, !reflect.DeepEqual(was.Withheld, is.Withheld), !reflect.DeepEqual(was.Owners, is.Owners), was.ClaimUID != is.ClaimUID, !reflect.DeepEqual(was.Volume, is.Volume):
		return "what would be done with it has changed"
	}
	return ""
}
