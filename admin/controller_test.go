package admin_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/admin"
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
)

// told is a configuration whose zones edges are told of.
const told = `pools:
  eu: {place: {region: eu-west, country: IE}, endpoints: [192.0.2.10, 192.0.2.11]}
  us: {place: {region: us-east, country: US}, endpoints: [198.51.100.10]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [eu, us], steer: geo, ttl: 20}
  example.org:
    nameservers: {ns1: 192.0.2.53}
    services: {www: {pools: [us]}}
controller:
  secret: shared-with-edges
  zones: [gslb.example.com]
`

const sharedSecret = "X-Elchi-Secret: shared-with-edges"

// controlling is a node that computes what edges are told until the test ends.
func controlling(t testing.TB, config string) *node {
	t.Helper()
	n := newNode(t, config)
	n.tell(config)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- n.edges.Run(ctx) }()
	go func() { ended <- n.engine.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return n
}

// TestEdgeNotFed: an edge that is a controller has nothing to tell before it is told.
func TestEdgeNotFed(t *testing.T) {
	n := controlling(t, `
zones: {gslb.example.com: {nameservers: {ns1: 192.0.2.53}}}
sources: [{controller: {endpoint: http://192.0.2.1, secret: shared-with-edges, zone: gslb.example.com}}]
controller: {secret: shared-with-edges, zones: [gslb.example.com]}
`)
	for _, target := range []string{"/dns/snapshot?zone=gslb.example.com", "/dns/changes?zone=gslb.example.com&since=1"} {
		r := n.ask("GET", target, "", sharedSecret)
		if r.Header.Get("Retry-After") == "" {
			t.Error("it does not say when to ask again")
		}
		if got := refused(t, r, 503); !strings.Contains(got, "the records of gslb.example.com have not come yet") {
			t.Error(got)
		}
	}
}

// tell puts in force what edges are told.
func (n *node) tell(config string) {
	n.t.Helper()
	s, err := spec.Parse("test.yaml", []byte(config))
	if err != nil {
		n.t.Fatal(err)
	}
	change, err := n.edges.Prepare(s)
	if err != nil {
		n.t.Fatal(err)
	}
	n.edges.Apply(change)
}

