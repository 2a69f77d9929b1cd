package admin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/server/meter"
)

// traffic is two readings, two seconds apart.
func traffic() []*meter.Reading {
	var udp, tls meter.Histogram
	networks, names := meter.NewHeavy(4, meter.NetworkKey), meter.NewHeavy(4, 255)
	network := func(addr string, n uint64) {
		networks.Add(meter.AppendNetwork(nil, netip.MustParseAddr(addr)), n)
	}
	limitedNetworks, limitedNames := meter.NewHeavy(4, meter.NetworkKey), meter.NewHeavy(4, 255)
	limitedNetworks.Add(meter.AppendNetwork(nil, netip.MustParseAddr("192.0.2.1")), 5)
	udp.Observe(time.Second, 1000)
	network("192.0.2.1", 500)
	names.Add([]byte("\x03www\x07example\x03org\x00"), 700)
	first := &meter.Reading{
		At: began,
		Queries: []meter.QueryCount{
			{Zone: "example.org.", Type: "A", RCode: "NOERROR", Transport: "udp", N: 1000},
			{Zone: "-", Type: "AAAA", RCode: "REFUSED", Transport: "tls", N: 50},
		},
		Services:  []meter.ServiceCount{{Service: "www.example.org.", Pool: "us", Queries: 700, Records: 1400}},
		Endpoints: []meter.Count{{Name: "192.0.2.10", N: 900}},
		Dropped:   []meter.Count{{Name: "not_a_query", N: 3}, {Name: "panic", N: 0}},
		Limits:    []meter.Count{{Name: "tcp_client_limit", N: 8}},
		Latency:   [3]meter.Durations{udp.Load()},
		Sizes:     [3]meter.Octets{{Sum: 10_000}},
		Networks:  networks.Append(nil), Names: names.Append(nil),
		LimitedNetworks: limitedNetworks.Append(nil),
		Connections:     1,
	}
	udp.Observe(time.Millisecond, 10)
	tls.Observe(3*time.Millisecond, 10)
	limitedNetworks.Add(meter.AppendNetwork(nil, netip.MustParseAddr("192.0.2.1")), 2)
	limitedNames.Add([]byte("\x07example\x03org\x00"), 8)
	network("192.0.2.1", 4)
	network("2001:db8::1", 6)
	names.Add([]byte("\x03w\x1bw\x07example\x03org\x00"), 10)
	second := &meter.Reading{
		At: began.Add(2 * time.Second),
		Queries: []meter.QueryCount{
			{Zone: "example.org.", Type: "A", RCode: "NOERROR", Transport: "udp", N: 1010},
			{Zone: "-", Type: "AAAA", RCode: "REFUSED", Transport: "tls", N: 70},
			{Zone: "example.org.", Type: "MX", RCode: "NOERROR", Transport: "udp", N: 2},
		},
		Services: []meter.ServiceCount{
			{Service: "www.example.org.", Pool: "us", Queries: 704, Records: 1408},
			{Service: "www.example.org.", Pool: "eu", Queries: 2, Records: 2},
			{Service: "api.example.org.", Pool: "eu", Queries: 30, Records: 60},
		},
		Endpoints: []meter.Count{{Name: "192.0.2.10", N: 904}, {Name: "192.0.2.11", N: 30}},
		Dropped:   []meter.Count{{Name: "not_a_query", N: 5}, {Name: "panic", N: 0}},
		Limits:    []meter.Count{{Name: "tcp_client_limit", N: 4}}, // begun anew
		Latency:   [3]meter.Durations{udp.Load(), {}, tls.Load()},
		Sizes:     [3]meter.Octets{{Sum: 11_000}, {}, {Sum: 1000}},
		Networks:  networks.Append(nil), Names: names.Append(nil),
		LimitedNetworks: limitedNetworks.Append(nil), LimitedNames: limitedNames.Append(nil),
		Connections: 7,
	}
	return []*meter.Reading{first, second}
}

