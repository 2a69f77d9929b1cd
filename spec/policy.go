package spec

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
)

var allDownRules = map[string]AllDownRule{
	"serve-all": ServeAll, "last-healthy": LastHealthy, "nodata": NoData, "servfail": ServFail,
	"serve-every": ServeEvery,
}

// policyUse is a policy and who uses it.
type policyUse struct {
	policy   *Policy
	services int
	hosts    bool // some endpoint is a host name
	// within are the uses of a text by zone, where it means another one in each;
	// nil where it does not.
	within map[dnswire.Name]*policyUse
}

// policies are those decoded so far, by the text that stated them and by what
// came of it, so that a million services have a few policies between them.
type policies struct {
	byText   map[string]*policyUse
	atApex   map[string]*policyUse // byText of services at their zone's own name, where host names are flattened
	byMean   map[string]*policyUse
	all      []*policyUse
	last     *policyUse // of lastText in byText, because neighbours are alike
	lastText string
}

// maxTexts bounds each of the maps: with more different policies than that
// there is little to share.
const maxTexts = 1 << 16

// policyOf is the policy that a service states, nil when it is wrong. apex says
// that the service is at its zone's own name.
func (d *decoder) policyOf(v, key document.Node, p *path, apex bool) *policyUse {
	text := v.Span()
	if text == nil {
		return d.newPolicy(v, key, p, apex)
	}
	texts := d.policies.byText
	if apex {
		texts = d.policies.atApex
	}
	if !apex && d.policies.last != nil && string(text) == d.policies.lastText {
		return d.policies.last
	}
	use := texts[string(text)]
	if use != nil && use.within != nil {
		use = use.within[d.nests.zone]
	}
	if use == nil {
		if use = d.newPolicy(v, key, p, apex); use != nil && len(texts) < maxTexts {
			d.keepText(texts, string(text), use)
		}
		return use
	}
	if !apex && use.policy.depth == 0 {
		d.policies.last, d.policies.lastText = use, string(text)
	}
	return use
}

// policyIn is the policy that a service of a run states, nil when it is wrong.
// The places of what is wrong are not those in the file.
func (d *decoder) policyIn(text, file string, p *path) *policyUse {
	if use := d.policies.byText[text]; use != nil {
		return use
	}
	v, ok := policyNode(file, 0, []byte(text))
	if !ok {
		d.unsure = true
		return nil
	}
	warnings := len(d.spec.Warnings)
	use := d.newPolicy(v, v, p, false)
	d.unsure = d.unsure || len(d.spec.Warnings) > warnings // which would have no place
	if use != nil && len(d.policies.byText) < maxTexts {
		d.policies.byText[text] = use
	}
	return use
}

func (d *decoder) newPolicy(v, key document.Node, p *path, apex bool) *policyUse {
	before := len(d.errs)
	if key.Kind() == document.Scalar {
		p = p.dot(string(key.Raw()))
	}
	policy := d.policy(v, key, p, apex)
	if len(d.errs) > before || policy == nil {
		return nil
	}
	policy.Key = policy.mean()
	if known := d.policies.byMean[policy.Key]; known != nil {
		return known
	}
	use := &policyUse{policy: policy, hosts: policy.Flatten || policy.cname()}
	d.policies.all = append(d.policies.all, use)
	if len(d.policies.byMean) < maxTexts {
		d.policies.byMean[policy.Key] = use
	}
	return use
}

// mean is Policy.Key.
func (p *Policy) mean() string {
	b := make([]byte, 0, 128)
	for _, pool := range p.Pools {
		b = pool.appendMean(strconv.AppendQuote(b, pool.Name))
	}
	for _, w := range p.Weights {
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(w), 10)
	}
	// What two chains are written as is the same when they mean the same.
	b = strconv.AppendQuote(b, chainText(p.Steer))
	b = strconv.AppendQuote(b, p.Preset)
	for _, n := range []int64{int64(p.TTL), int64(p.Answers), int64(p.AllDown.Rule)} {
		b = append(b, ' ')
		b = strconv.AppendInt(b, n, 10)
	}
	b = append(b, ' ')
	b = strconv.AppendFloat(b, p.Panic, 'g', -1, 64)
	if p.AllDown.Pool != nil {
		b = strconv.AppendQuote(b, p.AllDown.Pool.Name)
	}
	if p.AllDown.Stated {
		b = append(b, " stated"...)
	}
	return string(p.appendConduct(p.appendMean(b)))
}

