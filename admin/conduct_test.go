package admin_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
)

const conducting = `
checks:
  shut: {type: tcp, port: 1, interval: 1h}
  page: {type: http, port: 1, interval: 1h}
pools:
  eu:
    min_healthy: 2
    failover_delay: 30s
    failback: manual
    damping: {changes: 6}
    max_ejected: 50%
    endpoints: [192.0.2.10, {address: 127.0.0.1, checks: [shut]}]
  us: {endpoints: [198.51.100.10]}
  page: {checks: [page], slow_start: 60s, endpoints: [127.0.0.1]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [eu, us]}
      api: {pools: [eu, us], slow_start: 10s}
      p1: {pools: [page, us]}
`

func TestPools(t *testing.T) {
	n := newNode(t, conducting).run(conducting)
	all := decode[api.Pools](t, n.ask("GET", "/api/v1/pools", ""), http.StatusOK)
	var names []string
	for _, p := range all.Pools {
		names = append(names, p.Name)
	}
	if all.Total != 5 || !slices.Equal(names, []string{"eu", "eu", "page", "us", "us"}) {
		t.Fatal(all.Total, names)
	}
	for i, p := range all.Pools[:2] {
		want := api.PoolConduct{
			FailoverDelaySeconds: 30, Failback: "manual", SlowStartSeconds: p.Conduct.SlowStartSeconds, MaxEjected: 0.5,
			Damping: &api.PoolDamping{Changes: 6, WithinSeconds: 600, HoldSeconds: 60, MaxSeconds: 3600},
		}
		if d := *p.Conduct.Damping; d != *want.Damping || p.MinHealthy != 2 || p.Standing || p.Moving || p.Service != "" {
			t.Errorf("%d: %+v", i, p)
		}
		p.Conduct.Damping, want.Damping = nil, nil
		if *p.Conduct != want {
			t.Errorf("%d: %+v", i, p.Conduct)
		}
		if p.Why != "pool eu does not stand: it has not had min_healthy (2) endpoints up yet, and has 1 of 2 endpoints up" {
			t.Error(p.Why)
		}
		if e := p.Endpoints; e[0].State != "up" || e[0].Share != 1 || e[1].State != "down" || e[1].Share != 0 || e[1].Judged != "down" ||
			e[1].Why != "check shut: connection refused" {
			t.Errorf("%+v", e)
		}
	}
	if page := all.Pools[2]; page.Service != "p1.gslb.example.com." || page.Standing {
		t.Errorf("%+v", page)
	}
	if us := all.Pools[3]; us.Conduct.SlowStartSeconds != 10 { // as api wants it
		t.Errorf("%+v", us)
	}
	if us := all.Pools[4]; us.Conduct != nil || !us.Standing || us.Why != "pool us stands with 1 of 1 endpoints up (min_healthy 1)" {
		t.Errorf("%+v", us)
	}
	if one := decode[api.Pools](t, n.ask("GET", "/api/v1/pools?pool=us", ""), http.StatusOK); one.Total != 2 {
		t.Errorf("%+v", one)
	}
	if got := refused(t, n.ask("POST", "/api/v1/pools/eu/failback", ""), http.StatusConflict); got != "pool eu: too few endpoints are up: 1 of 2 endpoints up, min_healthy 2" {
		t.Error(got)
	}
	if got := refused(t, n.ask("POST", "/api/v1/pools/none/failback", ""), http.StatusNotFound); got != "pool none: no such pool is in use" {
		t.Error(got)
	}
	if f := decode[api.Failback](t, n.ask("POST", "/api/v1/pools/us/failback", ""), http.StatusOK); f.Changed || len(f.Pools) != 2 {
		t.Errorf("%+v", f)
	}
	// Before any configuration there are none.
	if none := decode[api.Pools](t, newNode(t, "").ask("GET", "/api/v1/pools", ""), http.StatusOK); none.Total != 0 {
		t.Errorf("%+v", none)
	}
}
