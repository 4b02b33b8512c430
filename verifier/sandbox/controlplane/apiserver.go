package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

const (
	// Both families, so that Services of single- and dual-stack clusters of
	// either kind are accepted.
	serviceCIDR = "10.96.0.0/16,fd00:10:96::/108"
	serviceIP   = "10.96.0.1" // of the Service kubernetes in default: the first of the CIDR
	// advertised is in the endpoints of that Service. They may not name a
	// loopback address, and a host may have no other; this one is reserved for
	// documentation and leads nowhere (RFC 5737).
	advertised = "192.0.2.1"
)

// apiServerFlags are the flags of kube-apiserver: as kubeadm sets them where
// they decide what is accepted, so that an object refused here is refused by a
// real cluster too.
func apiServerFlags(allowEgress bool) []string {
	flags := []string{
		"--etcd-servers=" + etcdURL,
		"--tls-cert-file=" + serverCertFile,
		"--tls-private-key-file=" + serverKeyFile,
		"--client-ca-file=" + caCertFile,
		"--cert-dir=.", // never /var/run/kubernetes
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + tokenPubFile,
		"--service-account-signing-key-file=" + tokenKeyFile,
		"--service-cluster-ip-range=" + serviceCIDR,
		"--advertise-address=" + advertised,
		"--authorization-mode=Node,RBAC",
		// Only holders of the parent's certificate get an answer, whatever a restored
		// binding grants: anonymous users do not exist, and no token of the source
		// cluster is one here (bootstrap tokens are the only ones that are not signed).
		"--anonymous-auth=false",
		"--enable-bootstrap-token-auth=false",
		"--enable-admission-plugins=NodeRestriction", // on top of those on by default
		"--allow-privileged=true",
		"--max-requests-inflight=3000",
		"--max-mutating-requests-inflight=1000",
		"--profiling=false",
	}
	if !allowEgress {
		flags = append(flags, "--egress-selector-config-file="+egressFile)
	}
	return flags
}

// runAPIServer serves on the listener until ctx is done. The error is never
// nil: an API server has no reason of its own to end.
func runAPIServer(ctx context.Context, listener net.Listener, allowEgress bool) error {
	s := options.NewServerRunOptions()
	fs := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, named := range s.Flags().FlagSets {
		fs.AddFlagSet(named)
	}
	args := apiServerFlags(allowEgress)
	klog.InfoS("Starting kube-apiserver", "flags", args)
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	addr := listener.Addr().(*net.TCPAddr)
	s.SecureServing.Listener, s.SecureServing.BindAddress, s.SecureServing.BindPort = listener, addr.IP, addr.Port

	registry := s.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return fmt.Errorf("set feature gates: %w", err)
	}
	// As kube-apiserver does: the warnings its own clients get are not for its log.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	if err := logsapi.ValidateAndApply(s.Logs, registry.FeatureGateFor(basecompatibility.DefaultKubeComponent)); err != nil {
		return fmt.Errorf("set up logging: %w", err)
	}
	completed, err := s.Complete(ctx)
	if err != nil {
		return fmt.Errorf("complete options: %w", err)
	}
	if err := errors.Join(completed.Validate()...); err != nil {
		return fmt.Errorf("validate options: %w", err)
	}
	if err := apiserver.Run(ctx, completed); err != nil {
		return err
	}
	return errors.New("it stopped serving")
}
