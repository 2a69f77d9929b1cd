package admin_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/admin"
	"github.com/rhumb-dns/rhumb/api"
)

// The secrets of the tests, by role.
var secrets = map[string]string{
	"viewer": "0123456789-viewer", "operator": "0123456789-operator", "admin": "0123456789-admin",
}

// guarded is the configuration with a token of each role.
var guarded = fmt.Sprintf(`admin:
  tokens:
    - {name: mon, secret: %s, role: viewer}
    - {name: ops, secret: %s, role: operator}
    - {name: root, secret: %s, role: admin}
`, secrets["viewer"], secrets["operator"], secrets["admin"]) + configuration

func bearer(secret string) string { return "Authorization: Bearer " + secret }

// metric is the value of a series as /metrics has it.
func (n *node) metric(series string) string {
	n.t.Helper()
	b, err := io.ReadAll(n.ask("GET", "/metrics", "", bearer(secrets["viewer"])).Body)
	if err != nil {
		n.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

// roles says who may do what. A new route is not served before it is here.
var roles = map[string]string{
	"GET /api/v1/live":                             "none",
	"GET /api/v1/ready":                            "none",
	"GET /api/v1/version":                          "viewer",
	"GET /api/v1/status":                           "viewer",
	"GET /api/v1/health/servers":                   "viewer",
	"GET /api/v1/top":                              "viewer",
	"GET /api/v1/health/regions":                   "viewer",
	"GET /api/v1/pools":                            "viewer",
	"POST /api/v1/pools/{pool}/failback":           "operator",
	"GET /api/v1/services":                         "viewer",
	"GET /api/v1/explain":                          "viewer",
	"GET /api/v1/geo":                              "viewer",
	"GET /api/v1/geo/lookup":                       "viewer",
	"GET /api/v1/overrides":                        "viewer",
	"GET /api/v1/overrides/{service}/{address}":    "viewer",
	"GET /api/v1/loads":                            "viewer",
	"GET /api/v1/loads/{address}":                  "viewer",
	"GET /api/v1/results":                          "viewer",
	"GET /api/v1/results/{check}/{address}":        "viewer",
	"PUT /api/v1/results/{check}/{address}":        "operator",
	"DELETE /api/v1/results/{check}/{address}":     "operator",
	"GET /api/v1/openapi.json":                     "viewer",
	"GET /api/v1/metrics":                          "viewer",
	"GET /metrics":                                 "viewer",
	"PUT /api/v1/overrides/{service}/{address}":    "operator",
	"DELETE /api/v1/overrides/{service}/{address}": "operator",
	"GET /api/v1/maintenance":                      "viewer",
	"GET /api/v1/maintenance/{id}":                 "viewer",
	"GET /api/v1/audit":                            "viewer",
	"GET /api/v1/history":                          "viewer",
	"GET /api/v1/events":                           "viewer",
	"GET /api/v1/notify":                           "viewer",
	"POST /api/v1/notify/{name}/test":              "operator",
	"POST /api/v1/maintenance":                     "operator",
	"DELETE /api/v1/maintenance/{id}":              "operator",
	"PUT /api/v1/loads":                            "operator",
	"PUT /api/v1/loads/{address}":                  "operator",
	"DELETE /api/v1/loads/{address}":               "operator",
	"POST /api/v1/reload":                          "operator",
	"GET /dns/snapshot":                            "none", // TestEdgeProtocol has their secret
	"GET /dns/changes":                             "none",
	"GET /dns/events":                              "none",
	"GET /debug/pprof/":                            "admin",
	"GET /debug/pprof/cmdline":                     "admin",
	"GET /debug/pprof/profile":                     "admin",
	"GET /debug/pprof/symbol":                      "admin",
	"POST /debug/pprof/symbol":                     "admin",
	"GET /debug/pprof/trace":                       "admin",
	"GET /debug/pprof/{profile}":                   "admin",
	"GET /nothing":                                 "viewer", // what there is not
	"GET /debug/pprof":                             "admin",
	"GET /api/v1/reload":                           "viewer", // a method that is not taken
	"POST /metrics":                                "viewer",
}

// TestRoles asks everything that is served as everybody.
func TestRoles(t *testing.T) {
	for _, served := range admin.Served() {
		at := strings.LastIndexByte(served, ' ')
		if want, ok := roles[served[:at]]; !ok || want != served[at+1:] {
			t.Errorf("%s: this test has the role %q for it", served, want)
		}
	}
	n := newNode(t, guarded)
	rank := map[string]int{"none": 0, "viewer": 1, "operator": 2, "admin": 3}
	for request, need := range roles {
		method, path, _ := strings.Cut(request, " ")
		path = strings.NewReplacer("{service}", "www.gslb.example.com", "{address}", "192.0.2.10", "{profile}", "heap").Replace(path)
		if path == "/debug/pprof/profile" || path == "/debug/pprof/trace" {
			path += "?seconds=none" // as far as whoever may ask comes, and no further
		}
		if path == "/api/v1/events" {
			path += "?after=none" // likewise
		}
		if path == "/api/v1/top" {
			path += "?window=0s" // without waiting
		}
		for who, level := range rank {
			for _, method := range []string{method, http.MethodHead} {
				if method == http.MethodHead && !strings.HasPrefix(request, "GET ") {
					continue
				}
				headers := []string{}
				if who != "none" {
					headers = append(headers, bearer(secrets[who]))
				}
				resp := n.ask(method, path, "", headers...)
				challenge := resp.Header.Get("WWW-Authenticate")
				switch {
				case level >= rank[need]:
					if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden || challenge != "" {
						t.Errorf("%s %s as %s: %s", method, path, who, resp.Status)
					}
				case who == "none":
					if all := resp.Header.Values("WWW-Authenticate"); fmt.Sprintf("%q", all) != `["Bearer realm=\"rhumb\"" "Basic realm=\"rhumb\", charset=\"UTF-8\""]` {
						t.Errorf("%s %s: WWW-Authenticate %q", method, path, all)
					}
					want := "a token is needed, as Authorization: Bearer SECRET"
					if got := refused(t, resp, http.StatusUnauthorized); got != want {
						t.Errorf("%s %s as %s: %s", method, path, who, got)
					}
				default:
					name := map[string]string{"viewer": "mon", "operator": "ops"}[who]
					want := fmt.Sprintf("the role %s is needed; the token %q has the role %s", need, name, who)
					if got := refused(t, resp, http.StatusForbidden); got != want || !strings.Contains(challenge, `error="insufficient_scope", scope="`+need+`"`) {
						t.Errorf("%s %s as %s: %s, WWW-Authenticate %s", method, path, who, got, challenge)
					}
				}
			}
		}
	}
	if got := n.metric(`rhumb_admin_tokens_refused_total{reason="missing"}`); got == "0" || got == "none" {
		t.Errorf("%s requests without a token", got)
	}
	if got := n.metric(`rhumb_admin_tokens_refused_total{reason="role"}`); got == "0" || got == "none" {
		t.Errorf("%s requests with too low a role", got)
	}
	if got := n.metric(`rhumb_admin_tokens_refused_total{reason="wrong"}`); got != "0" {
		t.Errorf("%s wrong tokens", got)
	}
}

func TestHowATokenIsStated(t *testing.T) {
	n := newNode(t, guarded)
	basic := func(user, password string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	secret := secrets["viewer"]
	for header, want := range map[string]int{
		bearer(secret):                          200,
		"Authorization: bearer  " + secret:      200,
		basic("", secret):                       200,
		basic("anybody", secret):                200,
		basic(secret, ""):                       401,
		basic(secret, "x"):                      401,
		bearer(""):                              401,
		"Authorization: " + secret:              401,
		"Authorization: Digest " + secret:       401,
		"Authorization: Basic " + secret:        401,
		bearer(secret + "x"):                    401,
		bearer(secret[:len(secret)-1]):          401,
		bearer(strings.ToUpper(secret)):         401,
		bearer("mon"):                           401,
		"X-Api-Key: " + secret:                  401,
		"Cookie: token=" + secret:               401,
		"Proxy-Authorization: Bearer " + secret: 401,
	} {
		if resp := n.ask("GET", "/api/v1/status", "", header); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", header, resp.Status, want)
		}
	}
	if resp := n.ask("GET", "/api/v1/status?token="+secret, ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("in the query, which is logged on the way: %s", resp.Status)
	}
	r := httptest.NewRequest("GET", "http://127.0.0.1/api/v1/status", nil)
	r.RemoteAddr = "127.0.0.1:1"
	r.Header["Authorization"] = []string{"Bearer " + secret, "Bearer x"}
	w := httptest.NewRecorder()
	if n.handler.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
		t.Errorf("two at once: %d", w.Code)
	}
}

// A token lets nobody in whom the networks keep out.
func TestTokensAndNetworks(t *testing.T) {
	n := newNode(t, guarded)
	refused(t, n.ask("GET", "/api/v1/status", "", "From: 203.0.113.1:1", bearer(secrets["admin"])), http.StatusForbidden)
	refused(t, n.ask("GET", "http://evil.example/api/v1/status", "", bearer(secrets["admin"])), http.StatusForbidden)
	refused(t, n.ask("POST", "/api/v1/reload", "", "Sec-Fetch-Site: cross-site", bearer(secrets["admin"])), http.StatusForbidden)
}

func TestTokensFollowReload(t *testing.T) {
	n := newNode(t, configuration)
	status := func() int { return n.ask("GET", "/api/v1/status", "", bearer(secrets["viewer"])).StatusCode }
	reload := func() int { return n.ask("POST", "/api/v1/reload", "", bearer(secrets["viewer"])).StatusCode }
	if status() != http.StatusOK || reload() != http.StatusOK {
		t.Error("without tokens one that is stated counts for nothing")
	}
	n.configure(guarded)
	if status() != http.StatusOK || reload() != http.StatusForbidden {
		t.Error("tokens are not in force")
	}
	n.configure(strings.Replace(guarded, "viewer}", "operator}", 1))
	if status() != http.StatusOK || reload() != http.StatusOK {
		t.Error("the new role is not in force")
	}
	n.configure(strings.Replace(guarded, secrets["viewer"], "another-"+secrets["viewer"], 1))
	if status() != http.StatusUnauthorized {
		t.Error("the old secret is still good")
	}
	n.configure(configuration)
	if status() != http.StatusOK || reload() != http.StatusOK {
		t.Error("tokens are still in force")
	}
}

// What a node says of its readiness to everybody has nothing of its files.
func TestReadyForEverybody(t *testing.T) {
	n := newNode(t, guarded)
	n.process.condition.ReloadError = "rhumb.yaml:1:1: dns: wrong"
	for header, told := range map[string]bool{"X: y": false, bearer("no-such-token-here"): false, bearer(secrets["viewer"]): true} {
		r := decode[api.Ready](t, n.ask("GET", "/api/v1/ready", "", header), http.StatusOK)
		if !r.Ready || r.Config.OK || r.Config.LoadedAt.IsZero() || (r.Config.File != "") != told || (r.Config.Error != "") != told {
			t.Errorf("%s: %+v", header, r)
		}
	}
}

// Without tokens everybody who is let in is an operator; admins are those who
// are on this machine, or have shown a certificate.
func TestWithoutTokens(t *testing.T) {
	const open = `admin: {listen: "0.0.0.0:8080", allowed_networks: [127.0.0.0/8, "::1/128", 192.0.2.0/24]}`
	n := newNode(t, open)
	for _, c := range []struct {
		from, host string
		want       int
	}{
		{"127.0.0.1:1", "127.0.0.1", 200},
		{"127.9.9.9:1", "localhost:8080", 200},
		{"[::1]:1", "[::1]:8080", 200},
		{"[::ffff:127.0.0.1]:1", "127.0.0.1", 200},
		{"192.0.2.1:1", "127.0.0.1", 403},
		{"127.0.0.1:1", "evil.example", 403}, // a page that had its name pointed here
	} {
		resp := n.ask("GET", "http://"+c.host+"/debug/pprof/heap", "", "From: "+c.from)
		if resp.StatusCode != c.want {
			t.Errorf("%+v: %s", c, resp.Status)
		}
		if c.want == http.StatusForbidden {
			want := "the role admin is needed; without admin.tokens only clients on the node's machine have it, and those with a certificate of admin.tls.client_ca"
			if got := refused(t, resp, http.StatusForbidden); got != want {
				t.Error(got)
			}
		}
		if resp := n.ask("POST", "http://"+c.host+"/api/v1/reload", "", "From: "+c.from); resp.StatusCode != http.StatusOK {
			t.Errorf("%+v: reload: %s", c, resp.Status)
		}
	}
	refused(t, newNode(t, "").ask("POST", "/api/v1/reload", ""), http.StatusForbidden) // before any configuration
}

func TestCertificates(t *testing.T) {
	ask := func(config string, state *tls.ConnectionState) int {
		n := newNode(t, config)
		r := httptest.NewRequest("GET", "https://ns1.example/debug/pprof/heap", nil)
		r.RemoteAddr, r.TLS = "192.0.2.1:1", state
		w := httptest.NewRecorder()
		n.handler.ServeHTTP(w, r)
		return w.Code
	}
	cert := filepath.Join(t.TempDir(), "api")
	writePair(t, cert)
	const open = `admin: {listen: "0.0.0.0:8080", allowed_networks: [192.0.2.0/24], tls: {cert: %[1]s.crt, key: %[1]s.key%[2]s}%[3]s}`
	shown := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
	verified := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	ca, tokens := ", client_ca: "+cert+".crt", ", tokens: [{name: a, secret: 0123456789abcdef, role: viewer}]"
	for _, c := range []struct {
		config string
		state  *tls.ConnectionState
		want   int
	}{
		{fmt.Sprintf(open, cert, ca, ""), verified, 200},
		{fmt.Sprintf(open, cert, ca, ""), shown, 403},
		{fmt.Sprintf(open, cert, ca, ""), nil, 403},
		{fmt.Sprintf(open, cert, "", ""), verified, 403}, // from before a reload
		{fmt.Sprintf(open, cert, ca, tokens), verified, 401},
	} {
		if got := ask(c.config, c.state); got != c.want {
			t.Errorf("%s %+v: %d, want %d", c.config, c.state, got, c.want)
		}
	}
}

func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, guarded)
		guess := func(from string) *http.Response {
			return n.ask("GET", "/api/v1/status", "", bearer("a-wrong-secret-that-nobody-has"), "From: "+from)
		}
		const from = "127.0.0.1:1"
		for i := range 10 {
			resp := guess(from)
			if got := resp.Header.Values("WWW-Authenticate"); len(got) != 2 || got[0] != `Bearer realm="rhumb", error="invalid_token"` {
				t.Errorf("WWW-Authenticate: %q", got)
			}
			if got := refused(t, resp, http.StatusUnauthorized); got != "the token is none of this node's" {
				t.Errorf("guess %d: %s", i, got)
			}
		}
		for range 20 {
			resp := guess(from)
			if resp.Header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
			}
			refused(t, resp, http.StatusTooManyRequests)
		}
		// Neither is a right one looked at, or the limit would tell which it is.
		refused(t, n.ask("GET", "/api/v1/status", "", bearer(secrets["admin"])), http.StatusTooManyRequests)
		// What needs no token is answered, and what has none is told so.
		if resp := n.ask("GET", "/api/v1/live", "", bearer("a-wrong-secret-that-nobody-has")); resp.StatusCode != http.StatusOK {
			t.Error(resp.Status)
		}
		refused(t, n.ask("GET", "/api/v1/status", ""), http.StatusUnauthorized)
		// Others are not kept waiting.
		refused(t, guess("[::1]:1"), http.StatusUnauthorized)

		time.Sleep(time.Second) // of the bubble
		if resp := n.ask("GET", "/api/v1/status", "", bearer(secrets["viewer"])); resp.StatusCode != http.StatusOK {
			t.Errorf("after a second: %s", resp.Status)
		}
		refused(t, guess(from), http.StatusUnauthorized)
		refused(t, guess(from), http.StatusTooManyRequests)
		time.Sleep(time.Hour) // of the bubble
		for range 10 {
			refused(t, guess(from), http.StatusUnauthorized)
		}
		refused(t, guess(from), http.StatusTooManyRequests)
		time.Sleep(time.Second) // of the bubble

		for reason, want := range map[string]string{"wrong": "22", "limited": "24", "missing": "1", "role": "0"} {
			if got := n.metric(`rhumb_admin_tokens_refused_total{reason="` + reason + `"}`); got != want {
				t.Errorf("%s: %s, want %s", reason, got, want)
			}
		}
		// One line at the first, one an hour later for all since.
		lines := strings.Split(strings.TrimSpace(n.said.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "from=127.0.0.1 since_last=1") || !strings.Contains(lines[1], "since_last=12") {
			t.Errorf("the log has\n%s", n.said.String())
		}
		if strings.Contains(n.said.String(), "secret") {
			t.Error("the log has the secret")
		}
	})
}

