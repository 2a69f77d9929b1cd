package corednsgslb

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/lua"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// pace is how often a record's backends are checked.
type pace struct {
	interval, timeout time.Duration
	retries           int
}

// usual is the pace of a record that states none.
var usual = pace{interval: 10 * time.Second, timeout: 5 * time.Second, retries: 1}

// confirm is from a failure to the next attempt: CoreDNS-GSLB tries again at once, and this
// gives a peer that is starting the time of a breath.
const confirm = 100 * time.Millisecond

// profile is a check that backends may name, and what there is to say of it for each.
type profile struct {
	name   string // of the native check
	metric string // Check.Label
	// timeout is that of one attempt, and timed that it was stated, where.
	timeout time.Duration
	timed   document.Node
	path    string // of timed
	target  string // what it is aimed at in place of the backends; empty: these
	base    pace   // that of the native check
	own     func(use *document.Value, address string, at document.Node)
}

// profiles reads healthcheck_profiles.
func (f *file) profiles() {
	into, suffix, base := f.local, "@"+strings.TrimSuffix(f.zone, "."), f.defaultPace()
	if f.zone == "" {
		into, suffix, base = f.global, "@global", usual
	}
	k := f.top.get("healthcheck_profiles")
	if k == nil {
		return
	}
	for _, e := range f.object(k.val, k.path, nil, nil).keys {
		if strings.ContainsFunc(e.name, func(r rune) bool { return r <= ' ' || r == 0x7f }) || e.name == "" {
			f.fail(e.key, e.path, "the name of a profile is a word without spaces")
			continue
		}
		if into[e.name] != nil {
			f.fail(e.key, e.path, "the profile %s is stated in another file as well", e.name)
			continue
		}
		if p := f.check(e.val, e.key, e.path, e.name+suffix, base); p != nil {
			into[e.name] = p
		} else {
			into[e.name] = &profile{} // known, and wrong
		}
	}
}

// checkTypes are the types of checks, with their parameters.
var checkTypes = map[string][]string{
	"http":  {"port", "enable_tls", "uri", "method", "host", "headers", "timeout", "expected_code", "expected_body", "skip_tls_verify"},
	"tcp":   {"port", "timeout"},
	"icmp":  {"count", "timeout"},
	"mysql": {"host", "port", "user", "password", "database", "timeout", "query"},
	"grpc":  {"host", "port", "service", "timeout"},
	"lua":   {"script", "timeout", "known_hosts"},
}

// check reads a check, and adds it to the native ones under a name. It is nil when it is
// wrong.
func (f *file) check(n, at document.Node, path, name string, base pace) *profile {
	before := len(f.result.Faults)
	o := f.object(n, path, []string{"type", "params"}, nil)
	k := o.get("type")
	if k == nil {
		if len(f.result.Faults) == before {
			f.fail(at, path, "the key \"type\" is missing: one of %s", strings.Join(slices.Sorted(maps.Keys(checkTypes)), ", "))
		}
		return nil
	}
	kind := f.text(o, "type", "")
	known, ok := checkTypes[kind]
	if !ok {
		msg := f.unknown("check type", kind, maps.Keys(checkTypes))
		if kind == "https" {
			msg = "unknown check type \"https\": write http, whose enable_tls is true by default"
		}
		f.fail(k.val, k.path, "%s", msg)
		return nil
	}
	params := &object{at: n, path: dot(path, "params")}
	if k := o.get("params"); k != nil {
		params = f.object(k.val, k.path, known, nil)
	}
	p := &profile{name: name, metric: kind, base: base}
	out := mapping()
	from(at, out)
	typ := word(kind)
	putAt(out, "type", k.val, typ)
	c := &checking{file: f, profile: p, params: params, out: out, typ: typ}
	timeout := 5 * time.Second
	switch kind {
	case "http":
		c.http()
	case "tcp":
		c.port(80)
	case "icmp":
		c.number("count", "count", 3, 1, 20)
		c.set("max_loss", "count", word("100%"))
	case "mysql":
		timeout = 3 * time.Second
		c.mysql()
	case "grpc":
		c.grpc()
	case "lua":
		c.lua()
	}
	p.timeout = f.duration(params, "timeout", timeout)
	if k := params.get("timeout"); k != nil {
		p.timed, p.path = k.val, k.path
	}
	c.set("interval", "", duration(base.interval))
	c.set("timeout", "timeout", duration(min(p.timeout, base.timeout, base.interval)))
	c.set("confirm", "", duration(min(confirm, base.interval)))
	c.set("rise", "", integer(1))
	c.set("fall", "", integer(base.retries+1))
	if len(f.result.Faults) > before {
		return nil
	}
	putAt(f.checks, name, at, out)
	return p
}

