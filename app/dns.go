package app

import (
	"crypto/tls"
	"fmt"

	"github.com/rhumb-dns/rhumb/server"
	"github.com/rhumb-dns/rhumb/server/tap"
	"github.com/rhumb-dns/rhumb/spec"
)

// bindDNS makes ready what the configuration states about the DNS sockets. It
// changes nothing.
func (a *App) bindDNS(d *spec.DNS) (*server.Change, error) {
	setup := server.Setup{
		Listen:  d.Listen,
		Proxies: d.Proxies,
		Limits: server.Limits{
			Idle: d.TCP.IdleTimeout, MaxConns: d.TCP.MaxConnections, MaxPerClient: d.TCP.MaxPerClient,
			PerSecond: d.TCP.ConnectionsPerSecond, Queries: d.TCP.QueriesPerSecond,
		},
		UDP:          server.UDP{Workers: workers(d.UDP.Workers), Pin: d.UDP.Pin, ReceiveBuffer: d.UDP.ReceiveBuffer},
		Access:       server.Access(d.Access),
		NoCookieSize: d.NoCookieUDPSize,
	}
	if d.Dnstap != nil {
		setup.Tap = a.tapConfig(d.Dnstap)
	}
	if setup.Limits.PerSecond == 0 {
		setup.Limits.PerSecond = -1 // no limit, where 0 is the default
	}
	if r := d.RateLimit; r.On {
		setup.RateLimit = &server.RateLimit{
			Answers: r.Responses, NoData: r.NoData, NXDomains: r.NXDomains, Referrals: r.Referrals, Errors: r.Errors,
			All: r.All, Slip: r.Slip, Bits4: r.IPv4Prefix, Bits6: r.IPv6Prefix, Exempt: r.Exempt,
			Accounts: r.Accounts, DryRun: r.DryRun,
		}
	}
	if d.TLS != nil {
		// It was good when the configuration was read; it may have changed.
		cert, err := tls.LoadX509KeyPair(d.TLS.Cert, d.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("dns.tls: %w", err)
		}
		setup.TLS, setup.Certificate = d.TLS.Listen, &cert
	}
	return a.dns.Bind(setup)
}

// tapConfig is dnstap as the configuration states it.
func (a *App) tapConfig(d *spec.Dnstap) *tap.Config {
	c := &tap.Config{
		Network: d.Network, Address: d.Address,
		Queries: d.Queries, Responses: d.Responses, Sample: d.Sample,
		Identity: d.Identity, Version: "rhumb " + a.version,
		Buffer: d.Buffer,
	}
	if d.Version != "" {
		c.Version = d.Version
	}
	return c
}
