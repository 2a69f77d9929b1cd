package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// lossShare is how many packets are lost, each way.
	lossShare = .01
	// lossBurst is how many are lost in a row, on average, where they are in bursts.
	lossBurst = 3
	// lossDelay is how long a packet is on its way.
	lossDelay = 10 * time.Millisecond
	// lossSites are the sites that the endpoints are at.
	lossSites = 3
	// lossPatience bounds what a run takes beside what it is to take.
	lossPatience = time.Minute
)

// lossKinds are the checks of the endpoints, one of each: nothing is stated but whom
// and what they ask.
var lossKinds = []struct{ name, check string }{
	{"tcp", "type: tcp, port: 7000"},
	{"talk", `type: tcp, port: 6379, send: 'PING\r\n', expect: '^\+PONG'`},
	{"http", "type: http, port: 8080, host: www." + zoneName},
	{"https", "type: https, port: 8443, verify: false, host: www." + zoneName},
	{"https3", "type: https, version: 3, port: 8443, verify: false, host: www." + zoneName},
	{"tls", "type: tls, port: 8443, verify: false, host: www." + zoneName},
	{"grpc", "type: grpc, port: 50051"},
	{"icmp", "type: icmp"},
	{"dns", "type: dns, port: 53, name: " + zoneName},
	{"dnstcp", "type: dns, port: 53, proto: tcp, name: " + zoneName},
	{"smtp", "type: smtp, port: 25"},
	{"redis", "type: redis, port: 6379"},
	{"postgres", "type: postgres, port: 5432"},
	{"metrics", "type: prometheus, port: 8080, metric: up, expect: 1"},
}

// lossOrder is what a process that has a network of its own is told to do there.
type lossOrder struct {
	Rhumb, Dir, Cert, Key string
	Each                  int // endpoints of each kind and site
	Burst                 int // packets that are lost in a row, on average; 0: each by itself
	For                   time.Duration
}

// endpoints are how many there are altogether.
func (o *lossOrder) endpoints() int { return o.Each * lossSites * len(lossKinds) }

// lossFound is what came of it.
type lossFound struct {
	Took              time.Duration
	Carried, Lost     int // packets
	Runs              int // times that some were lost in a row
	Up                int // endpoints in the end
	Alarms            []string
	Suspected, Stalls int
	Probes            map[string]int            // by what came of them
	Failed            map[string]map[string]int // by check and class
}

// text is the configuration of the node.
func (o *lossOrder) text() string {
	var b strings.Builder
	b.WriteString("dns: {listen: [\"127.0.0.1:5300\"]}\nadmin: {listen: \"127.0.0.1:8080\"}\nchecks:\n")
	for _, k := range lossKinds {
		fmt.Fprintf(&b, "  %s: {%s}\n", k.name, k.check)
	}
	b.WriteString("pools:\n")
	var pools []string
	for site := range lossSites {
		for i, k := range lossKinds {
			name := fmt.Sprintf("%s%d", k.name, site)
			pools = append(pools, name)
			fmt.Fprintf(&b, "  %s:\n    place: {region: site%d}\n    checks: [%s]\n    endpoints:\n", name, site, k.name)
			for n := range o.Each {
				fmt.Fprintf(&b, "      - 10.%d.%d.%d\n", 80+site, i, n+1)
			}
		}
	}
	fmt.Fprintf(&b, "zones:\n  %s:\n    nameservers: {ns1: 127.0.0.1}\n    services:\n      www: {pools: [%s]}\n", zoneName, strings.Join(pools, ", "))
	return b.String()
}

// benchLoss has a node check endpoints over a road that loses packets: each of them
// that it declares dead is a false alarm, and makes the part fail.
func benchLoss(ctx context.Context, s *settings) ([]table, error) {
	t := table{
		Title: fmt.Sprintf("Checks at their defaults over a road that loses %.0f%% of the packets each way", 100*lossShare),
		Head:  []string{"lost", "endpoints", "endpoint-hours", "packets", "lost", "probes", "of them failed", "false alarms"},
	}
	order := lossOrder{Rhumb: s.rhumb, Dir: s.dir, Cert: s.cert, Key: s.key, Each: max(1, s.lossEnds/lossSites/len(lossKinds)), For: s.lossFor}
	if s.quick {
		order.Each, order.For = 2, 12*time.Second
	}
	var names []string
	for _, k := range lossKinds {
		names = append(names, k.name)
	}
	t.Notes = append(t.Notes, fmt.Sprintf("The endpoints have a check each, as many of each kind (%s) at each of %d sites. The node has a network namespace of its own, and the packets are %v on their way. Endpoint-hours are endpoints times how long it took, from the start of the node on. A false alarm is an endpoint that was declared down.",
		strings.Join(names, ", "), lossSites, lossDelay))
	var all []error
	for _, v := range []struct {
		name  string
		burst int
	}{{"each by itself", 0}, {fmt.Sprintf("in bursts of %d on average", lossBurst), lossBurst}} {
		order.Burst = v.burst
		s.progress("loss: %s, %v", v.name, order.For)
		text, err := json.Marshal(order)
		if err != nil {
			return nil, err
		}
		out, err := lossProcess(ctx, s, string(text), order.For+lossPatience)
		if err != nil {
			return nil, err
		}
		var f lossFound
		if err := json.Unmarshal(out, &f); err != nil {
			return nil, fmt.Errorf("loss: %w", err)
		}
		t.Rows = append(t.Rows, f.row(v.name, &order))
		t.Notes = append(t.Notes, f.note(v.name))
		all = append(all, f.check(&order))
	}
	s.progress("")
	return []table{t}, errors.Join(all...)
}

func (f *lossFound) row(name string, o *lossOrder) []string {
	probes := 0
	for _, n := range f.Probes {
		probes += n
	}
	failed := probes - f.Probes["ok"]
	return []string{
		name, fmt.Sprint(o.endpoints()), fmt.Sprintf("%.1f", float64(o.endpoints())*f.Took.Hours()),
		fmt.Sprint(f.Carried), fmt.Sprintf("%.2f%%", 100*float64(f.Lost)/float64(max(f.Carried, 1))),
		fmt.Sprint(probes), fmt.Sprintf("%d (%.3f%%)", failed, 100*float64(failed)/float64(max(probes, 1))), fmt.Sprint(len(f.Alarms)),
	}
}

// note says which probes failed, and how.
func (f *lossFound) note(name string) string {
	var parts []string
	for _, check := range slices.Sorted(maps.Keys(f.Failed)) {
		for _, class := range slices.Sorted(maps.Keys(f.Failed[check])) {
			parts = append(parts, fmt.Sprintf("%s %s %d", check, class, f.Failed[check][class]))
		}
	}
	if parts == nil {
		parts = []string{"none"}
	}
	return fmt.Sprintf("%s%s, %.1f in a row on average: the probes that failed: %s. Times that the node doubted itself: %d; that it stood still: %d.",
		strings.ToUpper(name[:1]), name[1:], float64(f.Lost)/float64(max(f.Runs, 1)), strings.Join(parts, "; "), f.Suspected, f.Stalls)
}

// check is the error of a run with false alarms, or that was none.
func (f *lossFound) check(o *lossOrder) error {
	switch {
	case len(f.Alarms) > 0:
		return fmt.Errorf("loss: %d false alarms:\n%s", len(f.Alarms), strings.Join(f.Alarms, "\n"))
	case f.Up != o.endpoints():
		return fmt.Errorf("loss: %d of %d endpoints are up in the end", f.Up, o.endpoints())
	case f.Lost == 0:
		return errors.New("loss: nothing was lost")
	}
	return nil
}