// checking is a check that is being read.
type checking struct {
	*file
	*profile
	params   *object
	out, typ *document.Value
}

// set states a key of the native check, at the place of a parameter where that is stated.
func (c *checking) set(key, param string, v *document.Value) {
	if k := c.params.get(param); k != nil {
		putOf(c.out, key, k, v)
		return
	}
	v.Line, v.Col = c.out.Line, c.out.Col
	put(c.out, key, from(c.params.at, v))
}

// number sets a key to the number of a parameter.
func (c *checking) number(key, param string, def, lo, hi int) int {
	n := c.integer(c.params, param, def, lo, hi)
	c.set(key, param, integer(n))
	return n
}

// port sets the port, which is a part of the label as well.
func (c *checking) port(def int) {
	c.metric = fmt.Sprintf("%s/%d", c.metric, c.number("port", "port", def, 1, 65535))
}

// copy sets a key to the text of a parameter, if it is stated and not empty.
func (c *checking) copy(key, param string) string {
	s := c.text(c.params, param, "")
	if s != "" {
		c.set(key, param, literal(s))
	}
	return s
}

func (c *checking) http() {
	secure := c.boolean(c.params, "enable_tls", true)
	if secure {
		c.typ.Text, c.metric = "https", "https"
	}
	c.port(443)
	host := c.text(c.params, "host", "localhost")
	if host == "" {
		host = "localhost"
	}
	if name, port, err := net.SplitHostPort(host); err == nil {
		k := c.params.get("host")
		c.warn(k.val, k.path, "the port is left out of the Host header, which is %s: %s is not where anything connects to", name, port)
		host = name
	}
	c.set("host", "host", literal(host))
	c.copy("path", "uri")
	c.copy("method", "method")
	code := c.number("status", "expected_code", 200, 100, 599)
	// The response at the end of redirects is judged, unless a redirect is expected.
	if code < 300 || code > 399 {
		c.set("follow_redirects", "", word("true"))
	}
	c.copy("body", "expected_body")
	if k := c.params.get("headers"); k != nil {
		headers := mapping()
		for _, h := range c.object(k.val, k.path, nil, nil).keys {
			if h.val.Null() {
				continue
			}
			if h.val.Kind() != document.Scalar {
				c.fail(h.val, h.path, "a value is expected, not %s", describe(h.val))
				continue
			}
			if c.Public && secretHeader(h.name) {
				c.warn(h.val, h.path, "a secret in a file that everybody can read: chmod o-r %s", h.val.Name())
			}
			putAt(headers, h.name, h.key, literal(string(h.val.Raw())))
		}
		if len(headers.Pairs) > 0 {
			c.set("headers", "headers", headers)
		}
	}
	skip := c.boolean(c.params, "skip_tls_verify", false)
	switch {
	case !secure:
	case skip:
		c.set("verify", "skip_tls_verify", word("false"))
		fallthrough
	default:
		if host != "localhost" {
			break // the certificate is for it
		}
		c.own = func(use *document.Value, address string, at document.Node) {
			putAt(use, "sni", at, literal(address))
		}
	}
}

func secretHeader(name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token":
		return true
	}
	return false
}

func (c *checking) mysql() {
	c.port(3306)
	if k := c.params.get("host"); k != nil {
		if host := c.text(c.params, "host", ""); host != "" {
			c.target = canonical(host)
			c.own = func(use *document.Value, address string, _ document.Node) {
				if c.target != address {
					putAt(use, "target", k.val, literal(host))
				}
			}
		}
	}
	if c.copy("user", "user") == "" {
		at := c.params.at
		if k := c.params.get("user"); k != nil {
			at = k.val
		}
		c.fail(at, dot(c.params.path, "user"), "the key \"user\" is missing: nobody can log in without a name; for a check that the port answers, write type: tcp")
	}
	if c.copy("password", "password") != "" && c.Public {
		k := c.params.get("password")
		c.warn(k.val, k.path, "a secret in a file that everybody can read: chmod o-r %s", k.val.Name())
	}
	c.copy("database", "database")
	query := c.text(c.params, "query", "SELECT 1")
	if query == "" {
		query = "SELECT 1"
	}
	c.set("query", "query", literal(query))
	// The first column must be a whole number.
	c.set("expect", "query", literal(`~ ^[+-]?[0-9]+$`))
}

