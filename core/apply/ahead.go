package apply

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// Ahead is what a dry run of a creation gave.
type Ahead struct {
	Refusal string // the API server's words, "" if it would accept the object
	Untried string // why it could not be asked
}

// TryCreation asks the API server what it would say to a creation, unless the
// object needs what the same restore creates. The applier must have DryRun set.
// The error is one after which nothing more can be asked.
func (a *Applier) TryCreation(ctx context.Context, w Work, ahead plan.Ahead) (Ahead, error) {
	u, err := a.wanted(w)
	if err != nil {
		return Ahead{Refusal: err.Error()}, nil //nolint:nilerr // the refusal is the answer
	}
	if need := ahead.Needs(u, w.Step.Key); need != "" {
		return Ahead{Untried: need}, nil
	}
	_, err = a.post(ctx, w, nil)
	switch {
	case err == nil, apierrors.IsAlreadyExists(err): // it exists by now: the restore will report it
		return Ahead{}, nil
	case ctx.Err() != nil, cluster.Unreachable(err):
		return Ahead{}, err
	case unknowable(err):
		return Ahead{Untried: "a webhook that does not answer a dry run"}, nil
	}
	return Ahead{Refusal: a.words(w, err)}, nil
}

// unknowable reports whether an answer says nothing about what would become of
// the object: a webhook could not be called, as in a cluster that is still being
// restored, or must not be called in a dry run.
func unknowable(err error) bool { return mayPass(err) || dryRunUnsupported(err) }

// dryRunUnsupported reports whether a webhook has side effects, so that the API
// server does not call it in a dry run.
func dryRunUnsupported(err error) bool {
	return apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "does not support dry run")
}