// TestEdgeProtocol is the conversation of an edge as elchi-gslb documents it.
func TestEdgeProtocol(t *testing.T) {
	n := controlling(t, told)
	ask := func(target string, headers ...string) *http.Response {
		return n.ask("GET", target, "", append([]string{sharedSecret, "Accept: application/json"}, headers...)...)
	}
	first := decode[api.Snapshot](t, ask("/dns/snapshot?zone=gslb.example.com&node_ip=192.0.2.200"), 200)
	want := `{gslb.example.com ` + first.VersionHash + ` [{www.gslb.example.com A 20 [192.0.2.10 192.0.2.11 198.51.100.10] <nil> } {ns1.gslb.example.com A 3600 [192.0.2.53] <nil> }]}`
	if got := fmt.Sprint(first); got != want || first.VersionHash == "" {
		t.Errorf("a snapshot is\n%s, want\n%s", got, want)
	}
	eu := decode[api.Snapshot](t, ask("/dns/snapshot?zone=GSLB.example.com.&regions=eu-west"), 200)
	if got := fmt.Sprint(eu.Records[0].IPs); got != "[192.0.2.10 192.0.2.11]" || eu.VersionHash == first.VersionHash {
		t.Errorf("in eu-west %s, version %s", got, eu.VersionHash)
	}
	for _, regions := range []string{"us-east,eu-west", "us-east%2C+eu-west,us-east", ",us-east,,eu-west,"} {
		both := decode[api.Snapshot](t, ask("/dns/snapshot?zone=gslb.example.com&regions="+regions), 200)
		if got := fmt.Sprint(both.Records[0].IPs); got != "[198.51.100.10 192.0.2.10 192.0.2.11]" || both.VersionHash != first.VersionHash {
			t.Errorf("in both regions %s, version %s", got, both.VersionHash)
		}
	}
	if all := decode[api.Snapshot](t, ask("/dns/snapshot?zone=gslb.example.com&regions=all"), 200); all.VersionHash != first.VersionHash {
		t.Error("all is taken for the name of a region")
	}

	resp := ask("/dns/changes?zone=gslb.example.com&since=" + first.VersionHash)
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || strings.TrimSpace(string(b)) != `{"unchanged":true}` {
		t.Errorf("nothing has changed: %d %s", resp.StatusCode, b)
	}
	changes := decode[api.Changes](t, ask("/dns/changes?zone=gslb.example.com&since=another"), 200)
	if changes.Unchanged || fmt.Sprint(changes.Snapshot) != fmt.Sprint(first) {
		t.Errorf("since another version: %+v", changes)
	}
	for _, target := range []string{"/dns/snapshot?zone=gslb.example.com", "/dns/changes?zone=gslb.example.com&since=another", "/dns/changes?zone=gslb.example.com&since=" + first.VersionHash} {
		tag := ask(target).Header.Get("ETag")
		for _, stated := range []string{tag, `"x", ` + tag, strings.TrimPrefix(tag, "W/"), "*"} {
			resp := ask(target, "If-None-Match: "+stated)
			if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 304 || len(b) > 0 {
				t.Errorf("%s If-None-Match %s: %d %s", target, stated, resp.StatusCode, b)
			}
		}
		if resp := ask(target, `If-None-Match: W/"x"`); resp.StatusCode != 200 {
			t.Errorf("%s with another tag: %d", target, resp.StatusCode)
		}
	}
	if err := n.engine.Override(overriding("www.gslb.example.com", "192.0.2.10")); err != nil {
		t.Fatal(err)
	}
	changes = decode[api.Changes](t, ask("/dns/changes?zone=gslb.example.com&since="+first.VersionHash), 200)
	if got := fmt.Sprint(changes.Records[0].IPs); got != "[192.0.2.11 198.51.100.10]" {
		t.Errorf("after an override %s", got)
	}

	for _, c := range []struct {
		status  int
		target  string
		headers []string
		detail  string
	}{
		{400, "/dns/snapshot", []string{sharedSecret}, "zone: the parameter is missing"},
		{400, "/dns/snapshot?zone=a..b", []string{sharedSecret}, "zone: "},
		{400, "/dns/snapshot?zone=gslb.example.com&zone=gslb.example.com", []string{sharedSecret}, "zone is there twice"},
		{400, "/dns/snapshot?zone=gslb.example.com&%zz", []string{sharedSecret}, "the query cannot be read"},
		{400, "/dns/changes?zone=gslb.example.com", []string{sharedSecret}, "since: the parameter is missing"},
		{400, "/dns/changes?zone=gslb.example.com&since=" + strings.Repeat("x", 257), []string{sharedSecret}, "since: "},
		{400, "/dns/snapshot?zone=gslb.example.com&node_ip=" + strings.Repeat("1", 65), []string{sharedSecret}, "node_ip: "},
		{400, "/dns/snapshot?zone=gslb.example.com&regions=mars", []string{sharedSecret}, "no place has mars; there are eu-west, us-east"},
		{400, "/dns/snapshot?zone=gslb.example.com&regions=" + strings.Repeat("x", 65), []string{sharedSecret}, "regions: "},
		{400, "/dns/snapshot?zone=gslb.example.com&regions=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", []string{sharedSecret}, "regions: at most 16"},
		{401, "/dns/snapshot?zone=gslb.example.com", nil, "the secret is needed, as X-Elchi-Secret"},
		{401, "/dns/snapshot?zone=gslb.example.com", []string{"X-Elchi-Secret: shared-with-edge"}, "not the one of this controller"},
		{401, "/dns/changes?zone=example.com&since=x", []string{"X-Elchi-Secret: "}, "not the one of this controller"},
		{401, "/dns/events?zone=gslb.example.com", nil, "the secret is needed"},
		{404, "/dns/snapshot?zone=example.org", []string{sharedSecret}, "example.org is not one of the controller's zones"},
		{404, "/dns/changes?zone=www.gslb.example.com&since=x", []string{sharedSecret}, "is not one of"},
		{404, "/dns/events?zone=example.net", []string{sharedSecret}, "is not one of"},
	} {
		if got := refused(t, n.ask("GET", c.target, "", c.headers...), c.status); !strings.Contains(got, c.detail) {
			t.Errorf("%s: %s", c.target, got)
		}
	}
	if got := refused(t, n.ask("POST", "/dns/snapshot?zone=gslb.example.com", "{}", sharedSecret), 405); !strings.Contains(got, "takes GET") {
		t.Error(got)
	}
	if got := refused(t, n.ask("GET", "/dns/snapshot?zone=gslb.example.com", "", sharedSecret, "From: 192.0.2.1:4000"), 403); !strings.Contains(got, "allowed_networks") {
		t.Error(got)
	}
	if strings.Contains(n.said.String(), "shared") {
		t.Errorf("the log has the secret: %s", n.said.String())
	}
}

func overriding(service, endpoint string) health.Overriding {
	return health.Overriding{Service: service, Endpoint: endpoint, Source: "test", Since: time.Now()}
}

