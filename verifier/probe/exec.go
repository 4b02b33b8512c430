package probe

import (
	"context"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

func (r *runner) exec(ctx context.Context, e policy.Exec, q *question) (answer, error) {
	in, err := r.pick(ctx, e.Target, q)
	if err != nil {
		return answer{}, err
	}
	return r.run(ctx, in, cluster.Command{Args: e.Command, Stdin: e.Stdin}, q)
}

// run asks by a command in a container.
func (r *runner) run(ctx context.Context, in cluster.Container, cmd cluster.Command, q *question) (answer, error) {
	cmd.Limit = maxAnswer
	began := r.Now()
	q.put = true
	exit, err := r.cluster.Exec(ctx, in, cmd)
	if err != nil {
		return answer{}, err
	}
	return answer{exitCode: exit.Code, output: string(exit.Stdout), errors: string(exit.Stderr), cut: exit.Cut, took: r.Now().Sub(began)}, nil
}