func (c *checking) grpc() {
	if c.params.get("port") == nil {
		c.fail(c.params.at, dot(c.params.path, "port"), "the key \"port\" is missing")
		return
	}
	c.number("port", "port", 0, 1, 65535)
	c.copy("service", "service")
	host := c.text(c.params, "host", "")
	if host == "" {
		c.own = func(use *document.Value, address string, at document.Node) { putAt(use, "host", at, literal(address)) }
		return
	}
	c.set("host", "host", literal(host))
	at := c.params.get("host").val
	c.target = canonical(host)
	c.own = func(use *document.Value, address string, _ document.Node) {
		if c.target != address {
			putAt(use, "target", at, literal(host))
		}
	}
}

// missing are the libraries and functions of Lua that scripts do without here.
var missing = []string{"os", "io", "debug", "package", "coroutine", "require", "module", "dofile", "loadfile", "load", "loadstring", "getfenv", "setfenv", "collectgarbage", "newproxy"}

func (c *checking) lua() {
	k := c.params.get("script")
	if k == nil {
		c.fail(c.params.at, dot(c.params.path, "script"), "the key \"script\" is missing")
		return
	}
	script := c.copy("script", "script")
	known := c.copy("known_hosts", "known_hosts")
	program, err := lua.Compile(script)
	if err != nil {
		return // whoever decodes it says where
	}
	for _, name := range missing {
		if program.Names(name) {
			c.fail(k.val, k.path, "the script uses %s, which scripts do not have here: they run in a sandbox; a check of type script runs a program", name)
			return
		}
	}
	if known == "" && program.Names("ssh_exec") {
		c.set("host_keys", "script", word("any"))
	}
}

// uses are the checks of a backend, as native references.
func (f *file) uses(k *stated, b *backend, as *asked) (uses []*document.Value, checks []Check) {
	there := map[string]bool{}
	for i, it := range f.list(k) {
		path := item(k.path, i)
		c := f.named(it, path, as)
		if c == nil || c.name == "" {
			continue
		}
		if there[c.name] {
			f.warn(it, path, "the check is there already: one is made")
			continue
		}
		there[c.name] = true
		target := c.target
		if target == b.Address {
			target = ""
		}
		checks = append(checks, Check{c.name, c.metric, target})
		uses = append(uses, f.use(c, it, b, as.pace))
	}
	return uses, checks
}

// named is the profile of an item: one that it names, or one that is stated in place. Equal
// ones of a record are one. It is nil when there is none.
func (f *file) named(it document.Node, path string, as *asked) *profile {
	if it.Kind() != document.Scalar || it.Null() {
		text := dump(nil, it)
		c := as.made[string(text)]
		if c == nil {
			name := fmt.Sprintf("%s/check-%d", strings.TrimSuffix(as.record.Name, "."), len(as.made)+1)
			if c = f.check(it, it, path, name, as.pace); c != nil {
				as.made[string(text)] = c
			}
		}
		return c
	}
	name := string(it.Raw())
	c := f.local[name]
	if c == nil {
		c = f.global[name]
	}
	if c == nil {
		f.fail(it, path, "%s", f.unknown("healthcheck profile", name, func(yield func(string) bool) {
			for _, all := range []map[string]*profile{f.local, f.global} {
				for name := range all {
					if !yield(name) {
						return
					}
				}
			}
		}))
	}
	return c
}

// dump is what a node says, without its place.
func dump(out []byte, n document.Node) []byte {
	switch n.Kind() {
	case document.Mapping:
		out = append(out, '{')
		for k, v := range n.Pairs() {
			out = dump(append(strconv.AppendQuote(out, string(k.Raw())), ':'), v)
		}
		return append(out, '}')
	case document.Sequence:
		out = append(out, '[')
		for c := range n.Children() {
			out = append(dump(out, c), ',')
		}
		return append(out, ']')
	}
	return strconv.AppendBool(strconv.AppendQuote(out, string(n.Raw())), n.Null())
}

// use is a native reference to a check, with what is another value there.
func (f *file) use(c *profile, it document.Node, b *backend, p pace) *document.Value {
	use := mapping()
	use.Flow = true
	put(use, "check", literal(c.name))
	timeout := min(c.timeout, p.timeout, p.interval)
	if !c.timed.IsZero() && timeout < min(c.timeout, p.timeout) {
		f.warn(c.timed, c.path, "%s is longer than a scrape_interval of %s: an attempt may take that long there", short(min(c.timeout, p.timeout)), short(p.interval))
	}
	if p.interval != c.base.interval {
		put(use, "interval", duration(p.interval))
	}
	if timeout != min(c.timeout, c.base.timeout, c.base.interval) {
		put(use, "timeout", duration(timeout))
	}
	if p.retries != c.base.retries {
		put(use, "fall", integer(p.retries+1))
	}
	if c.own != nil {
		c.own(use, b.Address, b.of.get("address").val)
	}
	from(it, use)
	if len(use.Pairs) == 1 {
		return use.Pairs[0].Value
	}
	return use
}
