package rhumb_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
)

// regional are services of which what they answer is decided before anybody asks,
// or is not, and one that nests another.
const regional = `geo:
  networks: {10.0.0.0/8: {region: lan}}
pools:
  lan: {place: {region: lan}, endpoints: [192.0.2.1]}
  far: {place: {region: far}, endpoints: [192.0.2.2, {address: 192.0.2.3, tags: [old]}]}
  calm: {failover_delay: 1h, endpoints: [192.0.2.1, 192.0.2.4]}
zones:
  example.com:
    nameservers: {ns: 192.0.2.53}
    services:
      near: {pools: [lan, far], steer: [geofence: region, rotate], answers: 0}
      plain: {pools: [lan, far], steer: failover, answers: 0}
      outer: {pools: [{service: near}, far], steer: failover, answers: 0}
      calm: {pools: [calm], steer: rotate, answers: 0}
      alone: {pools: [lan]}
`

// Maintenance is in the answers of every service that has an endpoint, whichever
// way they are come by, from its first instant to its last.
func TestMaintenanceAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, rhumb.Options{})
		commit(t, e, parse(t, regional))
		defer run(t, e)()
		synctest.Wait()
		answers := func(service string) string {
			t.Helper()
			var m dns.Msg
			q := query(service + ".example.com")
			q.Client = netip.MustParseAddrPort("10.0.0.1:1")
			if err := m.Unpack(e.Snapshot().Append(nil, q, resolve.NewScratch(1, 2))); err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, rr := range m.Answer {
				a := rr.(*dns.A).A.String()
				all = append(all, a[len(a)-1:])
			}
			slices.Sort(all)
			return strings.Join(all, "")
		}
		want := func(when string, of map[string]string) {
			t.Helper()
			for service, addrs := range of {
				if got := answers(service); got != addrs {
					t.Errorf("%s %s answers %s, want %s", when, service, got, addrs)
				}
			}
		}
		before := map[string]string{"near": "1", "plain": "1", "outer": "1", "calm": "14", "alone": "1"}
		want("before", before)
		m, err := e.AddMaintenance(health.Maintenance{
			Select: health.Selection{Regions: []string{"lan"}}, From: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour),
		}, audit.By{Who: "ops"})
		if err != nil {
			t.Fatal(err)
		}
		want("while it is planned", before)
		during := map[string]string{"near": "23", "plain": "23", "outer": "23", "calm": "4", "alone": "1"} // serve-all
		after(time.Hour + time.Second)
		want("when it began", during)
		commit(t, e, parse(t, regional+"# as it was\n"))
		want("after a reload", during)
		after(time.Hour)
		want("when it ended", before)

		m, err = e.AddMaintenance(health.Maintenance{
			Select: health.Selection{Tags: []string{"old"}, Regions: []string{"far"}}, Until: time.Now().Add(time.Hour),
		}, audit.By{Who: "ops"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = e.AddMaintenance(health.Maintenance{Select: health.Selection{Pools: []string{"lan"}}, Until: time.Now().Add(time.Minute)}, audit.By{}); err != nil {
			t.Fatal(err)
		}
		want("of two", map[string]string{"near": "2", "plain": "2", "outer": "2", "calm": "4"})
		if err := e.CancelMaintenance(m.ID, audit.By{Who: "ops"}); err != nil {
			t.Fatal(err)
		}
		want("of one", map[string]string{"near": "23", "plain": "23"})
		for _, st := range e.Endpoints() {
			if st.Endpoint.String() == "192.0.2.1" && (st.Detail.Authority != health.Upkeep || st.Judged != health.Up) {
				t.Errorf("%+v", st)
			}
		}
		for _, st := range e.Pools() {
			if !st.Stands {
				t.Errorf("%s does not stand: %s", st.Pool.Name, st.Why)
			}
		}
	})
}
