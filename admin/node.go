package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
)

func (a *Admin) live(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, api.Live{Alive: true})
}

// ready is whether the node can answer. A refused reload does not make it
// unready: what was in force goes on answering.
func (a *Admin) ready(w http.ResponseWriter, _ *http.Request) {
	c := a.process.Condition()
	r := api.Ready{DNSReady: c.Bound, HealthReady: c.Settled, Config: configState(c)}
	r.Suspect = a.engine.Awareness().Suspect
	if askerOf(w).role == spec.RoleNone {
		r.Config.File, r.Config.Error = "", "" // how it is, but not what is in the files
	}
	r.Ready = r.DNSReady && r.HealthReady
	switch {
	case !c.Settled:
		r.Message = "waiting for the first verdict of every probe"
	case !c.Bound:
		r.Message = "DNS is not served yet"
	case r.Suspect:
		r.Message = "ready, and cut off itself, it seems: verdicts are held"
	case c.ReloadError != "":
		r.Message = "ready, with the configuration from before a reload that was refused"
	default:
		r.Message = "ready"
	}
	code := http.StatusOK
	if !r.Ready {
		code = http.StatusServiceUnavailable
	}
	respond(w, code, r)
}

func configState(c Condition) api.ConfigState {
	return api.ConfigState{
		OK: c.ReloadError == "", File: c.Config, LoadedAt: c.LoadedAt.UTC(),
		Error: c.ReloadError, ErrorAt: c.ReloadErrorAt.UTC(),
	}
}

func (a *Admin) version(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, api.Version{
		Version: a.process.Condition().Version, GoVersion: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, GeneratedAt: time.Now().UTC(),
	})
}

// maxStatusZones is how many zones a status lists.
const maxStatusZones = 1000

func (a *Admin) status(w http.ResponseWriter, r *http.Request) {
	c, now := a.process.Condition(), time.Now()
	st := api.Status{
		Version: c.Version, StartedAt: c.Started.UTC(), UptimeSeconds: int64(now.Sub(c.Started) / time.Second),
		Ready: c.Bound && c.Settled, DNSReady: c.Bound, HealthReady: c.Settled,
		Listeners: api.Listeners{DNS: []string{}, DNSOverTLS: []string{}}, Zones: []api.Zone{},
		Overrides: len(a.engine.Overrides()), Awareness: awareness(a.engine.Awareness()),
		Config: configState(c), Warnings: orEmpty(c.Warnings), GeneratedAt: now.UTC(),
	}
	st.Maintenance, st.MaintenancePlanned = a.engine.MaintenanceNow()
	for _, addr := range c.DNS {
		st.Listeners.DNS = append(st.Listeners.DNS, addr.String())
	}
	for _, addr := range c.DNSOverTLS {
		st.Listeners.DNSOverTLS = append(st.Listeners.DNSOverTLS, addr.String())
	}
	if s := a.engine.Spec(); s != nil {
		st.Node = api.Node{Name: s.Node.Name, Region: s.Node.Region}
		st.PoolsTotal, st.ChecksTotal = len(s.Pools), len(s.Checks)
		st.Listeners.Admin = listening(s.Admin, r).String()
	}
	if s := a.engine.Snapshot(); s != nil {
		st.ZonesTotal, st.ServicesTotal = len(s.Table.Zones), s.Table.Services()
		for i, z := range s.Table.Zones {
			d := s.Table.Data(i)
			st.Zones = append(st.Zones, api.Zone{
				Name: z.Text, Services: z.Services, Records: d.Records, Serial: d.Serial, Signed: d.Signed,
			})
		}
		slices.SortFunc(st.Zones, func(x, y api.Zone) int { return strings.Compare(x.Name, y.Name) })
		st.Zones = st.Zones[:min(len(st.Zones), maxStatusZones)]
	}
	for _, d := range a.engine.Geo().Databases {
		if d.Error != "" {
			st.Warnings = append(st.Warnings, fmt.Sprintf("geo.databases: %s cannot be used, the one loaded before stays: %s", d.File, d.Error))
		}
	}
	st.Endpoints = total(census(a.engine.Endpoints()))
	respond(w, http.StatusOK, st)
}

func awareness(a health.Awareness) api.Awareness {
	return api.Awareness{
		Suspect: a.Suspect, Since: a.Since.UTC(), Silent: a.Silent, Asked: a.Asked, Share: a.Share, Cut: a.Cut, Held: a.Held,
		Stalls: a.Stalls, StalledAt: a.StalledAt.UTC(), StallSeconds: a.Long.Seconds(),
		ClockJumps: a.Jumps, JumpedAt: a.JumpedAt.UTC(), JumpSeconds: a.By.Seconds(), Idle: a.Idle,
	}
}

// listening is the address that the configuration states, with the port that
// the request came in at where it leaves that open.
func listening(conf spec.Admin, r *http.Request) netip.AddrPort {
	if conf.Listen.Port() == 0 {
		if at, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
			return netip.AddrPortFrom(conf.Listen.Addr(), at.AddrPort().Port())
		}
	}
	return conf.Listen
}

// reload does not stop when the client leaves: a reload is whole or is not.
func (a *Admin) reload(w http.ResponseWriter, r *http.Request) {
	because, ok := why(w, r)
	if !ok {
		return
	}
	var refused error
	err := a.engine.Audit().Announce(because.Entry(audit.Reload, "", ""), func() error {
		refused = a.process.Reload(context.WithoutCancel(r.Context()))
		return refused
	})
	switch {
	case refused == nil && err != nil:
		a.log.Error("not reloaded", "error", err)
		refuse(w, http.StatusInternalServerError, "the audit log could not be written, so nothing was reloaded: %s", err)
		return
	case refused != nil:
		err = refused
		p := &api.Problem{Status: http.StatusUnprocessableEntity, Detail: err.Error()}
		var many spec.Errors
		if errors.As(err, &many) {
			for _, e := range many {
				p.Errors = append(p.Errors, e.Error())
			}
		} else {
			p.Errors = strings.Split(err.Error(), "\n")
		}
		problem(w, p)
		return
	}
	c := a.process.Condition()
	done := api.Reloaded{Reloaded: true, File: c.Config, LoadedAt: c.LoadedAt.UTC(), Warnings: orEmpty(c.Warnings)}
	if s := a.engine.Snapshot(); s != nil {
		done.Zones, done.Services = len(s.Table.Zones), s.Table.Services()
	}
	respond(w, http.StatusOK, done)
}

// orEmpty is the list as JSON shows it: [] and never null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
