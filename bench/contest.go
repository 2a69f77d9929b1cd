package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// contestant is a server in a contest.
type contestant struct {
	name  string
	start starter
	steer string
}

// contest is one case: the same queries to several servers. The first
// contestant is measured before each of the others, so that every figure of
// another server has one of ours beside it, made within the same seconds.
type contest struct {
	name, title string
	notes       []string
	shape       shape
	full        order // what saturates
	fixed       order // a modest fixed rate; Mode "" for none
	tls         bool
	world       bool // clients are all over the world, and servers know where
	keep        bool // servers run on from round to round: they take long to start
	who         []contestant
}

func rhumbStatic(name string) contestant { return contestant{name, startRhumb, ""} }

// contests are all cases that load a server.
func contests(s *settings) []contest {
	const small = 1000
	udp := order{Mode: modeFull, Window: window}
	slow := order{Mode: modeRate, Rate: s.rate}
	echo := contestant{"UDP echo", startEcho, ""}
	gdnsd := contestant{"gdnsd", startGdnsd, ""}
	nsd := contestant{"NSD", startNSD, ""}
	knot := contestant{"Knot DNS", startKnot, ""}
	power := contestant{"PowerDNS", startPower, ""}
	core := contestant{"CoreDNS", startCoreDNS, ""}
	service := contestant{"rhumb, a service", startRhumb, steerOne}
	static := []contestant{rhumbStatic("rhumb, zone file"), gdnsd, echo, service, nsd, knot, power, core}
	steered := func(name, steer string, more ...contestant) []contestant {
		all := []contestant{{name, startRhumb, steer}, {"gdnsd", startGdnsd, steer}, echo}
		return append(all, more...)
	}
	plain := func(kind string, names int) shape { return shape{Kind: kind, Names: names} }
	place := func(name, title, kind string) contest {
		return contest{
			name: name, title: title, shape: plain(kind, small), full: udp, fixed: slow, world: true,
			notes: []string{"The same country database and the same decisions for each country: 8 places, the client's country or else its continent, the nearest of several. Each server is asked for 1,000 clients first, and is measured only when it answers as rhumb does. PowerDNS needs a backend of its own for it and is left out."},
			who:   steered("rhumb, geofence and nearest", steerPlace, rhumbStatic("rhumb, static data"), contestant{"Knot DNS, geoip module", startKnot, steerPlace}),
		}
	}
	return append([]contest{
		{name: "plain", title: "Plain A", shape: plain("plain", small), full: udp, fixed: slow, who: static},
		{name: "edns", title: "A with EDNS", shape: plain("edns", small), full: udp, fixed: slow, who: static},
		{name: "ecs", title: "A with a client subnet, static data", shape: plain("ecs", small), full: udp, fixed: slow, who: static},
		{
			name: "weighted", title: "Weighted over 8 endpoints", shape: plain("plain", small), full: udp, fixed: slow,
			who: steered("rhumb, weighted", steerWeighted, rhumbStatic("rhumb, plain A"),
				contestant{"Knot DNS, geoip module", startKnot, steerWeighted}, contestant{"PowerDNS, Lua", startPower, steerWeighted}),
		},
		{
			name: "failover", title: "Failover from a pool of 4 to another", shape: plain("plain", small), full: udp, fixed: slow,
			who: steered("rhumb, failover", steerFailover, rhumbStatic("rhumb, plain A")),
		},
		place("place", "By where the client is, as a client subnet says (random /24 of all of IPv4)", "world"),
		place("sources", "By where the client is, as its source address says (65,536 networks)", "sources"),
		{name: "nxdomain", title: "NXDOMAIN", shape: plain("nxdomain", small), full: udp, fixed: slow, who: static},
		{name: "many", title: fmt.Sprintf("Plain A among %d names", s.many), shape: plain("plain", s.many), full: udp, fixed: slow, keep: true, who: static},
		{
			name: "tcp", title: "TCP, 16 connections, 16 queries on the way on each", shape: plain("plain", small),
			full: order{Mode: modeTCP, Conns: 16, Window: 16},
			who:  []contestant{rhumbStatic("rhumb, zone file"), gdnsd, nsd, knot, power, core},
		},
		{
			name: "dot", title: "DNS over TLS: 4 resumed connections, 32 queries on the way on each; and resumed handshakes of one query each", shape: plain("plain", small), tls: true,
			notes: []string{fmt.Sprintf("The second half of the row is per handshake, with its query, at %d a second: a client needs as much for one as a server, so its limit says nothing.", s.handshakes)},
			full:  order{Mode: modeTLS, Conns: 4, Window: 32},
			fixed: order{Mode: modeHandshake, Rate: s.handshakes},
			who:   []contestant{rhumbStatic("rhumb, zone file"), nsd, core},
		},
	}, pluginContests(s, udp, slow, contestant{"CoreDNS, file", startCoreDNS, ""}, echo)...)
}

