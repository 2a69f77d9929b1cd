package health

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/spec"
)

// newWordRig is a board with an audit log, over the pools eu (10.0.0.1, .2) and
// us (10.0.0.2, .3).
func newWordRig(t *testing.T, d *disk, log *audit.Log) *rig {
	t.Helper()
	f := newFake()
	l := &logs{}
	o := Options{Logger: slog.New(slog.NewTextHandler(l, nil)), Audit: log, Prober: f.prober}
	if d != nil {
		o.Keeper = d
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Board: b, t: t, fake: f, log: l}
	r.applyPools(twoPools())
	return r
}

func twoPools() map[string]*spec.Pool {
	eu := &spec.Place{Region: "eu", Continent: "EU", Country: "IE", Subdivision: "L", City: "Dublin", ASN: 64500}
	us := &spec.Place{Region: "us", Continent: "NA", Country: "US"}
	end := func(n int, p *spec.Place, tags ...string) spec.Endpoint {
		return spec.Endpoint{Address: mustAddr(at(n)), Place: p, Tags: tags}
	}
	return map[string]*spec.Pool{
		"eu": {Name: "eu", Endpoints: []spec.Endpoint{end(1, eu, "ssd"), end(2, eu)}},
		"us": {Name: "us", Endpoints: []spec.Endpoint{end(2, us), end(3, us, "SSD", "big")}},
	}
}

// applyPools makes 10.0.0.1 to .4 the targets, and the pools what is selected from.
func (r *rig) applyPools(pools map[string]*spec.Pool) {
	r.t.Helper()
	targets := []Target{target(1), target(2), target(3), target(4)}
	p, err := r.Prepare(targets, locator(targets))
	if err != nil {
		r.t.Fatal(err)
	}
	p.Pools = pools
	r.Apply(p)
}

// states are the states of the targets for service A: u up, d down, a digit the
// tenths of its share that one has left.
func (r *rig) states() string {
	var b strings.Builder
	v := r.View()
	for i := range v.Len() {
		s, _ := v.Of(i, []byte(serviceA))
		switch share := v.Share(i, []byte(serviceA)); {
		case share < Whole && s == Up:
			fmt.Fprint(&b, int(share)*10/Whole)
		default:
			b.WriteString(s.String()[:1])
		}
	}
	return b.String()
}

func (r *rig) wantStates(want string) {
	r.t.Helper()
	if got := r.states(); got != want {
		r.t.Errorf("at %s the states are %s, want %s", clock(), got, want)
	}
}

// done is what the audit log has, a line for each entry.
func done(log *audit.Log) string {
	var b strings.Builder
	all, _ := log.Read(audit.Query{})
	for _, e := range all {
		fmt.Fprintf(&b, "%s %s|%s|%s|%s|%s\n", e.At.Format(time.TimeOnly), e.Who, e.What, e.How, e.Why, e.Failed)
	}
	return b.String()
}

func newLog(t *testing.T) *audit.Log {
	t.Helper()
	log, _, err := audit.Open("")
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestOverrideLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := newDisk(), newLog(t)
		r := newWordRig(t, d, log).run()
		now := time.Now()
		set := func(n int, o Overriding) {
			t.Helper()
			o.Service, o.Endpoint, o.Since, o.Source = "a.example", at(n), now, "ops"
			if err := r.SetOverride(o); err != nil {
				t.Fatal(err)
			}
		}
		set(1, Overriding{Until: now.Add(2 * time.Hour), Reason: "disk"})
		set(2, Overriding{Drain: true, Over: 10 * time.Minute, Until: now.Add(time.Hour)})
		set(3, Overriding{})
		r.wantStates("dudu") // the drain has just begun
		after(30 * time.Minute)
		r.wantStates("dddu")
		after(30*time.Minute + time.Second)
		r.wantStates("dudu")
		if len(r.Overrides()) != 2 || len(d.kept[overrideBucket]) != 2 {
			t.Errorf("after it lapsed: %+v, on disk %q", r.Overrides(), d.kept[overrideBucket])
		}
		r.stop()

		// A restart that the end falls into, and the entry that is written for it.
		after(2 * time.Hour)
		r = newWordRig(t, d, log)
		r.wantStates("uudu")
		r.run()
		soon()
		if len(d.kept[overrideBucket]) != 1 || len(r.Overrides()) != 1 {
			t.Errorf("after a restart: %q", d.kept[overrideBucket])
		}
		r.stop()
		const want = `00:00:00 ops|override set|down, until 2000-01-01T02:00:00Z|disk|
00:00:00 ops|drain set|over 10m0s, until 2000-01-01T01:00:00Z||
00:00:00 ops|override set|down||
01:00:00 (node)|override lapsed|set by ops|its end was 2000-01-01T01:00:00Z|
03:00:01 (node)|override lapsed|set by ops|its end was 2000-01-01T02:00:00Z|
`
		if got := done(log); got != want {
			t.Errorf("the audit log has\n%swant\n%s", got, want)
		}
	})
}

func TestOverrideEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		d := newDisk()
		r := newWordRig(t, d, log)
		now := time.Now()
		for want, o := range map[string]Overriding{
			"its end is not ahead":  {Since: now, Until: now},
			"state a later end":     {Since: now, Drain: true, Over: time.Hour, Until: now.Add(time.Hour)},
			"it ends at most 8784h": {Since: now, Until: now.Add(MaxAhead + 1)},
		} {
			o.Service, o.Endpoint = "a.example", at(1)
			if err := r.SetOverride(o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v", o, err)
			}
		}
		// What could not be kept is announced, and then said to have failed.
		d.broken = true
		if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: at(1), Source: "ops"}); !errors.Is(err, errDisk) {
			t.Error(err)
		}
		r.wantStates("uuuu")
		if got := done(log); strings.Count(got, "\n") != 2 || !strings.HasSuffix(got, "|no space left on device\n") {
			t.Errorf("the audit log has %s", got)
		}
	})
}

func TestMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := newDisk(), newLog(t)
		r := newWordRig(t, d, log).run()
		now := time.Now()
		by := audit.By{Who: "ops", Why: "power"}
		m, err := r.AddMaintenance(Maintenance{
			Select: Selection{Pools: []string{"eu"}}, From: now.Add(time.Hour), Until: now.Add(3 * time.Hour), Drain: 50 * time.Minute,
		}, by)
		if err != nil {
			t.Fatal(err)
		}
		if all := r.Maintenance(); len(all) != 1 || strings.Join(all[0].Endpoints, " ") != at(1)+" "+at(2) || all[0].ID != m.ID {
			t.Errorf("%+v", all)
		}
		after(time.Hour - time.Second)
		r.wantStates("uuuu")
		after(26*time.Minute + time.Second)
		r.wantStates("44uu") // in every pool and service that has them
		if det := r.View().Detail(0, []byte(serviceB)); det.Authority != Draining || !strings.Contains(det.Reason, "maintenance "+m.ID+" until 2000-01-01T03:00:00Z: power (ops)") {
			t.Errorf("%+v", det)
		}
		if r.View().Judged(0).State != Up || r.View().State(0) != Up {
			t.Error("the checks were not asked")
		}
		after(30 * time.Minute)
		r.wantStates("dduu")
		if det := r.View().Detail(1, nil); det.Authority != Upkeep || det.State != Down || det.Reason != "maintenance "+m.ID+" until 2000-01-01T03:00:00Z: power (ops)" {
			t.Errorf("%+v", det)
		}

		// A word on one endpoint of one service stands above it, and a drain does not.
		if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: at(1), Healthy: true, Source: "ops"}); err != nil {
			t.Fatal(err)
		}
		if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: at(2), Drain: true, Over: time.Hour, Since: time.Now(), Source: "ops"}); err != nil {
			t.Fatal(err)
		}
		r.wantStates("uduu")
		if s, _ := r.View().Of(0, []byte(serviceB)); s != Down {
			t.Error("the word is for service A alone")
		}
		for n := range 2 {
			if err := r.ClearOverride(serviceA, at(n+1), by); err != nil {
				t.Fatal(err)
			}
		}

		// A reload changes what is selected.
		pools := twoPools()
		pools["eu"].Endpoints[1] = spec.Endpoint{Address: mustAddr(at(4))}
		r.applyPools(pools)
		r.wantStates("duud")
		r.applyPools(twoPools())
		r.stop()

		// In force after a restart, without being announced anew; over after its end.
		r = newWordRig(t, d, log)
		r.wantStates("dduu")
		r.run()
		after(time.Minute)
		r.wantStates("dduu")
		after(64 * time.Minute)
		r.wantStates("uuuu")
		if len(r.Maintenance()) != 0 || len(d.kept[upkeepBucket]) != 0 {
			t.Errorf("over: %+v, on disk %q", r.Maintenance(), d.kept[upkeepBucket])
		}
		r.stop()
		got := done(log)
		for _, want := range []string{
			"00:00:00 ops|maintenance added|pool eu, from 2000-01-01T01:00:00Z until 2000-01-01T03:00:00Z, draining over 50m0s, endpoints now: 10.0.0.1 10.0.0.2|power|\n",
			"01:00:00 (node)|maintenance began|set by ops, endpoints now: 10.0.0.1 10.0.0.2|power|\n",
			"(node)|maintenance ended|set by ops|power|\n",
		} {
			if strings.Count(got, want) != 1 {
				t.Errorf("the audit log has\n%swithout one\n%s", got, want)
			}
		}
	})
}

func TestMaintenanceCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := newDisk(), newLog(t)
		r := newWordRig(t, d, log)
		by := audit.By{Who: "ops"}
		add := func(m Maintenance) Maintenance {
			t.Helper()
			m, err := r.AddMaintenance(m, by)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		later := time.Now().Add(time.Hour)
		long := add(Maintenance{Select: Selection{Endpoints: []string{at(3)}}, Until: later.Add(time.Hour)})
		short := add(Maintenance{Select: Selection{Tags: []string{"SSD"}}, Until: later})
		r.wantStates("dudu")
		if why := r.View().Detail(2, nil).Reason; !strings.Contains(why, long.ID) {
			t.Errorf("not that which lasts longest: %s", why)
		}
		if err := r.CancelMaintenance(long.ID, by); err != nil {
			t.Fatal(err)
		}
		r.wantStates("dudu")
		d.broken = true
		if err := r.CancelMaintenance(short.ID, by); !errors.Is(err, errDisk) {
			t.Error(err)
		}
		r.wantStates("dudu")
		d.broken = false
		if err := r.CancelMaintenance(short.ID, by); err != nil {
			t.Fatal(err)
		}
		r.wantStates("uuuu")
		if err := r.CancelMaintenance(short.ID, by); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		d.broken = true
		if _, err := r.AddMaintenance(Maintenance{Select: Selection{Pools: []string{"eu"}}, Until: later}, by); !errors.Is(err, errDisk) {
			t.Error(err)
		}
		r.wantStates("uuuu")
	})
}

func TestMaintenanceRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWordRig(t, nil, nil)
		now := time.Now()
		eu := Selection{Pools: []string{"eu"}}
		for _, c := range []struct {
			m    Maintenance
			want error
			text string
		}{
			{Maintenance{Until: now.Add(time.Hour)}, ErrInvalid, "it selects nothing"},
			{Maintenance{Select: eu, From: now.Add(2 * time.Hour), Until: now.Add(time.Hour)}, ErrInvalid, "it is not after at"},
			{Maintenance{Select: eu, From: now.Add(-time.Hour), Until: now.Add(time.Hour)}, ErrInvalid, "it is past"},
			{Maintenance{Select: eu, From: now.Add(-time.Second), Until: now}, ErrPast, "until 2000"},
			{Maintenance{Select: eu, Until: now.Add(time.Hour), Drain: time.Hour}, ErrInvalid, "drain: 1h0m0s"},
			{Maintenance{Select: eu, Until: now.Add(time.Hour), Drain: -1}, ErrInvalid, "drain: -1ns"},
			{Maintenance{Select: eu, Until: now.Add(2 * MaxAhead)}, ErrInvalid, "at most 8784h ahead"},
			{Maintenance{Select: Selection{Pools: []string{"eu"}, Tags: []string{"big"}}, Until: now.Add(time.Hour)}, ErrNotFound, "pool eu, tag big"},
		} {
			if _, err := r.AddMaintenance(c.m, audit.By{}); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%+v: %v", c.m, err)
			}
		}
		for range maxMaintenance {
			if _, err := r.AddMaintenance(Maintenance{Select: eu, From: now.Add(time.Minute), Until: now.Add(time.Hour)}, audit.By{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.AddMaintenance(Maintenance{Select: eu, Until: now.Add(time.Hour)}, audit.By{}); !errors.Is(err, ErrTooMany) {
			t.Error(err)
		}
	})
}

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		s    Selection
		want string
	}{
		{Selection{Pools: []string{"eu", "us"}}, "1 2 3"},
		{Selection{Pools: []string{"EU"}}, ""},
		{Selection{Endpoints: []string{"::ffff:10.0.0.3"}}, ""}, // another address
		{Selection{Endpoints: []string{"10.0.0.3"}}, "3"},
		{Selection{Tags: []string{"ssd"}}, "1 3"},
		{Selection{Tags: []string{"ssd"}, Pools: []string{"us"}}, "3"},
		{Selection{Regions: []string{"EU"}}, "1 2"},
		{Selection{Continents: []string{"na", "eu"}}, "1 2 3"},
		{Selection{Countries: []string{"ie"}}, "1 2"},
		{Selection{Countries: []string{"IE"}, Regions: []string{"us"}}, ""},
		{Selection{Subdivisions: []string{"l"}}, "1 2"},
		{Selection{Cities: []string{"dublin"}}, "1 2"},
		{Selection{ASNs: []uint32{64500}}, "1 2"},
		{Selection{Cities: []string{""}}, ""},
	} {
		c.s = c.s.canonical()
		got := strings.ReplaceAll(strings.Join(c.s.endpoints(twoPools()), " "), "10.0.0.", "")
		if got != c.want {
			t.Errorf("%+v selects %q, want %q", c.s, got, c.want)
		}
	}
}
