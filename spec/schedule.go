package spec

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec/document"
)

var scheduleSection = section{
	title: "schedule",
	intro: "The argument of `schedule` is a list of windows of time. A pool that some of them name is kept while one of those is open; pools that none names are always kept. When that would be no pool at all, all are kept.",
	example: `pools:
  dublin: {endpoints: [192.0.2.10]}
  night: {endpoints: [198.51.100.10]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      help:
        pools: [dublin, night]
        steer:
          - schedule:
              - {pools: [dublin], days: [mon-fri], from: "08:00", to: "20:00", zone: Europe/Dublin}
          - failover
`,
	fields: []field{
		{name: "pools", typ: "list of pools", need: true, doc: "Those that serve in the window."},
		{name: "days", typ: "list of days", def: "[mon-sun]", doc: "`mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`, or ranges such as `mon-fri` and `sat-mon`: the days on which the window begins."},
		{name: "from", typ: "time of day", def: `"00:00"`, doc: "By the clock of the zone, such as `\"08:30\"`."},
		{name: "to", typ: "time of day", def: `"24:00"`, doc: "Up to `\"24:00\"`. A time that is before `from` is on the day after."},
		{name: "zone", typ: "time zone", def: "UTC", doc: "A name of the IANA database, such as `Europe/Dublin`; summer time is heeded."},
	},
}

// windows decodes the argument of schedule.
func (d *decoder) windows(r document.Node, p *path) []*Window {
	items := d.list(r, p)
	if items != nil && len(items) == 0 {
		d.fail(r, p, "the list is empty: state at least one window")
	}
	var out []*Window
	for i, it := range items {
		if w := d.window(it, p.at(i)); w != nil {
			out = append(out, w)
		}
	}
	return out
}

func (d *decoder) window(r document.Node, p *path) *Window {
	before := len(d.errs)
	o := d.object(&scheduleSection, p, r, r)
	w := &Window{Days: everyDay, From: 0, To: wholeDay, Zone: o.text("zone")}
	if k := o.get("pools"); k != nil {
		w.Pools = d.poolsOf(k, p.dot("pools"))
	}
	if k := o.get("days"); k != nil {
		w.Days = d.days(k.val(), p.dot("days"))
	}
	if k := o.get("from"); k != nil {
		w.From = d.clock(k.val(), p.dot("from"), wholeDay-1)
	}
	if k := o.get("to"); k != nil {
		w.To = d.clock(k.val(), p.dot("to"), wholeDay)
		if len(d.errs) == before && w.From == w.To {
			d.fail(k.val(), p.dot("to"), "the window is never open: it ends when it begins; for a whole day leave from and to out")
		}
	}
	var err error
	// Local would be the node's own zone, and nodes differ.
	if w.Location, err = time.LoadLocation(w.Zone); err != nil || w.Zone == "" || w.Zone == "Local" {
		d.fail(o.get("zone").val(), p.dot("zone"), "unknown time zone %q: a name of the IANA database such as Europe/Dublin or UTC is expected", w.Zone)
	}
	if len(d.errs) > before {
		return nil
	}
	return w
}

// poolsOf are the names of the pools in a list.
func (d *decoder) poolsOf(k *entry, p *path) []string {
	items := d.list(k.val(), p)
	if items != nil && len(items) == 0 {
		d.fail(k.val(), p, "the list is empty: state at least one pool")
	}
	var out []string
	first := map[string]document.Node{}
	for i, it := range items {
		s, ok := d.text(it, p.at(i))
		if !ok {
			continue
		}
		at, twice := first[s]
		_, known := d.pools[s]
		switch {
		case twice:
			d.fail(it, p.at(i), "pool %q is stated twice; first at %s", s, where(at))
		case !known:
			d.fail(it, p.at(i), "%s", unknown("pool", s, maps.Keys(d.pools)))
		default:
			first[s] = it
			out = append(out, s)
		}
	}
	return out
}

// days reads a list of days and ranges of days.
func (d *decoder) days(r document.Node, p *path) Days {
	items := []document.Node{r}
	at := func(int) *path { return p }
	if r.Kind() == document.Sequence {
		items, at = d.list(r, p), p.at
		if len(items) == 0 {
			d.fail(r, p, "the list is empty, and the window is never open: state at least one day")
		}
	}
	var out Days
	for i, it := range items {
		s, ok := d.text(it, at(i))
		if !ok {
			continue
		}
		from, to, isRange := strings.Cut(s, "-")
		if !isRange {
			to = from
		}
		a, okA := d.day(it, at(i), from)
		if !okA {
			continue
		}
		b, okB := d.day(it, at(i), to)
		if !okB {
			continue
		}
		for ; a != b; a = (a + 1) % 7 {
			out |= 1 << weekday(a)
		}
		out |= 1 << weekday(b)
	}
	return out
}

func (d *decoder) day(r document.Node, p *path, s string) (int, bool) {
	i := slices.Index(dayNames[:], s)
	if i < 0 {
		msg := fmt.Sprintf("%q is not one of %s", s, strings.Join(dayNames[:], ", "))
		for _, n := range dayNames {
			if len(s) > 3 && strings.EqualFold(s[:3], n) || strings.EqualFold(s, n) {
				msg += fmt.Sprintf("; did you mean %q?", n)
			}
		}
		d.fail(r, p, "%s", msg)
	}
	return i, i >= 0
}

var clockForm = regexp.MustCompile(`^([0-9]{1,2}):([0-9]{2})$`)

// clock reads a time of day, in minutes since midnight.
func (d *decoder) clock(r document.Node, p *path, most int) int {
	s, ok := d.text(r, p)
	if !ok {
		return 0
	}
	m := clockForm.FindStringSubmatch(s)
	if m == nil {
		d.fail(r, p, `a time of day such as "08:30" is expected, not %q`, s)
		return 0
	}
	hour, _ := strconv.Atoi(m[1])
	minute, _ := strconv.Atoi(m[2])
	if minute > 59 || hour*60+minute > most {
		d.fail(r, p, `%q is no time of day: "00:00" to "%02d:%02d" are`, s, most/60, most%60)
		return 0
	}
	return hour*60 + minute
}
