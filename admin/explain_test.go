package admin_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
)

// What the engine traces and what api.Explanation takes are the same JSON:
// strict decoding finds nothing new, and writing it again loses nothing.
func TestExplainAgreesWithTheClient(t *testing.T) {
	n := newNode(t, configuration).probed()
	set(t, n, "www.gslb.example.com", "192.0.2.10", false)
	for _, query := range []string{
		"name=www.gslb.example.com", "name=www.gslb.example.com&type=AAAA&client=2001:db8::1&subnet=2001:db8::/48",
		"name=web.gslb.example.com", "name=api.gslb.example.com", "name=cdn.gslb.example.com", "name=www.gslb.example.com&type=MX",
		"name=gslb.example.com&type=SOA", "name=none.gslb.example.com", "name=nowhere.test", "name=a.any.gslb.example.com",
	} {
		b, err := io.ReadAll(n.ask("GET", "/api/v1/explain?"+query, "").Body)
		if err != nil {
			t.Fatal(err)
		}
		var e api.Explanation
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			t.Errorf("%s: %v\n%s", query, err, b)
			continue
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != strings.TrimSpace(string(b)) {
			t.Errorf("%s:\n%s\nbecomes\n%s", query, b, again)
		}
	}
}

func TestExplain(t *testing.T) {
	n := newNode(t, configuration).probed()
	e := decode[api.Explanation](t, n.ask("GET", "/api/v1/explain?name=WWW.gslb.example.com&client=::ffff:192.0.2.1", ""), http.StatusOK)
	if e.Zone != "gslb.example.com." || e.Client != "192.0.2.1" || e.RCode != "NOERROR" || e.TTL != 20 ||
		len(e.Answers) != 1 || e.Answers[0] != "A 192.0.2.10" || len(e.Endpoints) != 4 {
		t.Errorf("%+v", e)
	}
}

func TestExplainRefuses(t *testing.T) {
	n := newNode(t, configuration)
	for query, want := range map[string]string{
		"":                                   "name: the parameter is missing",
		"name=a..b":                          `bad question: name: empty label in "a..b"`,
		"name=www.example.org&type=X":        `bad question: type: no record type "X"`,
		"name=www.example.org&client=me":     `client: "me" is not an IP address`,
		"name=www.example.org&subnet=::1":    `subnet: "::1" is not a network, such as 192.0.2.0/24 or 2001:db8::/56`,
		"name=www.example.org&kind=A":        `query: no parameter "kind"; there are name, type, client, subnet`,
		"name=www.example.org&name=":         "query: name is there twice",
		"name=" + strings.Repeat("a.", 200):  "bad question: name: name is longer than 255 bytes",
		"name=" + strings.Repeat("a", 64):    `bad question: name: label "` + strings.Repeat("a", 64) + `" is longer than 63 bytes`,
		"name=x&subnet=::ffff:192.0.2.0/120": `subnet: "::ffff:192.0.2.0/120" is not a network, such as 192.0.2.0/24 or 2001:db8::/56`,
	} {
		if got := refused(t, n.ask("GET", "/api/v1/explain?"+query, ""), http.StatusBadRequest); got != want {
			t.Errorf("%s: %s\nwant %s", query, got, want)
		}
	}
}

// FuzzExplainQuery: whatever the query is, the answer is an explanation or a
// refusal, whole and as described, and never a failure.
func FuzzExplainQuery(f *testing.F) {
	for _, q := range []string{
		"", "name=www.gslb.example.com", "name=www.gslb.example.com&type=AAAA&client=::1&subnet=10.0.0.0/8",
		"name=%00&type=TYPE65535", "name=.&type=ANY", "name=*.any.gslb.example.com", `name=\255.gslb.example.com&type=OPT`,
		"name=a&name=b", "name=%zz", ";", "name=gslb.example.com&type=AXFR", "name=x.any.gslb.example.com&client=fe80::1%25eth0",
		"name=www.gslb.example.com&subnet=::/0", "name=www.gslb.example.com&subnet=1.2.3.4/33", "name=ns1.gslb.example.com&type=TSIG",
	} {
		f.Add(q)
	}
	n := newNode(f, configuration)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "http://127.0.0.1/api/v1/explain", nil)
		r.URL = &url.URL{Scheme: "http", Host: "127.0.0.1", Path: "/api/v1/explain", RawQuery: query}
		r.RemoteAddr = "127.0.0.1:1"
		w := httptest.NewRecorder()
		n.handler.ServeHTTP(w, r)
		switch resp := w.Result(); resp.StatusCode {
		case http.StatusOK:
			if e := decode[api.Explanation](t, resp, http.StatusOK); e.RCode == "" || e.Steps == nil || e.Answers == nil {
				t.Errorf("%q: %+v", query, e)
			}
		default:
			refused(t, resp, http.StatusBadRequest)
		}
	})
}
