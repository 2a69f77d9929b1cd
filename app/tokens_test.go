package app_test

import (
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/app"
)

// TestTokensOverTLS takes a profile as an administrator does, over HTTP/2, and
// changes the secret while the node runs.
func TestTokensOverTLS(t *testing.T) {
	dir := t.TempDir()
	app.WritePair(t, dir, 1)
	config, secret := filepath.Join(dir, "rhumb.yaml"), filepath.Join(dir, "root.token")
	write(t, secret, "the-first-secret-of-root\n")
	write(t, config, "dns: {listen: [127.0.0.1:0]}\nadmin:\n  listen: 127.0.0.1:0\n  tls: {cert: ns.crt, key: ns.key}\n"+
		"  tokens: [{name: root, secret_file: root.token, role: admin}, {name: mon, secret: the-secret-of-monitoring, role: viewer}]\n"+
		fmt.Sprintf(staticZone, "192.0.2.1"))
	n := start(t, config)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	heap := func(token string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+n.AdminAddr().String()+"/debug/pprof/heap", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	resp := heap("the-first-secret-of-root")
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Fatalf("%s %s", resp.Proto, resp.Status)
	}
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || !strings.Contains(string(b), "inuse_space") {
		t.Errorf("no profile: %v, %d bytes", err, len(b))
	}
	if resp := heap("the-secret-of-monitoring"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer: %s", resp.Status)
	}

	write(t, secret, "another-secret-of-root\n")
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if resp := heap("another-secret-of-root"); resp.StatusCode != http.StatusOK {
		t.Errorf("the new secret: %s", resp.Status)
	}
	if resp := heap("the-first-secret-of-root"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old secret: %s", resp.Status)
	}
	if log := n.log.String(); strings.Contains(log, "-of-root") || strings.Contains(log, "-of-monitoring") {
		t.Errorf("a secret is in the log:\n%s", log)
	}
}