// window is how many queries are on the way over UDP: enough for full batches,
// and few enough for the socket buffer that the system gives to who asks for
// none.
const window = 128

// line is what a contest found for one contestant.
type line struct {
	c              contestant
	missing        bool
	full, fixed    []seen // of the runs that count, one for each round
	beside, slowly []seen // the first contestant's, beside those
	refused        []string
	memory         []float64 // MB
}

// runContest measures all rounds of a case.
func runContest(ctx context.Context, s *settings, c *contest) ([]line, error) {
	lines := make([]line, len(c.who))
	for i := range lines {
		lines[i].c = c.who[i]
	}
	running := map[int]*peer{}
	defer func() {
		for _, p := range running {
			p.end()
		}
	}()
	for round := range s.rounds {
		for i := 1; i < len(c.who); i++ {
			if lines[i].missing {
				continue
			}
			s.progress("%s: round %d of %d, %s", c.name, round+1, s.rounds, c.who[i].name)
			if lines[0].missing {
				return lines, nil
			}
			ours, err := s.visit(ctx, c, &lines[0], running, 0)
			if err != nil {
				return lines, err
			}
			theirs, err := s.visit(ctx, c, &lines[i], running, i)
			if err != nil {
				return lines, err
			}
			if ours == nil || theirs == nil {
				continue
			}
			lines[i].pair(ours, theirs)
		}
	}
	s.progress("")
	return lines, nil
}

// visited is what one visit to a server found; nil is refused.
type visited struct{ full, fixed *seen }

func (l *line) pair(ours, theirs *visited) {
	if ours.full != nil && theirs.full != nil {
		l.full, l.beside = append(l.full, *theirs.full), append(l.beside, *ours.full)
	}
	if ours.fixed != nil && theirs.fixed != nil {
		l.fixed, l.slowly = append(l.fixed, *theirs.fixed), append(l.slowly, *ours.fixed)
	}
}

// visit starts a server, loads it and ends it; nil without an error: it is
// missing.
func (s *settings) visit(ctx context.Context, c *contest, l *line, running map[int]*peer, i int) (*visited, error) {
	p := running[i]
	if p == nil {
		var err error
		w := wants{names: c.shape.Names, steer: l.c.steer, tls: c.tls, cores: s.serverCores}
		if c.world {
			if w.world, err = worldOf(s); err != nil {
				return nil, err
			}
		}
		p, err = l.c.start(ctx, s, w)
		if err != nil {
			return nil, err
		}
		if p == nil {
			l.missing = true
			return nil, nil
		}
		if l.c.steer == steerPlace {
			if err := w.world.agrees(p, w.names); err != nil {
				p.end()
				s.missing(l.c.name, "It does not answer as the others: "+err.Error())
				l.missing = true
				return nil, nil
			}
		}
	}
	if c.keep {
		running[i] = p
	} else {
		defer p.end()
	}
	var v visited
	for _, run := range []struct {
		o   order
		to  **seen
		all *[]seen
	}{{c.full, &v.full, &l.full}, {c.fixed, &v.fixed, &l.fixed}} {
		if run.o.Mode == "" {
			continue
		}
		r, why, err := s.measure(ctx, c, p, run.o)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", c.name, l.c.name, err)
		}
		if why != "" {
			l.refused = append(l.refused, why)
			if !s.noisy || r.Answers == 0 {
				continue
			}
		}
		*run.to = r
		if i == 0 {
			*run.all = append(*run.all, *r)
		}
	}
	l.memory = append(l.memory, float64(resident(p.pid()))/1e6)
	return &v, nil
}

// tries is how often a run is made until one counts.
const tries = 3

// measure makes one run that counts, or says why there was none.
func (s *settings) measure(ctx context.Context, c *contest, p *peer, o order) (r *seen, why string, err error) {
	o.Shape, o.To, o.Pid = c.shape, p.addr, p.pid()
	if o.Mode == modeTLS || o.Mode == modeHandshake {
		o.To = p.tls
	}
	o.Shape.Echo = p.name == "UDP echo"
	o.Warm, o.Each = s.warm, s.each
	for range tries {
		if r, err = s.loadProcess(ctx, o, len(s.serverCores)); err != nil {
			return nil, "", err
		}
		if why = refusal(r); why == "" || !strings.HasPrefix(why, "disturbed") || s.noisy {
			return r, why, nil
		}
	}
	return r, why, nil
}

// patient is how long a load may take beyond its time.
const patient = 30 * time.Second
