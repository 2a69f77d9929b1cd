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
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var tlsLine = regexp.MustCompile(`msg="dns listens" address=127\.0\.0\.1:(\d+) transports=tls`)

// TestKdigTLS asks over TLS, and has the certificate verified.
func TestKdigTLS(t *testing.T) {
	kdig := program(t, "kdig")
	dir := t.TempDir()
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
	files := map[string]string{}
	for name, b := range map[string]*pem.Block{
		"ns.crt": {Type: "CERTIFICATE", Bytes: cert}, "ns.key": {Type: "PRIVATE KEY", Bytes: der},
	} {
		files[name] = filepath.Join(dir, name)
		if err := os.WriteFile(files[name], pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := serve(t, config(t, "dns: {listen: [127.0.0.1:0], tls: {listen: [127.0.0.1:0], cert: "+
		files["ns.crt"]+", key: "+files["ns.key"]+"}}\n"+zoneText()))
	// The line follows the one that serve waits for.
	var line []string
	for deadline := time.Now().Add(time.Minute); line == nil && time.Now().Before(deadline); {
		line = tlsLine.FindStringSubmatch(n.logs())
	}
	if line == nil {
		t.Fatalf("it does not listen for TLS:\n%s", n.logs())
	}
	out := output(t, kdig, "@127.0.0.1", "-p", line[1], "+tls-ca="+files["ns.crt"], "+tls-hostname=ns1.interop.test",
		"+keepopen", "www.interop.test", "A", "many.interop.test", "A")
	for _, w := range []string{"TLS session (TLS1.3)", "status: NOERROR", "192.0.2.1", "198.51.100.100"} {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
	if out := output(t, rhumb, "status", "--api", n.api); !strings.Contains(out, "127.0.0.1:"+line[1]) {
		t.Errorf("the status does not say where TLS is:\n%s", out)
	}
}
