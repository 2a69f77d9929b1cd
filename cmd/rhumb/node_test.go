package main

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTLS asks a node whose certificate no system knows.
func TestTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"overrides":[{"service":"www.a.example.","address":"192.0.2.1"}],"total":1}`)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that does not trust it
	srv.StartTLS()
	defer srv.Close()
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	empty := file("empty.pem", nil)

	for _, c := range []struct {
		flags []string
		code  int
		said  string
	}{
		{[]string{"--cacert", ca}, 0, ""},
		{nil, exitFailure, "certificate"},
		{[]string{"--cacert", empty}, exitFailure, "--cacert: " + empty + " holds no PEM certificate"},
		{[]string{"--cacert", filepath.Join(dir, "none")}, exitFailure, "--cacert: open "},
		{[]string{"--cert", ca, "--key", empty}, exitFailure, "--cert, --key: "},
	} {
		var out, said bytes.Buffer
		cli := &cli{out: page{w: &out}, err: &said, now: time.Now}
		code := cli.run(append([]string{"overrides", "--api", srv.URL}, c.flags...))
		if code != c.code || !strings.Contains(said.String(), c.said) || (code == 0) != strings.Contains(out.String(), "192.0.2.1") {
			t.Errorf("%q: exit code %d\n%s%s", c.flags, code, out.String(), said.String())
		}
	}
}
