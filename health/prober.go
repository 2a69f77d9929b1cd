package health

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// probers make the probes of the types of checks. A type that is not here is none
// of this version.
var probers = map[spec.CheckType]func(Check) (probe.Prober, error){
	spec.CheckTCP:   tcpProber,
	spec.CheckTLS:   tlsProber,
	spec.CheckGRPC:  grpcProber,
	spec.CheckICMP:  icmpProber,
	spec.CheckDNS:   dnsProber,
	spec.CheckSMTP:  smtpProber,
	spec.CheckHTTP:  httpProber,
	spec.CheckHTTPS: httpProber,

	spec.CheckMySQL:      mysqlProber,
	spec.CheckPostgres:   postgresProber,
	spec.CheckRedis:      redisProber,
	spec.CheckPrometheus: prometheusProber,

	spec.CheckScript: scriptProber,
	spec.CheckLua:    luaProber,
}

// NewProber makes the probe of a check. It reads the files that the check names.
func NewProber(c Check) (probe.Prober, error) {
	if make, ok := probers[c.Type]; ok {
		return make(c)
	}
	return nil, fmt.Errorf("type %q: not available in this version", c.Type)
}

// secured is the TLS side of a check that has one.
func secured(c Check) (*probe.TLSConfig, error) {
	t := &probe.TLSConfig{SNI: c.TLS.SNI, SkipVerify: !c.TLS.Verify}
	if t.SNI == "" {
		t.SNI = c.Host
	}
	if c.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		t.Certificate = &pair
	}
	if c.TLS.CA == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.TLS.CA)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	t.Roots = x509.NewCertPool()
	if !t.Roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca: %s holds no PEM certificate", c.TLS.CA)
	}
	return t, nil
}
