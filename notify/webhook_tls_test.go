package notify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// issue makes a certificate and its key in files, signed by the one before it or by itself.
func issue(t *testing.T, name string, by *tls.Certificate) (cert *tls.Certificate, file, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IsCA: by == nil, BasicConstraintsValid: true,
	}
	parent, signer := c, crypto.PrivateKey(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	file, keyFile = filepath.Join(t.TempDir(), name+".crt"), filepath.Join(t.TempDir(), name+".key")
	for path, text := range map[string][]byte{file: certText, keyFile: keyText} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		t.Fatal(err)
	}
	return &made, file, keyFile
}

// Over TLS a delivery goes to whom the authority of ca has signed for the name, and
// shows the certificate of cert to who asks for one.
func TestWebhookTLS(t *testing.T) {
	authority, ca, _ := issue(t, "authority", nil)
	_, otherCA, _ := issue(t, "another", nil)
	server, _, _ := issue(t, "hooks.example.com", authority)
	_, cert, key := issue(t, "rhumb", authority)
	pool := x509.NewCertPool()
	pool.AddCert(authority.Leaf)
	taken := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got := r.TLS.PeerCertificates[0].Subject.CommonName; got != "rhumb" {
			t.Errorf("the certificate of %s", got)
		}
		taken++
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	for _, c := range []struct {
		name string
		o    spec.Secure
		want string // of the error; "" when it is taken
	}{
		{"all of it", spec.Secure{Verify: true, CA: ca, SNI: "hooks.example.com", Cert: cert, Key: key}, ""},
		{"whoever it is", spec.Secure{Cert: cert, Key: key}, ""},
		{"the address is not in the certificate", spec.Secure{Verify: true, CA: ca, Cert: cert, Key: key}, "certificate"},
		{"another authority", spec.Secure{Verify: true, CA: otherCA, SNI: "hooks.example.com", Cert: cert, Key: key}, "unknown authority"},
		{"those of the system", spec.Secure{Verify: true, SNI: "hooks.example.com", Cert: cert, Key: key}, "unknown authority"},
		{"no certificate", spec.Secure{Verify: true, CA: ca, SNI: "hooks.example.com"}, "certificate required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := newWebhook(&spec.Webhook{URL: s.URL + "/secret", TLS: &c.o}, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			before := taken
			_, err = w.send(t.Context(), testDelivery(t))
			switch {
			case c.want == "" && (err != nil || taken != before+1):
				t.Errorf("%d taken, %v", taken-before, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || taken != before):
				t.Errorf("%d taken, %v", taken-before, err)
			}
		})
	}
	for _, o := range []spec.Secure{{CA: key}, {CA: ca + ".gone"}, {Cert: cert, Key: ca}} {
		if _, err := newWebhook(&spec.Webhook{URL: s.URL, TLS: &o}, 10*time.Second); err == nil {
			t.Errorf("made of %+v", o)
		}
	}
}
