package elchi

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/coredns/caddy"
)

// setUp sets a block up and starts nothing.
func setUp(text string) (*statement, error) {
	c := caddy.NewTestController("dns", text)
	c.ServerBlockKeys = []string{"dns://gslb.elchi.:53", "dns://lb.example.org.:53"}
	return parse(c)
}

// TestParse has every directive of the document.
func TestParse(t *testing.T) {
	s, err := setUp(`elchi {
		endpoint http://one:8080/ https://two:8443
		secret my-shared-secret
		node_ip 192.0.2.1
		ttl 60
		sync_interval 1m
		timeout 2s
		webhook
		regions asya avrupa
		tls_skip_verify
		data_dir /var/lib/elchi
		lane off
		fallthrough sub.gslb.elchi
	}`)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case len(s.zones) != 2, len(s.endpoints) != 2, s.secret != "my-shared-secret", s.nodeIP != "192.0.2.1", s.ttl != 60,
		s.interval.String() != "1m0s", s.timeout.String() != "2s", s.webhook != ":8053", strings.Join(s.regions, " ") != "asya avrupa",
		!s.client.config.InsecureSkipVerify, s.dataDir != "/var/lib/elchi", !s.noLane, !s.fall.Through("x.sub.gslb.elchi."), s.fall.Through("gslb.elchi."):
		t.Errorf("%+v", s)
	}
	s, err = setUp("elchi {\n endpoint http://one\n secret my-shared-secret\n regions all\n}")
	if err != nil {
		t.Fatal(err)
	}
	if s.ttl != 300 || s.interval.String() != "5m0s" || s.timeout.String() != "4s" || s.webhook != "" || s.regions != nil || s.noLane || len(s.fall.Zones) > 0 {
		t.Errorf("%+v", s)
	}
}

// TestSecretOfTheEnvironment has the secret of the document's Corefile for Kubernetes.
func TestSecretOfTheEnvironment(t *testing.T) {
	for value, want := range map[string]string{"of-the-environment": "of-the-environment", "": "${ELCHI_SECRET}", "short": "must be at least 8"} {
		t.Setenv("ELCHI_SECRET", value)
		s, err := setUp("elchi {\n endpoint http://one\n secret ${ELCHI_SECRET}\n}")
		if err != nil && !strings.Contains(err.Error(), want) || err == nil && s.secret != want {
			t.Errorf("%q: %+v %v", value, s, err)
		}
	}
}

// TestParseErrors has what is refused, with the line and the document's words.
func TestParseErrors(t *testing.T) {
	const ok = "endpoint http://one:8080\n secret my-shared-secret\n"
	for _, c := range []struct{ block, want string }{
		{"", ":3 - Error during parsing: endpoint is required"},
		{"endpoint http://one", ":3 - Error during parsing: secret is required"},
		{"endpoint http://one\n secret short", ":3 - Error during parsing: secret must be at least 8 characters long"},
		{"endpoint http://one ftp://one\n secret my-shared-secret", ":2 - Error during parsing: endpoint \"ftp://one\" is no URL of a controller"},
		{"endpoint one:8080\n secret my-shared-secret", ":2 - Error during parsing: endpoint \"one:8080\" is no URL"},
		{ok + "regions a,b\n ttl 30", ":4 - Error during parsing: region \"a,b\""},
		{"endpoint", ":2 - Error during parsing: Wrong argument count or unexpected line ending after 'endpoint'"},
		{"secret a b", ":2 - Error during parsing: Wrong argument count"},
		{ok + "lane", "Wrong argument count"},
		{ok + "lane fast", "lane is on or off, and not 'fast'"},
		{ok + "ttl 0", "ttl must be greater than 0"},
		{ok + "ttl many", "invalid ttl value:"},
		{ok + "ttl 2147483648", "ttl must be at most 2147483647"},
		{ok + "sync_interval 4s", "sync_interval must be at least 5s"},
		{ok + "sync_interval often", "invalid sync_interval:"},
		{ok + "timeout 999ms", "timeout must be at least 1s"},
		{ok + "timeout 5s\n sync_interval 5s", "sync_interval must be greater than timeout"},
		{ok + "webhook 8053", "invalid webhook address"},
		{ok + "regions", "Wrong argument count"},
		{ok + "tls_skip_verify yes", "Wrong argument count"},
		{ok + "webhook_tls a b", "webhook_tls"},
		{ok + "tls /none.pem", "tls: "},
		{ok + "tll 30", "unknown directive 'tll'"},
	} {
		_, err := setUp("elchi {\n " + c.block + "\n}")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "Testfile:") {
			t.Errorf("%q: %v, want %s", c.block, err, c.want)
		}
	}
	if _, err := setUp("elchi gslb.elchi {\n " + ok + "}"); err == nil || !strings.Contains(err.Error(), "the zones are those of the server block") {
		t.Error(err)
	}
	if _, err := setUp("elchi {\n " + ok + "}\nelchi {\n " + ok + "}"); err == nil {
		t.Error("two blocks were taken")
	}
	// What edge.New refuses comes with the file and the line as well.
	for _, bad := range []string{"endpoint http://one\n secret my\x01shared-secret"} {
		c := caddy.NewTestController("dns", "elchi {\n "+bad+"\n}")
		c.ServerBlockKeys = []string{"dns://gslb.elchi.:53"}
		if err := setup(c); err == nil || !strings.Contains(err.Error(), "plugin/elchi: Testfile:") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestFilesOfTLS has a file of TLS become another, which a reload is to notice.
func TestFilesOfTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	path := filepath.Join(t.TempDir(), "ca.pem")
	said := func(file []byte) wanted {
		t.Helper()
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := setUp("elchi {\n endpoint https://one\n secret my-shared-secret\n tls " + path + "\n}")
		if err != nil {
			t.Fatal(err)
		}
		return s.wanted()
	}
	first := said(ca)
	if !reflect.DeepEqual(first, said(ca)) {
		t.Error("the same is another")
	}
	if reflect.DeepEqual(first, said(append(ca, ca...))) {
		t.Error("it is not noticed")
	}
}
