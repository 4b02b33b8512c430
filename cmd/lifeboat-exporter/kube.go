package main

import (
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
)

// kubeFlags say which cluster is read, if any, and how its server was set up.
type kubeFlags struct {
	use        bool
	asked      func() bool // whether --kube was given
	kubeconfig string
	namespace  string
	ttl        time.Duration
	gcPeriod   time.Duration
}

func (f *kubeFlags) add(set *pflag.FlagSet) {
	set.BoolVar(&f.use, "kube", true, "read the Schedules, Backups and so on of a cluster; auto is with --kubeconfig, or in a pod with a service account")
	set.Lookup("kube").DefValue = "auto"
	set.StringVar(&f.kubeconfig, "kubeconfig", "", "`file` that leads to the cluster (default: with --kube what kubectl would use, in a pod its service account)")
	set.StringVar(&f.namespace, "namespace", "velero", "`namespace` of the Schedules and Backups")
	cli.DurationVar(set, &f.ttl, "server.default-backup-ttl", 30*24*time.Hour, "the Velero server's --default-backup-ttl: how long backups are kept whose ttl is 0 or not set")
	cli.DurationVar(set, &f.gcPeriod, "server.garbage-collection-frequency", time.Hour, "the Velero server's --garbage-collection-frequency")
	f.asked = func() bool { return set.Changed("kube") }
}

// serviceAccountToken is where a pod finds its own.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// wanted reports whether a cluster is a source.
func (f *kubeFlags) wanted() bool {
	if !f.use || f.kubeconfig != "" || f.asked() {
		return f.use
	}
	_, err := os.Stat(serviceAccountToken)
	return err == nil && os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// client is nil when no cluster is a source. It does not connect yet.
func (f *kubeFlags) client() (*cluster.Client, error) {
	switch {
	case f.namespace == "":
		return nil, cli.Usage("--namespace: it must not be empty")
	case f.ttl < time.Second:
		return nil, cli.Usage("--server.default-backup-ttl %s: it must be a second or more", f.ttl)
	case f.gcPeriod < time.Second:
		return nil, cli.Usage("--server.garbage-collection-frequency %s: it must be a second or more", f.gcPeriod)
	case !f.wanted():
		return nil, nil
	}
	client, err := cluster.Open(cluster.Options{Kubeconfig: f.kubeconfig, UserAgent: "lifeboat-exporter/" + cli.Version()})
	if err != nil {
		return nil, cli.Usage("--kubeconfig: %w", err)
	}
	return client, nil
}
