// Command lifeboat-controlplane is a Kubernetes control plane in one binary:
// etcd and kube-apiserver in one process, kube-controller-manager in a child
// process of it. It is the sandbox of a drill at level controlplane, and the
// cluster that Lifeboat's own tests run against.
//
// It promises its parent: one JSON line on stdout, when the cluster is ready or
// when it cannot be; an end within seconds of SIGTERM, SIGINT or the end of
// stdin; nothing left running and nothing written outside the data directory.
// It does not keep anything: etcd does not sync to disk, and the data directory
// is the parent's to remove.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	etcdversion "go.etcd.io/etcd/api/v3/version"
	"k8s.io/component-base/version"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin, stdout, stderr *os.File) int {
	if len(args) > 0 && args[0] == controllersRole {
		return runControllers(args[1:], stdin)
	}
	parent, err := duplicate(stdout)
	if err != nil {
		fmt.Fprintf(stderr, "lifeboat-controlplane: keep stdout: %v\n", err)
		return exitError
	}
	fail := func(code int, err error) int {
		tell(parent, failure{Event: "error", Error: err.Error()})
		fmt.Fprintf(stderr, "lifeboat-controlplane: %v\n", err)
		return code
	}
	s, err := parse(args, stdout)
	if errors.Is(err, errHelp) {
		return exitOK
	}
	if err != nil {
		code := fail(exitUsage, err)
		fmt.Fprintln(stderr, "hint: lifeboat-controlplane --help lists the flags")
		return code
	}
	kubernetes, err := kubernetesVersion()
	if err != nil {
		return fail(exitError, err)
	}
	if s.version {
		fmt.Fprintf(stdout, "lifeboat-controlplane Kubernetes %s etcd %s\n", kubernetes, etcdversion.Version)
		return exitOK
	}
	if err := serve(s, kubernetes, stdin, parent); err != nil {
		return fail(exitError, err)
	}
	return exitOK
}

// ready is the line that reports to the parent that the cluster can be used.
type ready struct {
	Event      string  `json:"event"` // "ready"
	Server     string  `json:"server"`
	Kubeconfig string  `json:"kubeconfig"`
	Version    string  `json:"version"`
	PID        int     `json:"pid"`
	Seconds    float64 `json:"seconds"`
}

// failure is the line that reports to the parent why there is no cluster.
type failure struct {
	Event string `json:"event"` // "error"
	Error string `json:"error"`
}

func tell(w io.Writer, event any) {
	line, err := json.Marshal(event)
	if err != nil {
		panic(err) // both events marshal
	}
	// A parent that is gone is noticed by the end of stdin, not here.
	_, _ = w.Write(append(line, '\n'))
}

// kubernetesVersion is the version the API server reports, once it is known to
// be the version that was linked: a binary built without its version stamps
// reports v0.0.0, and evidence must not.
func kubernetesVersion() (string, error) {
	stamped := version.Get().GitVersion
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return stamped, nil
	}
	for _, dep := range info.Deps {
		if dep.Path == "k8s.io/kubernetes" && dep.Version != stamped {
			return "", fmt.Errorf("this binary links Kubernetes %s but would report %s; build it with `make controlplane`", dep.Version, stamped)
		}
	}
	return stamped, nil
}
