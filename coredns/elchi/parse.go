package elchi

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/fall"
	pkgtls "github.com/coredns/coredns/plugin/pkg/tls"

	"github.com/rhumb-dns/rhumb/coredns/lane"
	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/edge"
)

// The defaults and limits of elchi-gslb's document.
const (
	defaultWebhook = ":8053"

	maxTTL = 1<<31 - 1 // RFC 2181 section 8
)

// statement is what a block of a Corefile says.
type statement struct {
	zones     []dnswire.Name // of the server block
	endpoints []string       // in the order in which they are tried
	secret    string
	nodeIP    string
	ttl       uint32
	interval  time.Duration
	timeout   time.Duration
	regions   []string // none: all of them
	client    secured  // towards the controller
	webhook   string   // where; empty: none
	server    secured  // of the webhook
	dataDir   string   // empty: no snapshot is kept
	fall      fall.F
	noLane    bool
}

// secured are the files of TLS, and what is to be done with them.
type secured struct {
	args       []string // as CoreDNS takes them: CERT KEY CA, CERT KEY, CA, or nothing
	skipVerify bool
	config     *tls.Config       // nil: none is stated
	sum        [sha256.Size]byte // of what the files hold
}

// parse reads the block of a Corefile. Errors name the file and the line.
func parse(c *caddy.Controller) (*statement, error) {
	s := &statement{ttl: edge.DefaultTTL, interval: edge.DefaultSyncInterval, timeout: edge.DefaultTimeout}
	for _, z := range mouth.Origins(nil, c.ServerBlockKeys) {
		n, err := dnswire.ParseName(z)
		if err != nil {
			return nil, c.Errf("zone %s: %v", z, err)
		}
		s.zones = append(s.zones, n)
	}
	root := dnsserver.GetConfig(c).Root
	for blocks := 0; c.Next(); blocks++ {
		if blocks > 0 {
			return nil, plugin.ErrOnce
		}
		if args := c.RemainingArgs(); len(args) > 0 {
			return nil, c.Errf("unexpected '%s': the zones are those of the server block", args[0])
		}
		for c.NextBlock() {
			if err := s.directive(c, root); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case len(s.zones) == 0:
		return nil, c.Err("zone is required (specify zone in server block, e.g., gslb.elchi)")
	case len(s.endpoints) == 0:
		return nil, c.Err("endpoint is required")
	case s.secret == "":
		return nil, c.Err("secret is required")
	case s.interval <= s.timeout:
		return nil, c.Err("sync_interval must be greater than timeout")
	case s.server.args != nil && s.webhook == "":
		return nil, c.Err("webhook_tls goes with webhook, which is not stated")
	}
	return s, nil
}

func (s *statement) directive(c *caddy.Controller, root string) error {
	name, args := c.Val(), c.RemainingArgs()
	least, most := 1, 1
	switch name {
	case "endpoint", "regions":
		most = len(args)
	case "webhook":
		least = 0
	case "tls_skip_verify":
		least, most = 0, 0
	case "fallthrough":
		least, most = 0, len(args)
	case "tls":
		least, most = 0, 3
	case "webhook_tls":
		least, most = 2, 3
	}
	known := map[string]func(*caddy.Controller, []string, string) error{
		"endpoint": s.setEndpoint, "secret": s.setSecret, "node_ip": s.setNodeIP, "ttl": s.setTTL,
		"sync_interval": s.setInterval, "timeout": s.setTimeout, "webhook": s.setWebhook,
		"webhook_tls": s.setWebhookTLS, "regions": s.setRegions, "tls": s.setTLS,
		"tls_skip_verify": s.setSkipVerify, "data_dir": s.setDataDir, "fallthrough": s.setFall,
		"lane": s.setLane,
	}
	set, ok := known[name]
	switch {
	case !ok:
		return c.Errf("unknown directive '%s'", name)
	case len(args) < least || len(args) > max(most, least):
		return c.ArgErr()
	}
	return set(c, args, root)
}

func (s *statement) setLane(c *caddy.Controller, args []string, _ string) (err error) {
	s.noLane, err = lane.Off(c, args[0])
	return err
}

func (s *statement) setEndpoint(c *caddy.Controller, args []string, _ string) error {
	s.endpoints = append(s.endpoints, args...)
	return each(c, args, edge.CheckEndpoint)
}

// each says what is wrong with the first of some words that something is wrong with.
func each(c *caddy.Controller, words []string, check func(string) error) error {
	for _, w := range words {
		if err := check(w); err != nil {
			return c.Err(err.Error())
		}
	}
	return nil
}

func (s *statement) setSecret(c *caddy.Controller, args []string, _ string) error {
	s.secret = fromEnvironment(args[0])
	if len(s.secret) < edge.MinSecret {
		return c.Errf("secret must be at least %d characters long", edge.MinSecret)
	}
	return nil
}

// fromEnvironment is a word, or the variable of the environment that it names as ${NAME}:
// the Corefile for Kubernetes in the document does, and CoreDNS knows {$NAME} alone. One
// that is not set stands for itself.
func fromEnvironment(word string) string {
	if name, ok := strings.CutPrefix(word, "${"); ok && strings.HasSuffix(name, "}") {
		if v := os.Getenv(strings.TrimSuffix(name, "}")); v != "" {
			return v
		}
	}
	return word
}

func (s *statement) setNodeIP(c *caddy.Controller, args []string, _ string) error {
	if _, err := netip.ParseAddr(args[0]); err != nil {
		// The document says that it is one, and elchi-gslb takes whatever it is.
		log.Warn("node_ip is not an IP address; the controller gets it as it is", "node_ip", args[0], "at", c.File()+":"+strconv.Itoa(c.Line()))
	}
	s.nodeIP = args[0]
	return nil
}

func (s *statement) setTTL(c *caddy.Controller, args []string, _ string) error {
	ttl, err := strconv.ParseUint(args[0], 10, 32)
	switch {
	case err != nil:
		return c.Errf("invalid ttl value: %v", err)
	case ttl == 0:
		return c.Err("ttl must be greater than 0")
	case ttl > maxTTL:
		return c.Errf("ttl must be at most %d (RFC 2181 section 8)", maxTTL)
	}
	s.ttl = uint32(ttl)
	return nil
}

func (s *statement) setInterval(c *caddy.Controller, args []string, _ string) error {
	d, err := time.ParseDuration(args[0])
	switch {
	case err != nil:
		return c.Errf("invalid sync_interval: %v", err)
	case d < edge.MinSyncInterval:
		return c.Errf("sync_interval must be at least %v", edge.MinSyncInterval)
	}
	s.interval = d
	return nil
}

func (s *statement) setTimeout(c *caddy.Controller, args []string, _ string) error {
	d, err := time.ParseDuration(args[0])
	switch {
	case err != nil:
		return c.Errf("invalid timeout: %v", err)
	case d < edge.MinTimeout:
		return c.Errf("timeout must be at least %v", edge.MinTimeout)
	}
	s.timeout = d
	return nil
}

func (s *statement) setWebhook(c *caddy.Controller, args []string, _ string) error {
	s.webhook = defaultWebhook
	if len(args) == 1 {
		s.webhook = args[0]
	}
	if _, _, err := net.SplitHostPort(s.webhook); err != nil {
		return c.Errf("invalid webhook address: %v", err)
	}
	return nil
}

func (s *statement) setWebhookTLS(c *caddy.Controller, args []string, root string) error {
	s.server.args = rooted(root, args)
	config, err := pkgtls.NewTLSConfigFromArgs(s.server.args...)
	if err != nil {
		return c.Errf("webhook_tls: %v", err)
	}
	if len(args) == 3 {
		// What CoreDNS makes of a CA is for clients that check a server.
		config.ClientCAs, config.RootCAs = config.RootCAs, nil
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	s.server.config = config
	return nil
}

func (s *statement) setRegions(c *caddy.Controller, args []string, _ string) error {
	if len(args) == 1 && strings.EqualFold(args[0], "all") {
		s.regions = nil
		return nil
	}
	s.regions = append(s.regions, args...)
	return each(c, args, edge.CheckRegion)
}

func (s *statement) setTLS(c *caddy.Controller, args []string, root string) error {
	s.client.args = rooted(root, args)
	config, err := pkgtls.NewTLSConfigFromArgs(s.client.args...)
	if err != nil {
		return c.Errf("tls: %v", err)
	}
	config.InsecureSkipVerify = s.client.skipVerify
	s.client.config = config
	sum := sha256.New()
	for _, path := range s.client.args {
		b, err := os.ReadFile(path)
		if err != nil {
			return c.Errf("tls: %v", err)
		}
		fmt.Fprintf(sum, "%d ", len(b))
		sum.Write(b)
	}
	s.client.sum = [sha256.Size]byte(sum.Sum(nil))
	return nil
}

func (s *statement) setSkipVerify(*caddy.Controller, []string, string) error {
	s.client.skipVerify = true
	if s.client.config == nil {
		s.client.config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	s.client.config.InsecureSkipVerify = true
	return nil
}

func (s *statement) setDataDir(_ *caddy.Controller, args []string, root string) error {
	s.dataDir = rooted(root, args)[0]
	return nil
}

func (s *statement) setFall(_ *caddy.Controller, args []string, _ string) error {
	s.fall.SetZonesFromArgs(args)
	return nil
}

// rooted are paths below the directory that the plugin root states.
func rooted(root string, paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		if out[i] = p; !filepath.IsAbs(p) && root != "" {
			out[i] = filepath.Join(root, p)
		}
	}
	return out
}
