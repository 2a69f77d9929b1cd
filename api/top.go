package api

import (
	"context"
	"strconv"
	"time"
)

// Top is what a node is asked and how it answers: totals since its start, and
// rates within a window that ends when it is answered. Each list has the entries
// with the highest rates, then those with the highest totals.
type Top struct {
	Node          string  `json:"node"`
	WindowSeconds float64 `json:"window_seconds"` // as measured; 0: no window, and all rates are 0

	Queries        TopRate    `json:"queries"`        // answered
	ResponseBytes  TopRate    `json:"response_bytes"` // of the answers, DNS messages alone
	Latency        TopLatency `json:"latency"`
	TCPConnections int        `json:"tcp_connections"` // open, those of TLS among them

	Transports []TopEntry `json:"transports"` // queries by udp, tcp, tls
	Zones      []TopEntry `json:"zones"`      // queries; "-" is none of the node's
	Types      []TopEntry `json:"types"`      // queries
	RCodes     []TopEntry `json:"rcodes"`     // queries, by response code
	Services   []TopEntry `json:"services"`   // queries answered with records of one; the first, when a CNAME leads on
	Endpoints  []TopEntry `json:"endpoints"`  // queries answered with one
	// Networks (IPv4 /24, IPv6 /56) and Names are those that are asked from and for
	// most. Their figures are estimates from a sample, and their totals begin when
	// the node began to watch one.
	Networks []TopEntry `json:"networks"`
	Names    []TopEntry `json:"names"`
	Dropped  []TopEntry `json:"dropped"` // packets without an answer, by reason
	Limits   []TopEntry `json:"limits"`  // what limits have refused, by limit
	// LimitedNetworks and LimitedNames are those with the most answers beyond
	// dns.rate_limit, as Networks and Names. The name is what is limited: of names
	// that do not exist it is the zone.
	LimitedNetworks []TopEntry `json:"limited_networks"`
	LimitedNames    []TopEntry `json:"limited_names"`

	GeneratedAt time.Time `json:"generated_at"`
}

// TopRate is how often something happened.
type TopRate struct {
	Total uint64  `json:"total"`
	Rate  float64 `json:"rate"` // a second
}

// TopEntry is one row of a list.
type TopEntry struct {
	Name  string  `json:"name"`
	Total uint64  `json:"total"`
	Rate  float64 `json:"rate"` // a second
}

// TopLatency is the time from when the node had read a query to when it had sent
// the answer: within the window, or since the start when there is none. All are
// 0 when nothing was answered.
type TopLatency struct {
	Count  uint64  `json:"count"` // of answers
	MeanMS float64 `json:"mean_ms"`
	P50MS  float64 `json:"p50_ms"`
	P90MS  float64 `json:"p90_ms"`
	P99MS  float64 `json:"p99_ms"`
}

// TopQuery says what to measure.
type TopQuery struct {
	// Window is how long rates are measured for, at most 10 s; the answer takes
	// that long. 0: no rates.
	Window time.Duration
	Limit  int // entries of each list; 0: the node's default
}

// Top is what the node is asked, and how often.
func (c *Client) Top(ctx context.Context, q TopQuery) (*Top, error) {
	limit := ""
	if q.Limit != 0 {
		limit = strconv.Itoa(q.Limit)
	}
	return call[Top](ctx, c, request{path: "top", query: values("window", q.Window.String(), "limit", limit)})
}
