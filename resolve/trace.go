package resolve

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
)

// Trace is the explanation of one answer: every step that led to it, in order,
// and the answer.
type Trace struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Client  string `json:"client,omitempty"`
	Zone    string `json:"zone,omitempty"`
	Service string `json:"service,omitempty"` // the first one, when its CNAME leads to more
	Steer   string `json:"steer,omitempty"`   // its chain as written

	Endpoints []TracedEndpoint `json:"endpoints,omitempty"`
	Steps     []Step           `json:"steps"`

	RCode    string   `json:"rcode"`
	Answers  []string `json:"answers"`            // type and data of each record, in order
	Referral []string `json:"referral,omitempty"` // the name servers to ask instead
	TTL      uint32   `json:"ttl"`                // seconds; the lowest of the answers, or of the negative answer
	ECSScope int      `json:"ecs_scope"`
	// Network is the network around the client in which everybody is decided for
	// alike, but for chance; AnyClient: so is everybody. Empty where there is nothing
	// of ours to decide.
	Network string `json:"network,omitempty"`
	EDE     string `json:"ede,omitempty"`
	Message []byte `json:"-"` // the answer itself

	depth int // of the step that is taken
}

// AnyClient is the network of a decision that does not depend on the client.
const AnyClient = "any"

// TracedEndpoint is one endpoint of the service, or of its reserve, as it stood.
type TracedEndpoint struct {
	Service   string    `json:"service"` // a CNAME may lead from one service to another
	Address   string    `json:"address"`
	Pool      string    `json:"pool"`
	Weight    uint32    `json:"weight"`
	Priority  int       `json:"priority"`
	Tags      []string  `json:"tags,omitempty"`
	State     string    `json:"state"`
	Authority string    `json:"authority"`
	Reason    string    `json:"reason,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	// What the chain goes by; absent where it is not known, or where nobody goes by
	// it.
	ConnectMS float64  `json:"connect_ms,omitempty"` // smoothed latency
	Load      *float64 `json:"load,omitempty"`       // as reported
	// Degraded is that it is up, and its checks leave it Share, or less while it is
	// drained as well.
	Degraded bool `json:"degraded,omitempty"`
	// Suspect is that its checks say that it is down, and are not believed.
	Suspect bool `json:"suspect,omitempty"`
	// Share is how much of its usual traffic it is to have, below 1 while it is
	// drained or degraded; absent when that is all.
	Share float64 `json:"share,omitempty"`
}

// Step is one step of the decision.
type Step struct {
	What  string   `json:"what"`            // zone, service, health, a filter, ...
	Why   string   `json:"why"`             // the rule, in words
	Kept  []string `json:"kept,omitempty"`  // the endpoints left after it, in order
	Depth int      `json:"depth,omitempty"` // in how many nested services and composed pools it was taken
}

// Explain decides the answer to q like Append and says how. Rotations do not
// advance. The random numbers are those of the seeds.
func (s *Snapshot) Explain(q *dnswire.Query, seed1, seed2 uint64) *Trace {
	c := NewScratch(seed1, seed2)
	t := &Trace{Type: q.Type.String(), Steps: []Step{}}
	if len(q.Name()) > 0 {
		t.Name = dnswire.Name(q.Name()).String()
	}
	if q.Client.IsValid() {
		t.Client = q.Client.Addr().String()
	}
	c.trace = t
	t.Message = s.answer(nil, q, c)
	t.Answers, t.Referral, t.TTL = records(t.Message)
	t.RCode = c.Outcome.RCode.String()
	if c.opt.EDE != 0 {
		t.EDE = fmt.Sprintf("%d", c.opt.EDE)
		if c.opt.EDEText != "" {
			t.EDE += ": " + c.opt.EDEText
		}
	}
	t.ECSScope = int(c.opt.Scope)
	if t.Zone != "" {
		t.Network = c.network()
	}
	return t
}

// network is what Trace calls so.
func (c *Scratch) network() string {
	cl := c.whom()
	// A network of no bits would be one of all addresses of one family.
	if cl.scope == 0 {
		return AnyClient
	}
	p, err := cl.addr().Prefix(int(cl.scope))
	if err != nil {
		return "" // no address has so many bits
	}
	return p.String()
}

func (t *Trace) note(what, why string, args ...any) {
	t.Steps = append(t.Steps, Step{What: what, Why: fmt.Sprintf(why, args...), Depth: t.depth})
}

func (t *Trace) set(what, why string, ms *table.Members, set []steer.Candidate) {
	step := Step{What: what, Why: why, Kept: []string{}, Depth: t.depth}
	for _, c := range set {
		step.Kept = append(step.Kept, ms.Endpoints[c.Index].String())
	}
	t.Steps = append(t.Steps, step)
}

// enter is called where a nested service or composed pool begins to choose.
func (t *Trace) enter(outer *table.Plan, n *table.Nested) {
	if n.Service != "" {
		t.note("nested", "the service %s chooses first", n.Service)
	} else {
		t.note("nested", "the pool %s chooses first", outer.Policy.Pools[slices.Index(outer.Nested, n)].Name)
	}
	t.depth++
}

// The trace functions below do nothing when there is no trace, which is a
// single comparison on the road of a query. Calls of note, whose arguments would
// be moved to the heap before it could look, are guarded where they stand.

func (c *Scratch) traceNote(what, why string) {
	if c.trace != nil {
		c.trace.note(what, "%s", why)
	}
}

func (c *Scratch) traceSet(what, why string, ms *table.Members, set []steer.Candidate) {
	if c.trace != nil {
		c.trace.set(what, why, ms, set)
	}
}

// traceFilter applies a filter and says what came of it, and of each step within.
func (c *Scratch) traceFilter(f steer.Filter, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	tell := func(f steer.Filter, given, kept []steer.Candidate) {
		why := f.Rule()
		if t, ok := f.(steer.Told); ok {
			why += ": " + t.Why(&c.query, given)
		}
		c.trace.set(f.String(), why, ms, kept)
	}
	given := append([]steer.Candidate(nil), set...)
	if first, ok := f.(*steer.First); ok {
		set = first.Walk(&c.query, set, tell)
	} else {
		set = f.Apply(&c.query, set)
	}
	tell(f, given, set)
	return set
}

// endpoint adds an endpoint, unless it is there: its pool may be the reserve as
// well.
func (t *Trace) endpoint(e TracedEndpoint) {
	for i := range t.Endpoints {
		old := &t.Endpoints[i]
		if old.Service == e.Service && old.Address == e.Address && old.Pool == e.Pool && old.State == e.State && old.Authority == e.Authority {
			return
		}
	}
	t.Endpoints = append(t.Endpoints, e)
}

// traceMatch notes where a step of the look-up has ended. There is a trace.
func (c *Scratch) traceMatch(z *table.Zone, at *question, match *zone.Match, step int) {
	c.trace.Zone = z.Text
	if step == 0 {
		c.trace.note("zone", "%s", z.Text)
	} else {
		c.trace.note("zone", "%s, for %s", z.Text, at.String())
	}
	if match.Kind == zone.Wildcard {
		c.trace.note("wildcard", "*.%s covers %s", dnswire.Name(at.name[at.Len-match.Encloser:]), at.String())
	}
}

func (c *Scratch) traceAllDown(p *table.Plan) {
	if c.trace == nil {
		return
	}
	name := [...]string{"serve-all", "last-healthy", "nodata", "servfail", "pool ", "serve-every"}[p.Policy.AllDown.Rule]
	if p.Policy.AllDown.Rule == spec.OtherPool {
		name += p.Policy.AllDown.Pool.Name
	}
	c.trace.note("all_down", "nothing healthy is left: the rule is %s", name)
}

// figures puts in what a view has of a target besides its state.
func (e *TracedEndpoint) figures(v *health.View, target int, service []byte) {
	if all := v.Latency(); target < len(all) {
		e.ConnectMS = float64(all[target]) / 1000
	}
	if all := v.Load(); target < len(all) && all[target] != health.NoLoad {
		load := float64(all[target]) / health.LoadUnit
		e.Load = &load
	}
	if share := v.Share(target, service); share < health.Whole {
		e.Share = float64(share) / health.Whole
	}
}

func (c *Scratch) traceService(s *Snapshot, n *table.Node, p *table.Plan) {
	t := c.trace
	if t == nil {
		return
	}
	name := s.Table.Name(n).String()
	if t.Service == "" {
		t.Service = name
		filters := make([]string, len(p.Chain))
		for i, f := range p.Chain {
			filters[i] = f.String()
		}
		t.Steer = strings.Join(filters, ", ")
	}
	t.note("service", "%s", name)
	for _, group := range []*[3]table.Members{&p.Members, &p.Spare} {
		for f := range group {
			ms := &group[f]
			for i, e := range ms.Endpoints {
				pool, service := p.Home(ms, i)
				text := s.Table.Text(n)
				if service != "" {
					text = []byte(service)
				}
				d := s.Health.Detail(int(ms.Targets[i]), text)
				x := TracedEndpoint{
					Service: name, Address: e.String(), Pool: pool.Name,
					Weight: e.Weight, Priority: e.Priority, Tags: e.Tags,
					State: d.State.String(), Authority: d.Authority.String(), Reason: d.Reason, Since: d.Since,
					Degraded: d.Cause != health.NotDegraded, Suspect: d.Suspect,
				}
				x.figures(s.Health, int(ms.Targets[i]), text)
				x.conduct(s, p, ms, i)
				t.endpoint(x)
			}
		}
	}
	t.courses(s, p)
}

// courses says which pools of a plan, and of what is nested in it, do not stand,
// or are in transition.
func (t *Trace) courses(s *Snapshot, p *table.Plan) {
	for _, at := range p.Courses {
		if at < 0 || s.Conduct == nil {
			continue
		}
		if course := s.Conduct.Course(int(at)); course.Moving || !course.Stands {
			t.note("conduct", "%s", s.Conduct.Why(int(at)))
		}
	}
	for _, n := range p.Nested {
		if n != nil {
			t.courses(s, n.Plan)
		}
	}
}

// conduct says what the conduct of its pool makes of a member, when that is not
// what health says.
func (e *TracedEndpoint) conduct(s *Snapshot, p *table.Plan, ms *table.Members, i int) {
	for n := p.Nests(int(ms.Candidates[i].Pool)); n != nil; n = p.Nests(int(ms.Candidates[i].Pool)) {
		ms, i, _ = n.Inside(ms.Family, i)
		p = n.Plan
	}
	pool := ms.Candidates[i].Pool
	if s.course(p, pool) == nil {
		return
	}
	why := s.Conduct.EndpointWhy(int(p.Courses[pool]), int(ms.Slots[i]))
	if why == "" {
		return
	}
	if e.Reason != "" {
		e.Reason += "; "
	}
	e.Reason += why
}

// tracePlace says where the client is taken to be.
func (c *Scratch) tracePlace(s *Snapshot) {
	if c.trace == nil {
		return
	}
	cl := c.whom()
	if !cl.valid {
		c.trace.note("place", "no client is stated, so nothing is known of its place")
		return
	}
	p := &c.place
	words := []string{}
	for _, w := range []string{p.City, p.Subdivision, p.Country, p.Continent} {
		if w != "" {
			words = append(words, w)
		}
	}
	where := "nothing is known of its place"
	if len(words) > 0 {
		where = strings.Join(words, ", ")
	}
	if p.Region != "" {
		where += ", region " + p.Region
	}
	if p.ASN != 0 {
		where += fmt.Sprintf(", AS%d", p.ASN)
	}
	if p.Located {
		where += fmt.Sprintf(", at %.2f, %.2f", p.Lat, p.Lon)
	}
	c.trace.note("place", "%s: %s", cl.addr(), where)
}
