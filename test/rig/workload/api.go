package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// serviceAccount is where a pod finds what it may say of itself.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// askAPI gets a path from the API server, as the ServiceAccount of the pod.
func askAPI(ctx context.Context, path string) error {
	token, err1 := os.ReadFile(filepath.Join(serviceAccount, "token"))
	ca, err2 := os.ReadFile(filepath.Join(serviceAccount, "ca.crt"))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	server := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+server+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1000)) // the status says it too
		return fmt.Errorf("%s: %s: %s", path, resp.Status, body)
	}
	fmt.Println(path, resp.Status)
	return nil
}
