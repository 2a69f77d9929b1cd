package spec

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// keyPair is a certificate and its key in PEM.
func keyPair(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1)}
	c, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestPEMFiles(t *testing.T) {
	cert, key := keyPair(t)
	_, other := keyPair(t)
	dir := tree(t, map[string]string{
		"main.yaml":      "include: [conf/a.yaml]\nadmin: {tls: {cert: api.crt, key: api.key, client_ca: api.crt}}\n",
		"conf/a.yaml":    "checks: {web: {type: https, ca: ca.pem}}\n", // relative to itself
		"conf/ca.pem":    cert,
		"api.crt":        cert,
		"api.key":        key,
		"conf/other.key": other,
	})
	file := filepath.Join(dir, "api.key")
	if runtime.GOOS != "windows" {
		want := "main.yaml:2:35: admin.tls.key: everybody can read the private key: chmod o-r api.key"
		if _, _, why := loadIn(t, dir); why != want {
			t.Errorf("got %s", why)
		}
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, watch, why := loadIn(t, dir)
	if why != "" {
		t.Fatal(why)
	}
	if s.Admin.TLS == nil || s.Admin.TLS.Key != file || s.Checks["web"].TLS.CA != filepath.Join(dir, "conf", "ca.pem") {
		t.Errorf("%+v %+v", s.Admin.TLS, s.Checks["web"])
	}
	// Certificates are watched, but the serial does not come from them.
	if want := []string{"api.crt", "api.key", "conf/a.yaml", "conf/ca.pem", "main.yaml"}; !slices.Equal(watch, want) || len(s.Files) != 2 {
		t.Errorf("watch %v, files %v", watch, s.Files)
	}
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, why := loadIn(t, dir); why != "main.yaml:2:35: admin.tls.key: private key does not match public key" {
		t.Error(why)
	}
	if err := os.WriteFile(filepath.Join(dir, "conf", "ca.pem"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, why := loadIn(t, dir); why != "conf/a.yaml:1:33: checks.web.ca: ca.pem holds no certificate" {
		t.Error(why)
	}
}

// TestDNSTLSFiles has the files of dns.tls in several states: each is watched,
// so that the state that is mended is seen.
func TestDNSTLSFiles(t *testing.T) {
	cert, key := keyPair(t)
	_, other := keyPair(t)
	dir := tree(t, map[string]string{
		"main.yaml":       "include: [dns/*.yaml]\n",
		"dns/a.yaml":      "dns: {tls: {cert: ns.crt, key: ns.key}}\n", // relative to itself
		"dns/b.yaml":      "dns: {tls: {listen: [\"[::1]:853\"]}}\n",
		"dns/ns.crt":      cert,
		"dns/ns.key":      key,
		"dns/another.key": other,
	})
	file := filepath.Join(dir, "dns", "ns.key")
	for _, c := range []struct {
		key  string
		mode os.FileMode
		want string
	}{
		{key, 0o644, "dns/a.yaml:1:32: dns.tls.key: everybody can read the private key: chmod o-r dns/ns.key"},
		{other, 0o600, "dns/a.yaml:1:32: dns.tls.key: private key does not match public key"},
		{cert, 0o600, "dns/a.yaml:1:32: dns.tls.key: found a certificate rather than a key in the PEM for the private key"},
		{"", 0o600, "dns/a.yaml:1:32: dns.tls.key: ns.key holds no PEM block (-----BEGIN ...)"},
		{key, 0o600, ""},
	} {
		if runtime.GOOS == "windows" && c.mode == 0o644 {
			continue
		}
		if err := os.WriteFile(file, []byte(c.key), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		s, watch, why := loadIn(t, dir)
		if why != c.want {
			t.Errorf("got %q, want %q", why, c.want)
		}
		if !slices.Contains(watch, "dns/ns.crt") || !slices.Contains(watch, "dns/ns.key") {
			t.Errorf("watched are %s", strings.Join(watch, ", "))
		}
		if c.want != "" {
			continue
		}
		tls := s.DNS.TLS
		if tls == nil || tls.Key != file || tls.Cert != filepath.Join(dir, "dns", "ns.crt") ||
			len(tls.Listen) != 1 || tls.Listen[0].String() != "[::1]:853" {
			t.Errorf("%+v", tls)
		}
	}
}
