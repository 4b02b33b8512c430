package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

// authority signs certificates for one test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	a.key = key
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.sign("ca", a.cert, key)
	return a
}

// issue writes NAME.crt and NAME.key.
func (a *authority) issue(name string, use x509.ExtKeyUsage) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	a.sign(name, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{use}, KeyUsage: x509.KeyUsageDigitalSignature,
	}, key)
	pair, err := tls.LoadX509KeyPair(a.path(name+".crt"), a.path(name+".key"))
	require.NoError(a.t, err)
	return pair
}

func (a *authority) sign(name string, cert *x509.Certificate, key *ecdsa.PrivateKey) {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	raw, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	a.write(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	a.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}))
}

func (a *authority) path(file string) string { return filepath.Join(a.dir, file) }

func (a *authority) write(file string, content []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(a.path(file), content, 0o600))
}

// client trusts the authority, and shows certificates if it has any.
func (a *authority) client(shown ...tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	pemBytes, err := os.ReadFile(a.path("ca.crt"))
	require.NoError(a.t, err)
	require.True(a.t, roots.AppendCertsFromPEM(pemBytes))
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: shown, MinVersion: tls.VersionTLS12}}}
}

// answer is the status code, 0 when there was no answer at all.
func answer(t *testing.T, c *http.Client, url, password string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if password != "" {
		req.SetBasicAuth("prometheus", password)
	}
	res, err := c.Do(req)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// everyPath is what has to be protected.
var everyPath = []string{"/metrics", "/", "/api/v1/status", "/evidence?location=default&backup=b&drill=d", "/-/healthy"}

func TestEveryPathIsProtectedAsTheWebConfigurationSays(t *testing.T) {
	a := newAuthority(t)
	a.issue("server", x509.ExtKeyUsageServerAuth)
	known := a.issue("client", x509.ExtKeyUsageClientAuth)
	stranger := newAuthority(t).issue("stranger", x509.ExtKeyUsageClientAuth)
	const (
		serves = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
		asks   = "tls_server_config: {cert_file: server.crt, key_file: server.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt}\n"
		// The bcrypt of "secret".
		users = "basic_auth_users:\n  prometheus: $2a$04$C8fIUzrmgn4SNbxgo0JY/ePFtanBJ0cWkqNMuVz0ALXnyMDHa5gTq\n"
	)
	type visit struct {
		client   *http.Client
		scheme   string
		password string
		code     int // 0 for no answer; 200 stands for whatever the path answers to who may ask
	}
	for name, tc := range map[string]struct {
		config string
		visits map[string]visit
	}{
		"nothing": {"", map[string]visit{
			"HTTP":  {a.client(), "http", "", 200},
			"HTTPS": {a.client(), "https", "", 0},
		}},
		"TLS": {serves, map[string]visit{
			"HTTPS": {a.client(), "https", "", 200},
			"HTTPS by somebody who does not know the authority": {http.DefaultClient, "https", "", 0},
			"HTTP": {a.client(), "http", "", http.StatusBadRequest},
		}},
		"a password": {users, map[string]visit{
			"the right one": {a.client(), "http", "secret", 200},
			"a wrong one":   {a.client(), "http", "guess", http.StatusUnauthorized},
			"none":          {a.client(), "http", "", http.StatusUnauthorized},
		}},
		"TLS and a password": {serves + users, map[string]visit{
			"both": {a.client(), "https", "secret", 200},
			"TLS":  {a.client(), "https", "", http.StatusUnauthorized},
		}},
		"a client certificate": {asks, map[string]visit{
			"one of the authority":    {a.client(known), "https", "", 200},
			"one of another":          {a.client(stranger), "https", "", 0},
			"none":                    {a.client(), "https", "", 0},
			"a password in its place": {a.client(), "https", "secret", 0},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"--location", "file://" + t.TempDir()}
			if tc.config != "" {
				a.write("web.yml", []byte(tc.config)) // paths are relative to it
				args = append(args, "--web.config.file", a.path("web.yml"))
			}
			p := start(t, args...)
			for who, v := range tc.visits {
				for _, path := range everyPath {
					got := answer(t, v.client, v.scheme+"://"+p.Address+path, v.password)
					if v.code == http.StatusOK && path[1:] != "" && path[:2] == "/e" {
						assert.Equal(t, http.StatusNotFound, got, "%s: %s: there is no such evidence", who, path)
						continue
					}
					assert.Equal(t, v.code, got, "%s: %s", who, path)
				}
			}
			exit, _, log := p.end(syscall.SIGTERM)
			assert.Equal(t, cli.ExitOK, exit, log)
		})
	}
}