// TestEdgeGuesses: wrong secrets come slowly, and the right one is not let in meanwhile.
func TestEdgeGuesses(t *testing.T) {
	n := controlling(t, told)
	for range 10 {
		refused(t, n.ask("GET", "/dns/snapshot?zone=gslb.example.com", "", "X-Elchi-Secret: wrong"), 401)
	}
	resp := n.ask("GET", "/dns/snapshot?zone=gslb.example.com", "", sharedSecret)
	if resp.Header.Get("Retry-After") == "" {
		t.Error("after ten wrong secrets nobody is kept waiting")
	}
	refused(t, resp, 401)
	decode[api.Snapshot](t, n.ask("GET", "/dns/snapshot?zone=gslb.example.com", "", sharedSecret, "From: 127.0.0.2:4000"), 200)
}

// TestEdgeGzip: an answer is compressed for whom it may.
func TestEdgeGzip(t *testing.T) {
	n := controlling(t, told)
	for _, target := range []string{"/dns/snapshot?zone=gslb.example.com", "/dns/changes?zone=gslb.example.com&since=another"} {
		plain, err := io.ReadAll(n.ask("GET", target, "", sharedSecret).Body)
		if err != nil {
			t.Fatal(err)
		}
		for accepts, want := range map[string]bool{
			"gzip": true, "deflate, gzip;q=0.5": true, "*": true, "GZIP": true,
			"": false, "identity": false, "gzip;q=0": false, "br": false, "gzip;q=x": false,
		} {
			for range 2 { // made, and kept
				resp := n.ask("GET", target, "", sharedSecret, "Accept-Encoding: "+accepts)
				if got := resp.Header.Get("Content-Encoding") == "gzip"; got != want {
					t.Errorf("%s with %q: compressed is %t", target, accepts, got)
					continue
				}
				body := io.Reader(resp.Body)
				if want {
					if body, err = gzip.NewReader(body); err != nil {
						t.Fatal(err)
					}
				}
				if b, err := io.ReadAll(body); err != nil || string(b) != string(plain) {
					t.Errorf("%s with %q: %v\n%s\n%s", target, accepts, err, b, plain)
				}
			}
		}
	}
}

// TestEdgeTokens: the tokens of the API have no say in what edges may, nor has their
// secret in what the API gives.
func TestEdgeTokens(t *testing.T) {
	n := controlling(t, told+"admin:\n  tokens: [{name: ops, secret: b7c3a1d95e60f284b7c3a1d95e60f284, role: admin}]\n")
	decode[api.Snapshot](t, n.ask("GET", "/dns/snapshot?zone=gslb.example.com", "", sharedSecret), 200)
	refused(t, n.ask("GET", "/dns/snapshot?zone=gslb.example.com", "", "Authorization: Bearer b7c3a1d95e60f284b7c3a1d95e60f284"), 401)
	refused(t, n.ask("GET", "/api/v1/services", "", "Authorization: Bearer shared-with-edges"), 401)
}

// TestNoController: a node that is none says so.
func TestNoController(t *testing.T) {
	n := newNode(t, configuration)
	for _, path := range []string{"/dns/snapshot", "/dns/changes", "/dns/events"} {
		if got := refused(t, n.ask("GET", path+"?zone=gslb.example.com", "", sharedSecret), 404); !strings.Contains(got, "no controller") {
			t.Error(got)
		}
	}
}

// stream reads server-sent events.
type edgeStream struct {
	t  testing.TB
	in *bufio.Scanner
}

// follow opens a stream of changes, over a socket.
func (n *node) follow(query string, headers ...string) *edgeStream {
	n.t.Helper()
	s := httptest.NewServer(n.handler)
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/dns/events?zone=gslb.example.com"+query, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, h := range append(headers, sharedSecret) {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close()
		s.Close()
	})
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		n.t.Fatalf("%d %s", resp.StatusCode, got)
	}
	return &edgeStream{n.t, bufio.NewScanner(resp.Body)}
}

// next is the next event.
func (s *edgeStream) next() (id, kind, data string) {
	s.t.Helper()
	for s.in.Scan() {
		name, value, _ := strings.Cut(s.in.Text(), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			kind = value
		case "data":
			data = value
		case "":
			if kind != "" {
				return id, kind, data
			}
		}
	}
	s.t.Fatalf("the stream ends: %v", s.in.Err())
	return "", "", ""
}

