package admin_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/spec"
)

func TestReady(t *testing.T) {
	n := newNode(t, configuration)
	c := &n.process.condition
	for _, x := range []struct {
		bound, settled bool
		bad            string
		code           int
		message        string
	}{
		{true, true, "", 200, "ready"},
		{true, false, "", 503, "waiting for the first verdict of every probe"},
		{false, true, "", 503, "DNS is not served yet"},
		{false, false, "", 503, "waiting for the first verdict of every probe"},
		{true, true, "rhumb.yaml:1:1: dns: wrong", 200, "ready, with the configuration from before a reload that was refused"},
	} {
		c.Bound, c.Settled, c.ReloadError = x.bound, x.settled, x.bad
		r := decode[api.Ready](t, n.ask("GET", "/api/v1/ready", ""), x.code)
		if r.Ready != (x.code == 200) || r.Message != x.message || r.DNSReady != x.bound || r.HealthReady != x.settled ||
			r.Config.OK != (x.bad == "") || r.Config.Error != x.bad || r.Config.File != c.Config || !r.Config.LoadedAt.Equal(began) {
			t.Errorf("%+v: %+v", x, r)
		}
	}
}

func TestStatus(t *testing.T) {
	n := newNode(t, configuration).probed()
	n.process.condition.Warnings = []string{"rhumb.yaml:1:1: node.data_dir: not stated"}
	set(t, n, "www.gslb.example.com", "192.0.2.10", false)
	s := decode[api.Status](t, n.ask("GET", "/api/v1/status", ""), http.StatusOK)
	if s.Node != (api.Node{Name: "ns1", Region: "eu-west"}) || s.Version != "v1.2.3" || !s.StartedAt.Equal(began) || s.UptimeSeconds <= 0 || !s.Ready {
		t.Errorf("%+v", s)
	}
	if want := (api.EndpointCounts{Total: 6, Up: 4, Down: 2}); s.Endpoints != want {
		t.Errorf("endpoints %+v, want %+v", s.Endpoints, want)
	}
	if want := "[{example.org. 1 3 1 false} {gslb.example.com. 6 3 1 false}]"; fmt.Sprint(s.Zones) != want {
		t.Errorf("zones %v, want %s", s.Zones, want)
	}
	if s.ZonesTotal != 2 || s.ServicesTotal != 7 || s.PoolsTotal != 4 || s.ChecksTotal != 2 || s.Overrides != 1 || len(s.Warnings) != 1 {
		t.Errorf("%+v", s)
	}
	if fmt.Sprint(s.Listeners) != "{[127.0.0.1:5300] [127.0.0.1:8853] 127.0.0.1:8080}" {
		t.Errorf("%+v", s.Listeners)
	}
}

func TestVersion(t *testing.T) {
	v := decode[api.Version](t, newNode(t, "").ask("GET", "/api/v1/version", ""), http.StatusOK)
	if v.Version != "v1.2.3" || v.GoVersion != runtime.Version() || v.Platform != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("%+v", v)
	}
}

func TestReload(t *testing.T) {
	n := newNode(t, configuration)
	r := decode[api.Reloaded](t, n.ask("POST", "/api/v1/reload", ""), http.StatusOK)
	if !r.Reloaded || r.Zones != 2 || r.Services != 7 || r.File != "/etc/rhumb/rhumb.yaml" || n.process.reloads != 1 {
		t.Errorf("%+v after %d reloads", r, n.process.reloads)
	}
	bad := spec.Errors{
		{File: "a.yaml", Line: 1, Col: 2, Path: "dns.lisen", Msg: "no such key; listen was meant?"},
		{File: "b.yaml", Msg: "no such file"},
	}
	for _, c := range []struct {
		err  error
		want []string
	}{
		{bad, []string{"a.yaml:1:2: dns.lisen: no such key; listen was meant?", "b.yaml: no such file"}},
		{fmt.Errorf("wrapped: %w", bad), []string{"a.yaml:1:2: dns.lisen: no such key; listen was meant?", "b.yaml: no such file"}},
		{errors.New("dns.listen: 192.0.2.1:53: in use"), []string{"dns.listen: 192.0.2.1:53: in use"}},
	} {
		n.process.refuse = c.err
		p := decode[api.Problem](t, n.ask("POST", "/api/v1/reload", ""), http.StatusUnprocessableEntity)
		if p.Detail != c.err.Error() || fmt.Sprint(p.Errors) != fmt.Sprint(c.want) || p.Title != "Unprocessable Entity" {
			t.Errorf("%+v\nwant %q", p, c.want)
		}
	}
}
