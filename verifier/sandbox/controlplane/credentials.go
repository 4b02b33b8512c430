package main

import (
	"fmt"
	"net"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/controlplane/internal/pki"
)

// lifetime bounds the credentials of a sandbox. A drill lasts minutes; a
// cluster kept for a demonstration may last days.
const lifetime = 30 * 24 * time.Hour

// Files in the data directory, by names relative to it.
const (
	caCertFile     = "ca.crt"
	caKeyFile      = "ca.key"
	serverCertFile = "apiserver.crt"
	serverKeyFile  = "apiserver.key"
	tokenKeyFile   = "sa.key"
	tokenPubFile   = "sa.pub"
	managerFile    = "controller-manager.kubeconfig"
)

// credentials are what the parts of the control plane and its parent log in
// with.
type credentials struct {
	server string // URL
	admin  []byte // kubeconfig of the parent
}

// newCredentials makes all keys and certificates and writes those that the
// servers read from files. The administrator's kubeconfig is only kept: it is
// written when it can be used.
func newCredentials(s settings, addr *net.TCPAddr, now time.Time) (credentials, error) {
	ca, err := pki.NewAuthority("lifeboat-controlplane", now, lifetime)
	if err != nil {
		return credentials{}, err
	}
	host := addr.IP
	if host.IsUnspecified() {
		host = net.IPv4(127, 0, 0, 1)
	}
	server, err := ca.Issue(pki.Request{User: "kube-apiserver", Hosts: []string{
		host.String(), "127.0.0.1", "::1", "localhost",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", serviceIP,
	}})
	if err != nil {
		return credentials{}, err
	}
	token, err := pki.NewKey()
	if err != nil {
		return credentials{}, err
	}
	c := credentials{server: "https://" + net.JoinHostPort(host.String(), fmt.Sprint(addr.Port))}
	manager, err := c.kubeconfig(ca, pki.Request{User: "system:kube-controller-manager"})
	if err != nil {
		return credentials{}, err
	}
	c.admin, err = c.kubeconfig(ca, pki.Request{User: "lifeboat", Groups: []string{"system:masters"}})
	if err != nil {
		return credentials{}, err
	}
	for name, data := range map[string][]byte{
		caCertFile: ca.Cert, caKeyFile: ca.Key,
		serverCertFile: server.Cert, serverKeyFile: server.Key,
		tokenPubFile: token.Cert, tokenKeyFile: token.Key,
		managerFile: manager,
	} {
		if err := writeFile(name, data); err != nil {
			return credentials{}, fmt.Errorf("write %s: %w", name, err)
		}
	}
	return c, nil
}

func (c credentials) kubeconfig(ca *pki.Authority, who pki.Request) ([]byte, error) {
	pair, err := ca.Issue(who)
	if err != nil {
		return nil, err
	}
	const name = "lifeboat-controlplane"
	data, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: c.server, CertificateAuthorityData: ca.Cert}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{who.User: {ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: who.User}},
		CurrentContext: name,
	})
	if err != nil {
		return nil, fmt.Errorf("encode kubeconfig of %s: %w", who.User, err)
	}
	return data, nil
}

// client opens the cluster as the parent will.
func (c credentials) client() (kubernetes.Interface, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(c.admin)
	if err != nil {
		return nil, fmt.Errorf("read own kubeconfig: %w", err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("open own cluster: %w", err)
	}
	return client, nil
}
