// Command lifeboat backs up and restores Kubernetes objects, cluster to bucket
// and back, in Velero's format.
package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
)

func main() {
	cli.LimitMemory()
	os.Exit(cli.Main(newRoot(os.Stdin), os.Args[1:], os.Stdout, os.Stderr))
}

func newRoot(stdin io.Reader) *cobra.Command {
	root := cli.Group("lifeboat", "Back up and restore Kubernetes objects",
		newBackup(stdin), newRestore(), newPlan(), newVolumes(), cli.NewVersion("lifeboat"))
	root.Long = `Lifeboat backs up the objects of a Kubernetes cluster to a bucket or folder and
restores them, in Velero's format. lifeboat-verifier proves that a backup can be
restored; lifeboat-exporter monitors backups.
` + cli.ExitHelp
	return root
}

// clusterFlags select a cluster, as with kubectl.
type clusterFlags struct{ kubeconfig, context string }

func (f *clusterFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig `file` (default: $KUBECONFIG, ~/.kube/config, or the pod's service account)")
	cli.TextVarP(c.Flags(), &f.context, "context", "", "kubeconfig `context` (default: the current one)")
}

func (f *clusterFlags) open() (*cluster.Client, error) {
	return cluster.Open(cluster.Options{Kubeconfig: f.kubeconfig, Context: f.context, UserAgent: "lifeboat/" + cli.Version()})
}
