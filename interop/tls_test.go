//go:build unix

package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var tlsLine = regexp.MustCompile(`msg="dns listens" address=127\.0\.0\.1:(\d+) transports=tls`)

// certificate makes a certificate for ns1.interop.test, which signs itself, and
// its key.
func certificate(t *testing.T) (crt, secret string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		// kdig wants a subject.
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ns1"}, DNSNames: []string{"ns1.interop.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, b *pem.Block) string {
		return write(t, filepath.Join(dir, name), string(pem.EncodeToMemory(b)))
	}
	return file("ns.crt", &pem.Block{Type: "CERTIFICATE", Bytes: cert}), file("ns.key", &pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// tlsPort is where the node listens for TLS.
func (n *node) tlsPort() string {
	n.t.Helper()
	// The line follows the one that serve waits for.
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if line := tlsLine.FindStringSubmatch(n.logs()); line != nil {
			return line[1]
		}
	}
	n.t.Fatalf("it does not listen for TLS:\n%s", n.logs())
	return ""
}

// TestKdigTLS asks over TLS, and has the certificate verified.
func TestKdigTLS(t *testing.T) {
	kdig := program(t, "kdig")
	crt, key := certificate(t)
	n := serve(t, config(t, "dns: {listen: [127.0.0.1:0], tls: {listen: [127.0.0.1:0], cert: "+crt+", key: "+key+"}}\n"+zoneText()))
	port := n.tlsPort()
	out := output(t, kdig, "@127.0.0.1", "-p", port, "+tls-ca="+crt, "+tls-hostname=ns1.interop.test",
		"+keepopen", "www.interop.test", "A", "many.interop.test", "A")
	for _, w := range []string{"TLS session (TLS1.3)", "status: NOERROR", "192.0.2.1", "198.51.100.100"} {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
	if out := output(t, rhumb, "status", "--api", n.api); !strings.Contains(out, "127.0.0.1:"+port) {
		t.Errorf("the status does not say where TLS is:\n%s", out)
	}
}
