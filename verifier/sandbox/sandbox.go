// Package sandbox provides the ephemeral clusters that drills restore into.
//
// A drill gets only a kubeconfig, which it opens with its own client. What a passed
// drill proves depends on the sandbox: ControlPlane accepts objects as a real API
// server does and runs nothing; kind also runs the workloads.
//
// Every sandbox guarantees three things. After Down nothing of it is left: no
// process, no container, no file. If the process that called Up dies without
// calling Down, a control plane ends too, and the next one removes its files; a kind
// cluster is removed by the next one completely. What is restored into a sandbox
// cannot connect to anything outside of it.
package sandbox

import "context"

// Cluster is a running sandbox as a drill sees it.
type Cluster struct {
	Kubeconfig []byte // of an administrator; valid while the sandbox is up
	Server     string // URL of the API server
	Version    string // of Kubernetes, with the leading v
	NodeImage  string // of a sandbox made of containers
}

// Contained is what the API server of a sandbox reports instead of calling a webhook:
// an object that is rejected with this text was rejected because the sandbox is
// closed, not because of its content.
const Contained = "the sandbox lets no connection out"

// Sandbox is an ephemeral cluster for one drill.
type Sandbox interface {
	// Up starts the cluster and returns when it can be used. If it fails, nothing
	// is left, and Down need not be called. A second Up of a sandbox that is up is
	// an error; after Down it can be started again, empty.
	Up(ctx context.Context) (Cluster, error)
	// Down removes the cluster and everything that belonged to it; an error
	// says what it could not remove, or that the cluster had ended on its own.
	// It does nothing when the sandbox is not up. It cleans up also with a context
	// that is done, only less patiently: pass one that is not, made by
	// context.WithoutCancel, with a limit.
	Down(ctx context.Context) error
}

// Runner is a sandbox that runs pods. Between Up and Contain it reaches what
// its host reaches, so nothing is restored into it before Contain.
type Runner interface {
	Sandbox
	// Provide puts images on the node, and returns those that are not available
	// with the reason of each.
	Provide(ctx context.Context, images []string) (missing map[string]string, err error)
	// Contain closes the sandbox: from then on pods reach pods, Services and
	// the DNS of the sandbox, and nothing else except what the policy opens.
	Contain(ctx context.Context) error
	// Contained checks whether the sandbox is still closed: a privileged workload
	// could have opened it.
	Contained(ctx context.Context) error
	// MakeVolume makes an empty folder on the node for a volume and returns its
	// path there.
	MakeVolume(ctx context.Context, name string) (path string, err error)
}
