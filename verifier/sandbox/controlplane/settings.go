package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
)

// settings is what the parent asks for.
type settings struct {
	dataDir     string // absolute
	listen      netip.AddrPort
	kubeconfig  string   // absolute
	controllers []string // as kube-controller-manager takes them; empty: none is started
	allowEgress bool
	version     bool // print versions and end
}

// restoreControllers are the controllers without which a restored object would
// not come to be as it is on a real cluster, or could not be deleted again.
// Left out is whatever starts workloads (deployments, jobs, pods of any kind),
// removes or rewrites what was restored (pod garbage collector, TTL of jobs,
// endpoints, disruption, node lifecycle), or binds and provisions volumes:
// nothing runs here that could use the result.
var restoreControllers = []string{
	names.NamespaceController,
	names.GarbageCollectorController,
	names.ServiceAccountController,
	names.ServiceAccountTokenController,
	names.RootCACertificatePublisherController,
	names.ResourceQuotaController,
	names.ClusterRoleAggregationController,
	names.ServiceCIDRController,
	names.ValidatingAdmissionPolicyStatusController,
	// These three remove the finalizers that admission puts on every claim,
	// volume and attributes class; without them no namespace with a claim ends.
	names.PersistentVolumeClaimProtectionController,
	names.PersistentVolumeProtectionController,
	names.VolumeAttributesClassProtectionController,
}

// errHelp means that help was asked for and given.
var errHelp = errors.New("help given")

const usage = `lifeboat-controlplane runs etcd, kube-apiserver and kube-controller-manager until
its stdin ends or it gets SIGTERM or SIGINT. It writes one JSON line to stdout
when the cluster is ready, or when it cannot be.

Usage:
  lifeboat-controlplane --data-dir DIR [flags]

Flags:
`

func parse(args []string, help io.Writer) (settings, error) {
	var s settings
	var listen, controllers string
	fs := flag.NewFlagSet("lifeboat-controlplane", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&s.dataDir, "data-dir", "", "directory for everything the control plane writes; created if absent; use a new one for every run (required)")
	fs.StringVar(&listen, "listen-address", "127.0.0.1:0", "IP and port of the API server; port 0 takes a free one")
	fs.StringVar(&s.kubeconfig, "kubeconfig", "", "where to write the administrator's kubeconfig (default DATA-DIR/kubeconfig)")
	fs.StringVar(&controllers, "controllers", "default", "comma-separated controllers of kube-controller-manager: names, -names to leave out, * for all it has on by default, the word default for those a restore needs ("+
		strings.Join(restoreControllers, ", ")+"), or none for no kube-controller-manager")
	fs.BoolVar(&s.allowEgress, "allow-egress", false, "let the API server connect to webhooks, aggregated API servers, kubelets and proxied services; without it such connections are refused")
	fs.BoolVar(&s.version, "version", false, "print the versions and end")

	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(help, usage)
		fs.SetOutput(help)
		fs.PrintDefaults()
		return s, errHelp
	} else if err != nil {
		return s, err
	}
	if s.version {
		return s, nil
	}
	if fs.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if s.dataDir == "" {
		return s, errors.New("--data-dir is required")
	}
	var err error
	if s.dataDir, err = filepath.Abs(s.dataDir); err != nil {
		return s, fmt.Errorf("--data-dir: %w", err)
	}
	if s.kubeconfig == "" {
		s.kubeconfig = filepath.Join(s.dataDir, "kubeconfig")
	}
	if s.kubeconfig, err = filepath.Abs(s.kubeconfig); err != nil {
		return s, fmt.Errorf("--kubeconfig: %w", err)
	}
	if s.listen, err = netip.ParseAddrPort(listen); err != nil {
		return s, fmt.Errorf("--listen-address %q is not IP:PORT", listen)
	}
	if s.controllers, err = parseControllers(controllers); err != nil {
		return s, err
	}
	return s, nil
}

// parseControllers turns the flag into the list kube-controller-manager takes,
// by canonical names, and refuses a name it does not know: it would refuse it
// itself, but seconds later.
func parseControllers(list string) ([]string, error) {
	if list == "none" {
		return nil, nil
	}
	known, aliases := kcm.KnownControllers(), kcm.ControllerAliases()
	var controllers []string
	for name := range strings.SplitSeq(list, ",") {
		switch name = strings.TrimSpace(name); name {
		case "default":
			controllers = append(controllers, restoreControllers...)
			continue
		case "*":
			controllers = append(controllers, name)
			continue
		}
		bare, minus := strings.CutPrefix(name, "-")
		if canonical, ok := aliases[bare]; ok {
			bare = canonical
		}
		if !slices.Contains(known, bare) {
			return nil, fmt.Errorf("--controllers: there is no controller %q; use default, *, none or names out of: %s", name, strings.Join(known, ", "))
		}
		if minus {
			// The first word about a controller decides: what is left out goes
			// before the lists it is left out of.
			controllers = slices.Insert(controllers, 0, "-"+bare)
		} else {
			controllers = append(controllers, bare)
		}
	}
	return controllers, nil
}
