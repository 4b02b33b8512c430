package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"
)

func parse(t *testing.T, p Pair) *x509.Certificate {
	t.Helper()
	if _, err := tls.X509KeyPair(p.Cert, p.Key); err != nil {
		t.Fatalf("certificate and key do not belong together: %v", err)
	}
	block, _ := pem.Decode(p.Cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCertificatesSayWhatWasAskedAndEndWithTheAuthority(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ca, err := NewAuthority("sandbox", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parse(t, ca.Pair))

	serverPair, err := ca.Issue(Request{User: "kube-apiserver", Hosts: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	clientPair, err := ca.Issue(Request{User: "drill", Groups: []string{"system:masters"}})
	if err != nil {
		t.Fatal(err)
	}
	server, client := parse(t, serverPair), parse(t, clientPair)

	verify := func(c *x509.Certificate, name string, usage x509.ExtKeyUsage, at time.Time) error {
		_, err := c.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage}})
		return err
	}
	for _, name := range []string{"127.0.0.1", "localhost"} {
		if err := verify(server, name, x509.ExtKeyUsageServerAuth, now); err != nil {
			t.Errorf("server at %s: %v", name, err)
		}
	}
	if err := verify(server, "example.com", x509.ExtKeyUsageServerAuth, now); err == nil {
		t.Error("the server certificate holds for a host nobody named")
	}
	if err := verify(server, "", x509.ExtKeyUsageClientAuth, now); err == nil {
		t.Error("the server certificate logs in as a client")
	}
	if err := verify(client, "", x509.ExtKeyUsageClientAuth, now); err != nil {
		t.Error(err)
	}
	if client.Subject.CommonName != "drill" || len(client.Subject.Organization) != 1 || client.Subject.Organization[0] != "system:masters" {
		t.Errorf("client is %v", client.Subject)
	}
	if err := verify(client, "", x509.ExtKeyUsageClientAuth, now.Add(time.Hour+time.Second)); err == nil {
		t.Error("a certificate outlives its authority")
	}
}

func TestTwoAuthoritiesDoNotTrustEachOther(t *testing.T) {
	now := time.Now()
	one, err := NewAuthority("one", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewAuthority("one", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := one.Issue(Request{User: "drill"})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parse(t, other.Pair))
	if _, err := parse(t, pair).Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("a certificate of one sandbox opens another")
	}
}

func TestNewKeyGivesBothHalvesOfOneKey(t *testing.T) {
	pair, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	private, _ := pem.Decode(pair.Key)
	key, err := x509.ParseECPrivateKey(private.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := pem.Decode(pair.Cert)
	half, err := x509.ParsePKIXPublicKey(public.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !key.PublicKey.Equal(half) {
		t.Error("the public half belongs to another key")
	}
}
