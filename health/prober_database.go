package health

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

func mysqlProber(c Check) (probe.Prober, error) {
	a := c.Ask.(*spec.SQLCheck)
	t, err := optionallySecured(c)
	if err != nil {
		return nil, err
	}
	key, err := serverKey(a.ServerKey)
	if err != nil {
		return nil, fmt.Errorf("server_key: %w", err)
	}
	return probe.NewMySQL(probe.MySQL{
		User: a.User, Password: a.Password, Database: a.Database, ServerKey: key,
		Query: a.Query, Expect: conditions(a.Expect), Role: probe.Role(a.Role), TLS: t,
	})
}

func postgresProber(c Check) (probe.Prober, error) {
	a := c.Ask.(*spec.SQLCheck)
	t, err := optionallySecured(c)
	if err != nil {
		return nil, err
	}
	return probe.NewPostgres(probe.Postgres{
		User: a.User, Password: a.Password, Database: a.Database,
		Query: a.Query, Expect: conditions(a.Expect), Role: probe.Role(a.Role), TLS: t,
	})
}

func redisProber(c Check) (probe.Prober, error) {
	a := c.Ask.(*spec.RedisCheck)
	t, err := optionallySecured(c)
	if err != nil {
		return nil, err
	}
	return probe.NewRedis(probe.Redis{
		User: a.User, Password: a.Password,
		Command: a.Command, Expect: conditions(a.Expect), Role: probe.Role(a.Role), TLS: t,
	})
}

func prometheusProber(c Check) (probe.Prober, error) {
	a := c.Ask.(*spec.PrometheusCheck)
	t, err := optionallySecured(c)
	if err != nil {
		return nil, err
	}
	return probe.NewPrometheus(probe.Prometheus{
		TLS: t, Path: a.Path, Host: c.Host, Headers: a.Headers, Metric: a.Metric, Labels: a.Labels,
		Aggregate: probe.Aggregate(a.Aggregate), Expect: conditions(a.Expect),
	})
}

// optionallySecured is the TLS side of a check, nil where it has none.
func optionallySecured(c Check) (*probe.TLSConfig, error) {
	if c.TLS == nil {
		return nil, nil //nolint:nilnil // no TLS is a thing to ask for
	}
	return secured(c)
}

func conditions(cs []spec.Condition) []probe.Condition {
	var out []probe.Condition
	for _, c := range cs {
		out = append(out, probe.Condition{Op: c.Op, Text: c.Text})
	}
	return out
}

// serverKey reads a public key; no file is no key.
func serverKey(file string) (*rsa.PublicKey, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // none is stated
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", file)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	of, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no public RSA key", file)
	}
	return of, nil
}
