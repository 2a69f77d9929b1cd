package rhumb_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/health"
)

// mixed has checks that borrow the service's host beside ones that do not.
const mixed = `
checks:
  web: {type: http}
  hosted: {type: http, host: www.example.net}
  port: {type: tcp, port: 80}
pools:
  b:
    checks: [web]
    endpoints:
      - 192.0.2.1
      - {address: "2001:db8::1"}
      - {address: 192.0.2.2, checks: [port]}
      - {address: 192.0.2.3, checks: [hosted, port]}
      - {address: 192.0.2.4, checks: []}
  a: {endpoints: [198.51.100.1], checks: [port]}
  unused: {endpoints: [198.51.100.2]}
zones:
  example.com:
    nameservers: {ns1.example.net.: []}
    services:
      www: {pools: [b, a]}
      api: {pools: [b], all_down: a}
`

func TestEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		st := &site{}
		st.set("192.0.2.2", true)
		e := newEngine(t, rhumb.Options{Prober: st.prober, Registerer: reg})
		commit(t, e, parse(t, mixed))
		list := func() (all []string) {
			for _, s := range e.Endpoints() {
				checks := ""
				for _, c := range s.Checks {
					checks += " " + c.Check + "=" + c.State.String() + "/" + c.Host
				}
				all = append(all, fmt.Sprintf("%s %s [%s] %s%s", s.Pool.Name, s.Endpoint, s.Service, s.Detail.State, checks))
			}
			return all
		}
		if got := list(); len(got) != 8 || !strings.Contains(got[0], "unknown") {
			t.Errorf("before the first verdict: %s", strings.Join(got, "\n"))
		}
		stop := run(t, e)
		defer stop()
		<-e.Settled()
		want := []string{
			"a 198.51.100.1 [] up port=up/",
			"b 192.0.2.1 [api.example.com.] up web=up/api.example.com",
			"b 192.0.2.1 [www.example.com.] up web=up/www.example.com",
			"b 2001:db8::1 [api.example.com.] up web=up/api.example.com",
			"b 2001:db8::1 [www.example.com.] up web=up/www.example.com",
			"b 192.0.2.2 [] down port=down/",
			"b 192.0.2.3 [] up hosted=up/www.example.net port=up/",
			"b 192.0.2.4 [] up",
		}
		if got := list(); !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		// An override is on a service; the listing is of what the checks say.
		if err := e.Override(health.Overriding{Service: "www.example.com", Endpoint: "192.0.2.3"}); err != nil {
			t.Fatal(err)
		}
		if got := list(); !slices.Equal(got, want) {
			t.Errorf("with an override:\n%s", strings.Join(got, "\n"))
		}
		want = strings.Split(`# HELP rhumb_endpoint_up State of a checked endpoint by its checks: 1 up, 0 down, -1 unknown. Service is empty when it is judged for all services alike.
# TYPE rhumb_endpoint_up gauge
rhumb_endpoint_up{endpoint="198.51.100.1",pool="a",service=""} 1
rhumb_endpoint_up{endpoint="192.0.2.1",pool="b",service="api.example.com."} 1
rhumb_endpoint_up{endpoint="192.0.2.1",pool="b",service="www.example.com."} 1
rhumb_endpoint_up{endpoint="2001:db8::1",pool="b",service="api.example.com."} 1
rhumb_endpoint_up{endpoint="2001:db8::1",pool="b",service="www.example.com."} 1
rhumb_endpoint_up{endpoint="192.0.2.2",pool="b",service=""} 0
rhumb_endpoint_up{endpoint="192.0.2.3",pool="b",service=""} 1
`, "\n")
		var series bytes.Buffer
		if err := e.WriteSeries(&series); err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(series.String(), "\n"); !slices.Equal(got, want) {
			t.Errorf("series\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if n := testutil.CollectAndCount(reg, "rhumb_targets"); n != 3 {
			t.Errorf("%d series of targets, want one for each state", n)
		}
	})
}

func TestExplainQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, rhumb.Options{Prober: (&site{}).prober})
		commit(t, e, parse(t, config))
		stop := run(t, e)
		defer stop()
		<-e.Settled()
		for _, c := range []struct {
			q    rhumb.Question
			want string // of the trace: name type client rcode, number of answers
		}{
			{rhumb.Question{Name: "www.example.com"}, "www.example.com. A 127.0.0.1 NOERROR 2"},
			{rhumb.Question{Name: "WWW.Example.Com.", Type: "a"}, "www.example.com. A 127.0.0.1 NOERROR 2"},
			{rhumb.Question{Name: "www.example.com", Type: "AAAA", Client: netip.MustParseAddr("2001:db8::9")}, "www.example.com. AAAA 2001:db8::9 NOERROR 0"},
			{rhumb.Question{Name: "www.example.com", Type: "TYPE1"}, "www.example.com. A 127.0.0.1 NOERROR 2"},
			{rhumb.Question{Name: "www.example.com", Type: "TYPE65280"}, "www.example.com. TYPE65280 127.0.0.1 NOERROR 0"},
			{rhumb.Question{Name: "none.example.com"}, "none.example.com. A 127.0.0.1 NXDOMAIN 0"},
			{rhumb.Question{Name: "."}, ". A 127.0.0.1 REFUSED 0"},
			{rhumb.Question{Name: "www.example.com", ECS: netip.MustParsePrefix("198.51.100.7/24")}, "www.example.com. A 127.0.0.1 NOERROR 2"},
		} {
			tr, err := e.Explain(c.q)
			if err != nil {
				t.Errorf("%+v: %v", c.q, err)
				continue
			}
			n := 0
			for _, a := range tr.Answers {
				if strings.HasPrefix(a, "A ") || strings.HasPrefix(a, "AAAA ") {
					n++
				}
			}
			if got := fmt.Sprintf("%s %s %s %s %d", tr.Name, tr.Type, tr.Client, tr.RCode, n); got != c.want {
				t.Errorf("%+v: %s, want %s", c.q, got, c.want)
			}
			if len(tr.Message) < 12 {
				t.Errorf("%+v: a message of %d bytes", c.q, len(tr.Message))
			}
		}
		for _, c := range []struct {
			q    rhumb.Question
			want string
		}{
			{rhumb.Question{}, "bad question: name: empty name"},
			{rhumb.Question{Name: "a..b"}, `bad question: name: empty label in "a..b"`},
			{rhumb.Question{Name: strings.Repeat("a", 64) + ".example.com"}, `bad question: name: label "` + strings.Repeat("a", 64) + `" is longer than 63 bytes`},
			{rhumb.Question{Name: "www.example.com", Type: "NONSENSE"}, "bad question: type: "},
			{rhumb.Question{Name: "www.example.com", Type: "TYPE65536"}, "bad question: type: "},
		} {
			_, err := e.Explain(c.q)
			if !errors.Is(err, rhumb.ErrBadQuestion) || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %s", c.q, err, c.want)
			}
		}
		// To ask is not to change.
		s := e.Snapshot()
		if got := s.Table.Peek(s.Table.Lookup(wire("www.example.com")), 0); got != 0 {
			t.Errorf("explaining has moved the rotation to %d", got)
		}
	})
}

// nested has a service and a composed pool among the pools of another service.
const nested = `
checks:
  web: {type: http}
  port: {type: tcp, port: 80}
pools:
  eu: {checks: [web], endpoints: [192.0.2.1]}
  us: {checks: [port], endpoints: [198.51.100.1]}
  far: {checks: [port], endpoints: [203.0.113.1]}
  both: {pools: [us, far]}
zones:
  example.com:
    nameservers: {ns1.example.net.: []}
    services:
      inner: {pools: [eu, us]}
      www: {pools: [{service: inner}, both]}
      api: {pools: [{service: www}]}
`

// TestNestedEndpoints lists the endpoints of nested services and composed pools
// where they are at home, and takes overrides there alone.
func TestNestedEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, rhumb.Options{Prober: (&site{}).prober, Registerer: prometheus.NewRegistry()})
		commit(t, e, parse(t, nested))
		stop := run(t, e)
		defer stop()
		<-e.Settled()
		var got []string
		for _, s := range e.Endpoints() {
			got = append(got, fmt.Sprintf("%s %s [%s]", s.Pool.Name, s.Endpoint, s.Service))
		}
		want := []string{"eu 192.0.2.1 [inner.example.com.]", "far 203.0.113.1 []", "us 198.51.100.1 []"}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for service, on := range map[string]string{
			"inner.example.com": "192.0.2.1 198.51.100.1", "www.example.com": "198.51.100.1 203.0.113.1",
		} {
			for endpoint := range strings.FieldsSeq(on) {
				if err := e.Override(health.Overriding{Service: service, Endpoint: endpoint}); err != nil {
					t.Error(err)
				}
			}
		}
		for service, why := range map[string]string{
			"www.example.com": "not found: 192.0.2.1 is an endpoint of inner.example.com., which www.example.com. nests: set the override there",
			"api.example.com": "not found: 192.0.2.1 is an endpoint of inner.example.com., which api.example.com. nests: set the override there",
		} {
			if err := e.Override(health.Overriding{Service: service, Endpoint: "192.0.2.1"}); !errors.Is(err, health.ErrNotFound) || err.Error() != why {
				t.Errorf("an override on %s: %v", service, err)
			}
		}
	})
}
