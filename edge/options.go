package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// The defaults and limits of Options.
const (
	DefaultTTL          = 300 // seconds
	DefaultSyncInterval = 5 * time.Minute
	DefaultTimeout      = 4 * time.Second
	MinSyncInterval     = 5 * time.Second
	MinTimeout          = time.Second
	MinSecret           = 8 // octets
	DefaultMaxRecords   = 5_000_000
)

// Options are what an Edge is told. Zone, Endpoints, Secret, Put and Apex are needed.
type Options struct {
	Zone dnswire.Name
	// Endpoints are the URLs of controllers, in the order in which they are asked: the
	// next one only while those before it fail.
	Endpoints []string
	Secret    string // shared with the controllers, both ways
	NodeIP    string // how the node is called at the controller; empty: not said
	TTL       uint32 // seconds, of records that state none; 0: DefaultTTL
	// SyncInterval is how often a controller is asked for changes. 0: DefaultSyncInterval.
	SyncInterval time.Duration
	// Timeout is how long a controller may take to answer, and then to go on with its
	// answer. 0: DefaultTimeout.
	Timeout time.Duration
	// Regions are those whose records are wanted; none, or one that is "all": of all.
	Regions []string
	TLS     *tls.Config // for https; nil: as the system has it
	// MaxRecords is how many DNS records the zone may have: one for each address or alias.
	// It may have as many names. 0: DefaultMaxRecords.
	MaxRecords int
	// DataDir is where the records are kept over a restart; empty: they are not.
	DataDir string
	Logger  *slog.Logger // nil: silent
	Metrics *Metrics     // nil: none
	// Put puts data in force. It is called by one goroutine at a time, and what it has
	// refused is not in force.
	Put func(*zone.Data) error
	// Ahead does of a Put of data what takes long, before anybody has to wait: changes are
	// told and put meanwhile. What it returns is Put for these data, or what was amended of
	// them. Nil: there is nothing of the kind.
	Ahead func(*zone.Data) (put func(*zone.Data) error, err error)
	// Apex are the records that the configuration has of the zone: SOA and NS of its own
	// name, and what else the data need. A controller cannot state records of these names
	// and types.
	Apex []text.Record
}

// limits are what an edge takes of a controller.
type limits struct {
	body     int64         // octets of an answer, unpacked
	transfer time.Duration // of an answer to its end, at least
	notice   int64         // octets of a notification
	event    int           // octets of an event
}

var usual = limits{body: 1 << 30, transfer: time.Minute, notice: 8 << 20, event: 8 << 20}

// check sets what is left out, and says what is wrong with the others.
func (o *Options) check() error {
	if o.Zone == "" {
		return errors.New("zone is required (specify zone in server block, e.g., gslb.elchi)")
	}
	if len(o.Endpoints) == 0 {
		return errors.New("endpoint is required")
	}
	o.Endpoints = slices.Clone(o.Endpoints)
	for i, e := range o.Endpoints {
		if err := CheckEndpoint(e); err != nil {
			return err
		}
		o.Endpoints[i] = strings.TrimRight(e, "/")
	}
	switch {
	case o.Secret == "":
		return errors.New("secret is required")
	case len(o.Secret) < MinSecret:
		return fmt.Errorf("secret must be at least %d characters long", MinSecret)
	case strings.ContainsFunc(o.Secret, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.TrimSpace(o.Secret) != o.Secret:
		return errors.New("secret goes into a header: it can have no control characters, and no white space at its ends")
	case o.TTL > maxTTL:
		return fmt.Errorf("ttl must be at most %d", maxTTL)
	case o.Put == nil:
		return errors.New("nobody takes the data")
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.MaxRecords == 0 {
		o.MaxRecords = DefaultMaxRecords
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = DefaultSyncInterval
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	switch {
	case o.SyncInterval < MinSyncInterval:
		return fmt.Errorf("sync_interval must be at least %v", MinSyncInterval)
	case o.Timeout < MinTimeout:
		return fmt.Errorf("timeout must be at least %v", MinTimeout)
	case o.SyncInterval <= o.Timeout:
		return errors.New("sync_interval must be greater than timeout")
	}
	if slices.Contains(o.Regions, "all") {
		o.Regions = nil
	}
	for _, r := range o.Regions {
		if err := CheckRegion(r); err != nil {
			return err
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// CheckEndpoint says what is wrong with an endpoint.
func CheckEndpoint(e string) error {
	u, err := url.Parse(e)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("endpoint %s is no URL of a controller, such as http://controller:8080", quoted(shown(e)))
	}
	return nil
}

// CheckRegion says what is wrong with a region.
func CheckRegion(r string) error {
	if r == "" || strings.ContainsAny(r, ", \t\r\n") {
		return fmt.Errorf("region %s: a region is a word without commas", quoted(r))
	}
	return nil
}

// shown is a URL without what may let somebody in.
func shown(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "that cannot be parsed"
	}
	return u.Redacted()
}

// dotless is a name as controllers write it.
func dotless(n dnswire.Name) string {
	if n.IsRoot() {
		return "."
	}
	return strings.TrimSuffix(n.String(), ".")
}