func TestTop(t *testing.T) {
	n := newNode(t, configuration)
	n.traffic = traffic()
	top := decode[api.Top](t, n.ask("GET", "/api/v1/top?window=1ms", ""), http.StatusOK)
	if top.Latency.Count != 20 || top.Latency.MeanMS != 2 || top.Latency.P50MS < 0.8 || top.Latency.P50MS > 1.2 ||
		top.Latency.P99MS < 2.6 || top.Latency.P99MS > 3.4 || top.Latency.P90MS > top.Latency.P99MS {
		t.Errorf("%+v", top.Latency)
	}
	top.Latency = api.TopLatency{}
	want := api.Top{
		Node: "ns1", WindowSeconds: 2, Queries: api.TopRate{Total: 1082, Rate: 16}, ResponseBytes: api.TopRate{Total: 12_000, Rate: 1000},
		TCPConnections: 7,
		Transports:     []api.TopEntry{row("tls", 70, 10), row("udp", 1012, 6)},
		Zones:          []api.TopEntry{row("-", 70, 10), row("example.org.", 1012, 6)},
		Types:          []api.TopEntry{row("AAAA", 70, 10), row("A", 1010, 5), row("MX", 2, 1)},
		RCodes:         []api.TopEntry{row("REFUSED", 70, 10), row("NOERROR", 1012, 6)},
		Services:       []api.TopEntry{row("api.example.org.", 30, 15), row("www.example.org.", 706, 3)},
		Endpoints:      []api.TopEntry{row("192.0.2.11", 30, 15), row("192.0.2.10", 904, 2)},
		Networks:       []api.TopEntry{row("2001:db8::/56", 6, 3), row("192.0.2.0/24", 504, 2)},
		Names:          []api.TopEntry{row(`w\027w.example.org.`, 10, 5), row("www.example.org.", 700, 0)},
		Dropped:        []api.TopEntry{row("not_a_query", 5, 1)},
		Limits:         []api.TopEntry{row("tcp_client_limit", 4, 0)},

		LimitedNetworks: []api.TopEntry{row("192.0.2.0/24", 7, 1)},
		LimitedNames:    []api.TopEntry{row("example.org.", 8, 4)},

		GeneratedAt: began.Add(2 * time.Second),
	}
	if !reflect.DeepEqual(top, want) {
		t.Errorf("%+v\nwant\n%+v", top, want)
	}

	// Without a window there are totals, at once.
	n.traffic = traffic()[1:]
	top = decode[api.Top](t, n.ask("GET", "/api/v1/top?window=0s&limit=1", ""), http.StatusOK)
	if top.WindowSeconds != 0 || top.Queries != (api.TopRate{Total: 1082}) || top.Latency.Count != 1020 ||
		!reflect.DeepEqual(top.Zones, []api.TopEntry{row("example.org.", 1012, 0)}) {
		t.Errorf("%+v", top)
	}
}

func TestTopRefused(t *testing.T) {
	n := newNode(t, configuration)
	for query, want := range map[string]string{
		"window=1":      `window: "1" is not a duration from 0s to 10s, such as 1s`,
		"window=-1s":    `window: "-1s" is not a duration from 0s to 10s, such as 1s`,
		"window=1m":     `window: "1m" is not a duration from 0s to 10s, such as 1s`,
		"limit=0":       `limit: "0" is not a number from 1 to 1000`,
		"limit=1001":    `limit: "1001" is not a number from 1 to 1000`,
		"windw=1s":      `query: no parameter "windw"; there are window, limit`,
		"limit=1&limit": `query: limit is there twice`,
	} {
		if got := refused(t, n.ask("GET", "/api/v1/top?"+query, ""), http.StatusBadRequest); got != want {
			t.Errorf("%s: %s\nwant %s", query, got, want)
		}
	}
}

// TestTopLeft sees that a client which leaves is not waited for.
func TestTopLeft(t *testing.T) {
	n := newNode(t, configuration)
	ctx, leave := context.WithCancel(context.Background())
	leave()
	r := httptest.NewRequestWithContext(ctx, "GET", "http://127.0.0.1:8080/api/v1/top?window=10s", strings.NewReader(""))
	r.RemoteAddr = "127.0.0.1:40000"
	w := httptest.NewRecorder()
	began := time.Now()
	n.handler.ServeHTTP(w, r)
	if w.Body.Len() > 0 || time.Since(began) > 9*time.Second {
		t.Errorf("answered %q after %v", w.Body, time.Since(began))
	}
}

func row(name string, total uint64, rate float64) api.TopEntry {
	return api.TopEntry{Name: name, Total: total, Rate: rate}
}