// However many guess at once, and from however many addresses of one IPv6
// network, no more than the first ten are looked at.
func TestGuessingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, strings.Replace(guarded, "admin:\n", "admin:\n  allowed_networks: [\"2001:db8::/32\"]\n", 1))
		var looked, refused atomic.Int64
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				switch n.ask("GET", "/metrics", "", fmt.Sprintf("From: [2001:db8::%x]:1", i), bearer("wrong")).StatusCode {
				case http.StatusUnauthorized:
					looked.Add(1)
				case http.StatusTooManyRequests:
					refused.Add(1)
				}
			})
		}
		all.Wait()
		if looked.Load() != 10 || refused.Load() != 190 {
			t.Errorf("%d looked at, %d refused", looked.Load(), refused.Load())
		}
	})
}

// FuzzAuthorization lets nobody in by a header that does not hold the secret, as
// it is or in base64.
func FuzzAuthorization(f *testing.F) {
	secret := secrets["viewer"]
	for _, header := range []string{
		"Bearer " + secret, "bearer  " + secret, "Bearer", "Bearer ", " ", "Basic", "Basic Og==", "Basic =", "Digest x",
		"Basic " + base64.StdEncoding.EncodeToString([]byte(":"+secret)),
	} {
		f.Add(header)
	}
	n := newNode(f, guarded)
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest("GET", "http://127.0.0.1/api/v1/version", nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header["Authorization"] = []string{header}
		w := httptest.NewRecorder()
		n.handler.ServeHTTP(w, r)
		_, coded, _ := strings.Cut(header, " ")
		plain, _ := base64.StdEncoding.DecodeString(coded)
		switch w.Code {
		case http.StatusOK:
			if !strings.Contains(header, secret) && !strings.Contains(string(plain), secret) {
				t.Errorf("%q is let in", header)
			}
		case http.StatusUnauthorized, http.StatusTooManyRequests:
		default:
			t.Errorf("%q: %d", header, w.Code)
		}
	})
}