// TestEdgeEvents: an edge is told of a change as it happens, and goes on where it was.
func TestEdgeEvents(t *testing.T) {
	n := controlling(t, told)
	first := decode[api.Snapshot](t, n.ask("GET", "/dns/snapshot?zone=gslb.example.com", "", sharedSecret), 200)
	s := n.follow("&regions=all&since=" + first.VersionHash)
	if err := n.engine.Override(overriding("www.gslb.example.com", "192.0.2.10")); err != nil {
		t.Fatal(err)
	}
	id, kind, data := s.next()
	var change api.Change
	if err := json.Unmarshal([]byte(data), &change); err != nil {
		t.Fatal(err)
	}
	if kind != "change" || change.From != first.VersionHash || change.VersionHash != id || len(change.Records) != 1 || len(change.Deletes) != 0 ||
		fmt.Sprint(change.Records[0].Name, change.Records[0].IPs) != "www.gslb.example.com[192.0.2.11 198.51.100.10]" {
		t.Errorf("told %s %s %s", id, kind, data)
	}
	if now := decode[api.Snapshot](t, n.ask("GET", "/dns/snapshot?zone=gslb.example.com", "", sharedSecret), 200); now.VersionHash != id {
		t.Errorf("version %s is told, and %s is there", id, now.VersionHash)
	}
	// One that comes back is told what it missed; Last-Event-ID is later than since.
	for _, again := range []*edgeStream{n.follow("&since=" + first.VersionHash), n.follow("&since=older", "Last-Event-ID: "+first.VersionHash)} {
		if _, kind, missed := again.next(); kind != "change" || missed != data {
			t.Errorf("told again %s %s", kind, missed)
		}
	}
	// One of whose version nothing is known begins anew.
	for _, query := range []string{"", "&since=0123"} {
		if at, kind, data := n.follow(query).next(); kind != "reset" || at != id || data != `{"version_hash":"`+id+`"}` {
			t.Errorf("of %q: %s %s %s", query, at, kind, data)
		}
	}
	// The streams end with the surface.
	n.admin.EndStreams()
	for s.in.Scan() {
	}
	if err := s.in.Err(); err != nil {
		t.Error(err)
	}
}

// TestEdgeSecret: a stream goes on over a reload, and ends with the secret by which it was
// opened.
func TestEdgeSecret(t *testing.T) {
	for what, after := range map[string]string{
		"another secret": strings.ReplaceAll(told, "shared-with-edges", "shared-with-others"),
		"no controller":  configuration,
	} {
		n := controlling(t, told)
		s := n.follow("")
		s.next() // it is let in
		n.tell(told + "  edges: [{url: \"http://127.0.0.1:1\"}]\n")
		if err := n.engine.Override(overriding("www.gslb.example.com", "192.0.2.10")); err != nil {
			t.Fatal(err)
		}
		if _, kind, _ := s.next(); kind != "change" {
			t.Errorf("%s: told %s after a reload", what, kind)
		}
		n.tell(after)
		if err := n.engine.Override(overriding("www.gslb.example.com", "192.0.2.11")); err != nil {
			t.Fatal(err)
		}
		for s.in.Scan() {
			if strings.HasPrefix(s.in.Text(), "event:") {
				t.Fatalf("%s: it is told more", what)
			}
		}
		if err := s.in.Err(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestEdgeStreams: many edges follow at once, each of them some zones; and who follows what
// happens takes none of their room.
func TestEdgeStreams(t *testing.T) {
	n := controlling(t, told)
	s := httptest.NewServer(n.handler)
	defer s.Close()
	const edges = 300
	var all []*http.Response
	defer func() {
		for _, resp := range all {
			_ = resp.Body.Close()
		}
	}()
	for range edges {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/dns/events?zone=gslb.example.com", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(api.SecretHeader, "shared-with-edges")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, resp); resp.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %s", len(all), resp.Status)
		}
	}
	for _, resp := range all {
		if _, kind, _ := (&edgeStream{t, bufio.NewScanner(resp.Body)}).next(); kind != "reset" {
			t.Errorf("told %s", kind)
		}
	}
	n.admin.EndStreams()
}

// FuzzEdgeRequest: no query makes an edge ask for what is out of bounds.
func FuzzEdgeRequest(f *testing.F) {
	for _, q := range []string{
		"zone=gslb.example.com", "zone=gslb.elchi&since=abc123&regions=asya,avrupa&node_ip=10.0.0.1", "zone=%zz", "zone=a&zone=b",
		"regions=,,,", "zone=" + strings.Repeat("a.", 130), "zone=%00&regions=%2c%2C", "zone=.&since=" + strings.Repeat("x", 300), ";", "zone=a;since=b",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		zone, since, node, regions, err := admin.EdgeRequest(query)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000 {
				t.Errorf("%q: an error of %d octets", query, len(err.Error()))
			}
			return
		}
		if zone == "" || !zone.Within(dnswire.Root) || len(zone) > 255 || len(since) > 256 || len(node) > 64 || len(regions) > spec.MaxRegions {
			t.Errorf("%q: %q since %q for %q of %q", query, zone, since, regions, node)
		}
		for i, r := range regions {
			if r == "" || len(r) > spec.MaxRegion || strings.Contains(r, ",") || slices.Contains(regions[:i], r) || r == "all" {
				t.Errorf("%q: the region %q", query, r)
			}
		}
		again, _, _, _, err := admin.EdgeRequest("zone=" + url.QueryEscape(zone.String()))
		if err != nil || again != zone {
			t.Errorf("%q is the zone %q, which is %q again: %v", query, zone, again, err)
		}
	})
}