func (d *decoder) policy(v, key document.Node, p *path, apex bool) *Policy {
	before := len(d.errs)
	o := d.object(&serviceSection, p, key, v)
	pol := &Policy{TTL: d.spec.DNS.TTL, Answers: int(o.integer("answers"))}
	if o.get("ttl") != nil {
		pol.TTL = uint32(o.integer("ttl"))
	}
	whole := d.choice(pol, o)
	d.conductOf(pol, o)
	d.records(pol, o)
	if len(d.errs) > before || !whole {
		return nil
	}
	d.flatten(pol, o, apex)
	d.adopt(pol)
	d.ports(pol, o)
	d.sound(pol, o, o.get("pools"))
	d.doubtConduct(pol, o)
	return pol
}

// choice decodes what a policy chooses among and how. It is not whole when some
// of that is wrong, be it said elsewhere.
func (d *decoder) choice(pol *Policy, o *object) (whole bool) {
	p := o.path
	if e := o.get("pools"); e != nil {
		items := o.list("pools")
		if items != nil && len(items) == 0 {
			d.fail(e.val(), p.dot("pools"), "the list is empty: state at least one pool")
		}
		pol.Pools, pol.Weights, whole = d.members(items, p.dot("pools"))
		whole = whole && d.nestable(pol, e, p)
	}
	d.steer(pol, o)
	d.weights(pol, o)
	if e := o.get("all_down"); e != nil {
		pol.AllDown = d.allDown(e.val(), p.dot("all_down"))
	}
	if e := o.get("panic"); e != nil {
		pol.Panic, _ = d.number(e.val(), p.dot("panic"), 0, 1)
	}
	return whole && len(pol.Pools) > 0
}

func (d *decoder) allDown(r document.Node, p *path) AllDown {
	s, ok := d.text(r, p)
	if !ok {
		return AllDown{}
	}
	if rule, known := allDownRules[s]; known {
		return AllDown{Rule: rule, Stated: true}
	}
	pool, known := d.pools[s]
	switch {
	case known && d.nests.composed[s] != nil:
		d.fail(r, p, "the pool %s is composed of others, and a reserve has no steering of its own: name a pool with endpoints", s)
		return AllDown{}
	case !known:
		d.fail(r, p, "%s", unknown("rule or pool", s, func(yield func(string) bool) {
			for k := range allDownRules {
				if !yield(k) {
					return
				}
			}
			maps.Keys(d.pools)(yield)
		}))
		return AllDown{}
	}
	d.used["pool "+s] = true
	return AllDown{Rule: OtherPool, Pool: pool, Stated: true}
}

// family is one kind of record that a service answers with.
type family struct {
	record    string
	bytes     int // of one record, with a compressed name
	endpoints []*Endpoint
}

// hostFamily is the place of host names among the families, behind addresses.
const hostFamily = 2

// messageRoom is what the records of an answer may take of a message: the rest
// is for the question and the OPT record.
const messageRoom = 65535 - 300

// fixedOctets are those of a record with a compressed name, without its data.
const fixedOctets = 12

// sound checks that a policy whose parts are right can answer something.
func (d *decoder) sound(pol *Policy, o *object, pools *entry) {
	p, before := o.path, len(d.errs)
	fail := func(key, format string, args ...any) {
		at := pools.key
		if e := o.get(key); e != nil {
			at = e.val()
		}
		d.fail(at, p.dot(key), format, args...)
	}
	if pol.Answers != 1 && pol.cname() && o.sec == &serviceSection {
		fail("answers", "must be 1 with host-name endpoints: a name has one CNAME; flatten: true answers with their addresses")
	}
	most := 0 // what a limit in the chain leaves; 0 is no limit
	for _, step := range pol.Steer {
		switch step.Filter {
		case "limit":
			if most == 0 || step.N < most {
				most = step.N
			}
		case "weighted", "sticky":
			all := families(pol.Pools)
			for i, f := range all {
				others := all[hostFamily:]
				if i == hostFamily {
					others = all[:hostFamily]
				}
				if len(f.endpoints) > 0 && !f.weighs() && !(pol.Flatten && slices.ContainsFunc(others, family.weighs)) {
					fail("steer", "every %s endpoint of %s has weight 0, so none would ever be answered: give one a weight", f.record, poolNames(pol.Pools))
				}
			}
		}
	}
	d.steered(pol, o, before, fail)
	groups := [][]*Pool{pol.Pools}
	if spare := pol.AllDown.Pool; spare != nil {
		groups = append(groups, []*Pool{spare})
		if !shareFamily(groups[0], groups[1], pol.Flatten) {
			fail("all_down", "pool %q has no endpoint of an address family that %s has, so it could never be answered: give it one", spare.Name, poolNames(pol.Pools))
		}
	}
	for _, group := range groups {
		all := families(group)
		var answered [hostFamily]int
		for i, f := range all[:hostFamily] {
			n := len(f.endpoints)
			if pol.Flatten {
				n += len(all[hostFamily].endpoints)
			}
			if every := pol.AllDown.Rule == ServeEvery; !every {
				if pol.Answers > 0 {
					n = min(n, pol.Answers)
				}
				if most > 0 {
					n = min(n, most)
				}
			}
			room := messageRoom / f.bytes
			if n > room {
				fail("answers", "%d %s records do not fit into a DNS message of 64 KiB: state answers: %d or less", n, f.record, room)
				return
			}
			answered[i] = n
		}
		d.svcbFits(pol.HTTPS, o, "https", answered)
		d.svcbFits(pol.SVCB, o, "svcb", answered)
	}
	d.hidden(pol, o)
}

