package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/klog/v2"
)

const (
	egressFile   = "egress.yaml"
	egressSocket = "egress.sock"
)

// egressConfig sends every connection the API server opens on behalf of an
// object (to a webhook, an aggregated API server, a kubelet, a proxied pod or
// service) to the socket that refuses it. A restored webhook may name the URL
// of a production service, and a restored Service may have its address.
const egressConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection: &refused
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: ` + egressSocket + `
- name: controlplane
  connection: *refused
`

// refuseEgress writes the configuration and answers on the socket for as long
// as the process lives.
func refuseEgress() error {
	if err := writeFile(egressFile, []byte(egressConfig)); err != nil {
		return fmt.Errorf("write %s: %w", egressFile, err)
	}
	listener, err := net.Listen("unix", egressSocket)
	if err != nil {
		return fmt.Errorf("listen for connections to refuse: %w", err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				klog.ErrorS(err, "Connections out of the sandbox are no longer answered")
				return
			}
			go refuse(conn)
		}
	}()
	return nil
}

func refuse(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	klog.InfoS("Refused a connection out of the sandbox", "address", request.Host)
	fmt.Fprint(conn, "HTTP/1.1 403 the sandbox lets no connection out\r\nContent-Length: 0\r\n\r\n")
}
