package gslb

import (
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"

	"github.com/rhumb-dns/rhumb/coredns/lane"
	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/dnswire"
)

// The defaults of CoreDNS-GSLB's document.
const (
	defaultIdle       = 3600 * time.Second
	defaultMultiplier = 10
	defaultAPIAddr    = "127.0.0.1" // there it is every address
	defaultAPIPort    = "8080"
	maxMultiplier     = 1000
	minIdle           = time.Second
	maxIdle           = 366 * 24 * time.Hour
)

// statement is what a block of a Corefile says.
type statement struct {
	zones    []zoneFile
	profiles string // a file; empty: none
	subnets  string // a file; empty: none
	// databases are files of MaxMind's format, each once.
	databases []string
	// stated is where the Corefile names a file.
	stated map[string]place
	ecs    bool
	noTXT  bool

	// batch is how many first checks begin at once, and within how long the others begin
	// at most; 0: what Rhumb does.
	batch          int
	within         time.Duration
	idleAfter      time.Duration // 0: nothing is ever idle
	idleMultiplier int

	api     api
	dataDir string // empty: memory only
	noLane  bool
}

// place is a line of a Corefile.
type place struct {
	file string
	line int
}

// zoneFile is a zone and the file with its records.
type zoneFile struct {
	zone dnswire.Name
	path string
}

// api is the HTTP API, which is off unless it is enabled.
type api struct {
	enabled        bool
	stated         bool // something is said of it
	addr, port     string
	cert, key      string
	user, password string
}

// closed is whether nobody is let in: of a user and a password one is stated, and who
// knows only that has proved nothing.
func (a *api) closed() bool { return (a.user == "") != (a.password == "") }

// listen is where the API listens.
func (a *api) listen() string { return net.JoinHostPort(a.addr, a.port) }

// parser reads one block.
type parser struct {
	*statement
	c    *caddy.Controller
	root string
}

// parse reads the block of a Corefile. Errors name the file and the line.
func parse(c *caddy.Controller) (*statement, error) {
	s := &statement{
		idleAfter: defaultIdle, idleMultiplier: defaultMultiplier,
		api: api{addr: defaultAPIAddr, port: defaultAPIPort}, stated: map[string]place{},
	}
	p := &parser{s, c, dnsserver.GetConfig(c).Root}
	for blocks := 0; c.Next(); blocks++ {
		if blocks > 0 {
			return nil, plugin.ErrOnce
		}
		if args := c.RemainingArgs(); len(args) > 0 {
			// The form of the first versions: gslb FILE [ZONES...].
			for _, z := range mouth.Origins(args[1:], c.ServerBlockKeys) {
				if err := p.zone(z, args[0]); err != nil {
					return nil, err
				}
			}
		}
		for c.NextBlock() {
			if err := p.directive(); err != nil {
				return nil, err
			}
		}
	}
	a := &s.api
	switch {
	case len(s.zones) == 0:
		return nil, c.Err("no zone is stated: zone ZONE FILE")
	case (a.cert == "") != (a.key == ""):
		return nil, c.Err("api_tls_cert and api_tls_key go together, and one of them is missing")
	}
	return s, nil
}

func (p *parser) directive() error {
	c := p.c
	name := c.Val()
	switch name {
	case "zones":
		return p.pairs(name, p.zone)
	case "geoip_maxmind":
		return p.maxmind()
	}
	args := c.RemainingArgs()
	least, most := 1, 1
	switch name {
	case "zone":
		least, most = 2, 2
	case "use_edns_csubnet", "disable_txt":
		least, most = 0, 0
	case "api_enable":
		least = 0
	}
	known := map[string]func([]string) error{
		"zone":                        func(a []string) error { return p.zone(a[0], a[1]) },
		"geoip_country_maxmind_db":    func(a []string) error { return p.database("country", a[0]) },
		"geoip_city_maxmind_db":       func(a []string) error { return p.database("city", a[0]) },
		"geoip_asn_maxmind_db":        func(a []string) error { return p.database("asn", a[0]) },
		"geoip_custom":                p.custom,
		"geoip_custom_db":             p.custom,
		"healthcheck_profiles":        func(a []string) error { return p.once(&p.profiles, name, p.path(a[0])) },
		"use_edns_csubnet":            func([]string) error { p.ecs = true; return nil },
		"disable_txt":                 func([]string) error { p.noTXT = true; return nil },
		"max_stagger_start":           func(a []string) error { return p.stagger(name, a[0]) },
		"resolution_idle_timeout":     p.idle,
		"batch_size_start":            func(a []string) error { return p.number(&p.batch, name, a[0], 1, 1<<31-1) },
		"healthcheck_idle_multiplier": func(a []string) error { return p.number(&p.idleMultiplier, name, a[0], 1, maxMultiplier) },
		"api_enable":                  p.apiEnable,
		"api_listen_addr":             p.apiAddr,
		"api_listen_port":             p.apiPort,
		"api_tls_cert":                func(a []string) error { return p.apiText(&p.api.cert, p.path(a[0])) },
		"api_tls_key":                 func(a []string) error { return p.apiText(&p.api.key, p.path(a[0])) },
		"api_basic_user":              func(a []string) error { return p.apiText(&p.api.user, a[0]) },
		"api_basic_pass":              func(a []string) error { return p.apiText(&p.api.password, a[0]) },
		"lane":                        func(a []string) (err error) { p.noLane, err = lane.Off(c, a[0]); return err },
		"data_dir":                    func(a []string) error { p.dataDir = p.path(a[0]); return nil },
	}
	set, ok := known[name]
	switch {
	case !ok:
		return c.Errf("unknown option for gslb: %s", name)
	case len(args) < least || len(args) > most:
		return c.ArgErr()
	}
	return set(args)
}