// families are the endpoints by family: A, AAAA, host names.
func families(pools []*Pool) []family {
	out := []family{{record: "A", bytes: fixedOctets + 4}, {record: "AAAA", bytes: fixedOctets + 16}, {record: "host-name"}}
	for _, pool := range pools {
		for i := range pool.Endpoints {
			e := &pool.Endpoints[i]
			f := &out[hostFamily]
			switch {
			case e.Host != "":
			case e.Address.Is4():
				f = &out[0]
			default:
				f = &out[1]
			}
			f.endpoints = append(f.endpoints, e)
		}
	}
	return out
}

// weighs is whether some endpoint takes traffic under the filter weighted.
func (f family) weighs() bool {
	return slices.ContainsFunc(f.endpoints, func(e *Endpoint) bool { return e.Weight > 0 })
}

// shareFamily is whether both have endpoints of some family. Host names that are
// flattened may be of either.
func shareFamily(a, b []*Pool, flatten bool) bool {
	fa, fb := families(a), families(b)
	for i := range fa {
		if len(fa[i].endpoints) > 0 && len(fb[i].endpoints) > 0 {
			return true
		}
	}
	return flatten && len(fa[hostFamily].endpoints)+len(fb[hostFamily].endpoints) > 0
}

// cname is whether the answers are CNAME records: the endpoints are host names
// then, all of them.
func (p *Policy) cname() bool {
	return !p.Flatten && slices.ContainsFunc(p.Pools, func(pool *Pool) bool {
		return len(pool.Endpoints) > 0 && pool.Endpoints[0].Host != ""
	})
}

// anyEndpoint is whether something is so of an endpoint of some pools, also one that is
// disabled.
func anyEndpoint(pools []*Pool, is func(*Endpoint) bool) bool {
	for _, pool := range pools {
		for i := range pool.Endpoints {
			if is(&pool.Endpoints[i]) {
				return true
			}
		}
		for e := range pool.Idle {
			if is(e) {
				return true
			}
		}
	}
	return false
}

// tagged is whether the endpoint has all of some tags.
func (e *Endpoint) tagged(tags []string) bool {
	return !slices.ContainsFunc(tags, func(t string) bool { return !slices.Contains(e.Tags, t) })
}

func poolNames(pools []*Pool) string {
	names := make([]string, len(pools))
	for i, p := range pools {
		names[i] = p.Name
	}
	if len(names) == 1 {
		return "the pool " + names[0]
	}
	return "the pools " + and(names)
}

// probeRate refuses a configuration that asks for more probes than a node
// should make. A check without a host probes an endpoint once for every service
// that uses it, because each has a host of its own.
func (d *decoder) probeRate() {
	services := map[*Pool]int{}
	for _, use := range d.policies.all {
		seen := map[*Pool]bool{}
		for _, pool := range use.policy.judged() {
			if !seen[pool] {
				services[pool] += use.services
				seen[pool] = true
			}
		}
	}
	type probe struct {
		address netip.Addr
		host    string
		check   *Check
	}
	once := map[probe]bool{}
	rates := map[*Check]float64{}
	total := 0.0
	for pool, n := range services {
		if n == 0 {
			continue
		}
		for i := range pool.Endpoints {
			e := &pool.Endpoints[i]
			for _, judge := range e.Checks {
				for c := range judge.Leaves {
					if c.Type == CheckExternal {
						continue
					}
					times := n
					if !c.NeedsHost() {
						pr := probe{e.Address, string(e.Host), c}
						if once[pr] {
							continue
						}
						once[pr] = true
						times = 1
					}
					rate := float64(times) / c.Interval.Seconds()
					rates[c] += rate
					total += rate
				}
			}
		}
	}
	if total <= maxProbes {
		return
	}
	var worst *Check
	for c, rate := range rates {
		if worst == nil || rate > rates[worst] || rate == rates[worst] && c.Name < worst.Name {
			worst = c
		}
	}
	remedy := "state a longer interval in check " + worst.Name
	if worst.NeedsHost() {
		remedy = "state `host:` in check " + worst.Name + ", so that the services share its probes, or a longer interval"
	}
	d.fail(d.checkAt[worst], d.checkPlace[worst], "%.0f probes a second are more than %d, and this check makes %.0f of them: %s",
		total, maxProbes, rates[worst], remedy)
}