// pairs reads a block of two words a line, within the plugin's own, and calls f with
// each pair.
func (p *parser) pairs(name string, f func(a, b string) error) error {
	c := p.c
	if !c.NextArg() || c.Val() != "{" || c.NextArg() {
		return c.Errf("%s: a block belongs here, with its opening brace on the same line", name)
	}
	for c.Next() {
		if c.Val() == "}" {
			return nil
		}
		first, rest := c.Val(), c.RemainingArgs()
		if len(rest) != 1 {
			return c.Errf("%s: two words belong on a line, and %d are on that of '%s'", name, len(rest)+1, first)
		}
		if err := f(first, rest[0]); err != nil {
			return err
		}
	}
	return c.Errf("%s: the closing brace is missing", name)
}

func (p *parser) zone(zone, file string) error {
	n, err := dnswire.ParseName(strings.ToLower(zone))
	if err != nil {
		return p.c.Errf("zone %s: %v", zone, err)
	}
	for _, z := range p.zones {
		if z.zone == n {
			return p.c.Errf("zone %s is stated twice", zone)
		}
	}
	p.zones = append(p.zones, zoneFile{n, p.path(file)})
	return nil
}

// path is a path below the directory that the plugin root states; empty: no file.
func (p *parser) path(file string) string {
	if p.root != "" && file != "" && !filepath.IsAbs(file) {
		file = filepath.Join(p.root, file)
	}
	p.stated[file] = place{p.c.File(), p.c.Line()}
	return file
}

// maxmind reads either syntax: geoip_maxmind TYPE FILE, and a block of these.
func (p *parser) maxmind() error {
	c := p.c
	if !c.NextArg() {
		return c.ArgErr()
	}
	if c.Val() == "{" {
		for c.Next() {
			if c.Val() == "}" {
				return nil
			}
			kind, rest := c.Val(), c.RemainingArgs()
			if len(rest) != 1 {
				return c.ArgErr()
			}
			if err := p.database(kind, rest[0]); err != nil {
				return err
			}
		}
		return c.Err("geoip_maxmind: the closing brace is missing")
	}
	kind, rest := c.Val(), c.RemainingArgs()
	if len(rest) != 1 {
		return c.ArgErr()
	}
	return p.database(kind, rest[0])
}

// database is a file of places. What is in it, it says itself; the word before it is
// checked and no more.
func (p *parser) database(kind, file string) error {
	switch strings.TrimSuffix(kind, "_db") {
	case "country", "city", "asn":
	default:
		return p.c.Errf("unknown geoip_maxmind type: %s; there are country_db, city_db and asn_db", kind)
	}
	file = p.path(file)
	for _, d := range p.databases {
		if d == file {
			return nil
		}
	}
	p.databases = append(p.databases, file)
	return nil
}

func (p *parser) custom(args []string) error {
	return p.once(&p.subnets, "geoip_custom", p.path(args[0]))
}

// once sets what can be stated once.
func (p *parser) once(to *string, name, value string) error {
	if *to != "" && *to != value {
		return p.c.Errf("%s is stated twice", name)
	}
	*to = value
	return nil
}

func (p *parser) duration(to *time.Duration, name, text string) error {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return p.c.Errf("invalid value for %s, expected duration format: %v", name, text)
	case d < 0:
		return p.c.Errf("invalid value for %s: %v is negative", name, text)
	}
	*to = d
	return nil
}

// idle takes 0 as well: nothing is ever idle.
func (p *parser) idle(args []string) error {
	const name = "resolution_idle_timeout"
	if err := p.duration(&p.idleAfter, name, args[0]); err != nil {
		return err
	}
	if d := p.idleAfter; d != 0 && (d < minIdle || d > maxIdle) {
		return p.c.Errf("invalid value for %s: %v is out of range: %v to %.0fh, or 0", name, args[0], minIdle, maxIdle.Hours())
	}
	return nil
}

// stagger takes 0 as well: all begin as soon as they can.
func (p *parser) stagger(name, text string) error {
	err := p.duration(&p.within, name, text)
	p.within = max(p.within, time.Millisecond)
	return err
}

func (p *parser) number(to *int, name, text string, least, most int) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return p.c.Errf("invalid value for %s: %v", name, text)
	}
	*to = n
	return nil
}

// apiEnable takes what CoreDNS-GSLB takes, for which all but false and 0 is true.
func (p *parser) apiEnable(args []string) error {
	p.api.enabled = len(args) == 0 || args[0] != "false" && args[0] != "0"
	return nil
}

func (p *parser) apiAddr(args []string) error {
	if _, err := netip.ParseAddr(args[0]); err != nil && args[0] != "localhost" {
		return p.c.Errf("invalid value for api_listen_addr: %v is not an IP address", args[0])
	}
	return p.apiText(&p.api.addr, args[0])
}

func (p *parser) apiPort(args []string) error {
	if n, err := strconv.ParseUint(args[0], 10, 16); err != nil || n == 0 && args[0] != "0" {
		return p.c.Errf("invalid value for api_listen_port: %v", args[0])
	}
	return p.apiText(&p.api.port, args[0])
}

func (p *parser) apiText(to *string, value string) error {
	*to, p.api.stated = value, true
	return nil
}
