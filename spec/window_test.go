package spec

import (
	"testing"
	"time"
	_ "time/tzdata"
)

func window(t *testing.T, days Days, from, to int, zone string) *Window {
	t.Helper()
	l, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return &Window{Days: days, From: from, To: to, Zone: zone, Location: l}
}

const workdays = everyDay &^ (1<<time.Saturday | 1<<time.Sunday)

func TestWindow(t *testing.T) {
	const hour = 60
	for _, c := range []struct {
		name     string
		days     Days
		from, to int
		zone     string
		at       string // with its offset
		open     bool
		until    string // "" is never
	}{
		{"in it", workdays, 8 * hour, 20 * hour, "UTC", "2026-03-02T12:00:00Z", true, "2026-03-02T20:00:00Z"},
		{"at its begin", workdays, 8 * hour, 20 * hour, "UTC", "2026-03-02T08:00:00Z", true, "2026-03-02T20:00:00Z"},
		{"at its end", workdays, 8 * hour, 20 * hour, "UTC", "2026-03-02T20:00:00Z", false, "2026-03-03T08:00:00Z"},
		{"just before", workdays, 8 * hour, 20 * hour, "UTC", "2026-03-02T07:59:59.5Z", false, "2026-03-02T08:00:00Z"},
		{"over the weekend", workdays, 8 * hour, 20 * hour, "UTC", "2026-03-06T21:00:00Z", false, "2026-03-09T08:00:00Z"},
		{"by the clock of its zone", workdays, 8 * hour, 20 * hour, "America/New_York", "2026-01-05T12:30:00Z", false, "2026-01-05T08:00:00-05:00"},
		{"always", everyDay, 0, wholeDay, "UTC", "2026-03-02T12:00:00Z", true, ""},
		{"whole days", workdays, 0, wholeDay, "UTC", "2026-03-02T12:00:00Z", true, "2026-03-07T00:00:00Z"},
		{"before midnight", 1 << time.Monday, 22 * hour, 6 * hour, "UTC", "2026-03-02T23:00:00Z", true, "2026-03-03T06:00:00Z"},
		{"after midnight", 1 << time.Monday, 22 * hour, 6 * hour, "UTC", "2026-03-03T05:59:59Z", true, "2026-03-03T06:00:00Z"},
		{"the morning of its day", 1 << time.Monday, 22 * hour, 6 * hour, "UTC", "2026-03-02T05:00:00Z", false, "2026-03-02T22:00:00Z"},
		{"once a week", 1 << time.Monday, 22 * hour, 6 * hour, "UTC", "2026-03-03T06:00:00Z", false, "2026-03-09T22:00:00Z"},

		// Dublin goes from 01:00 GMT to 02:00 on 29 March 2026, and from 02:00 to
		// 01:00 GMT on 25 October.
		{"begins in what spring skips", everyDay, 1*hour + 30, 4 * hour, "Europe/Dublin", "2026-03-29T00:30:00Z", false, "2026-03-29T02:00:00+01:00"},
		{"ends in what spring skips", everyDay, 0, 1*hour + 30, "Europe/Dublin", "2026-03-29T00:30:00Z", true, "2026-03-29T02:00:00+01:00"},
		{"is what spring skips", everyDay, 1*hour + 15, 1*hour + 45, "Europe/Dublin", "2026-03-29T00:30:00Z", false, "2026-03-30T01:15:00+01:00"},
		{"is what spring skips, on Sundays", 1 << time.Sunday, 1*hour + 15, 1*hour + 45, "Europe/Dublin", "2026-03-29T00:30:00Z", false, "2026-04-05T01:15:00+01:00"},
		{"is shorter in spring", everyDay, 0, 4 * hour, "Europe/Dublin", "2026-03-29T00:30:00Z", true, "2026-03-29T03:00:00Z"},
		{"is longer in autumn", everyDay, 0, 4 * hour, "Europe/Dublin", "2026-10-25T00:30:00+01:00", true, "2026-10-25T04:00:00Z"},
		{"is twice in autumn", everyDay, 1*hour + 15, 1*hour + 45, "Europe/Dublin", "2026-10-25T01:30:00+01:00", true, "2026-10-25T01:45:00+01:00"},
		{"and again", everyDay, 1*hour + 15, 1*hour + 45, "Europe/Dublin", "2026-10-25T01:50:00+01:00", false, "2026-10-25T01:15:00Z"},
		{"ended, and the clock goes back into it", everyDay, 0, 1*hour + 30, "Europe/Dublin", "2026-10-25T01:50:00+01:00", false, "2026-10-25T01:00:00Z"},
		{"by days over autumn", 1 << time.Sunday, 0, wholeDay, "Europe/Dublin", "2026-10-25T12:00:00Z", true, "2026-10-26T00:00:00Z"},
		// Lord Howe goes by half an hour, and Apia had no 30 December 2011.
		{"half an hour", everyDay, 0, 2*hour + 15, "Australia/Lord_Howe", "2026-10-04T01:30:00+10:30", true, "2026-10-04T02:30:00+11:00"},
		{"a day that was not", 1 << time.Friday, 8 * hour, 9 * hour, "Pacific/Apia", "2011-12-29T12:00:00-10:00", false, "2012-01-06T08:00:00+14:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			var until time.Time
			if c.until != "" {
				if until, err = time.Parse(time.RFC3339, c.until); err != nil {
					t.Fatal(err)
				}
			}
			open, next := window(t, c.days, c.from, c.to, c.zone).Open(at)
			if open != c.open || !next.Equal(until) {
				t.Errorf("open %t until %v, want %t until %v", open, next, c.open, until)
			}
		})
	}
}

// TestWindowEdges goes through a year by edges, and compares every quarter of an
// hour with what the edges said of it.
func TestWindowEdges(t *testing.T) {
	for _, w := range []*Window{
		window(t, workdays, 8*60, 20*60, "Europe/Dublin"),
		window(t, everyDay, 22*60, 2*60+30, "America/New_York"),
		window(t, 1<<time.Sunday, 60, 3*60, "Europe/Dublin"),
		window(t, everyDay, 90, 105, "Australia/Lord_Howe"),
		window(t, 1<<time.Saturday|1<<time.Sunday, 0, wholeDay, "America/Santiago"),
	} {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		end := at.AddDate(1, 0, 0)
		for looks := 0; at.Before(end); looks++ {
			open, until := w.Open(at)
			if !until.After(at) || looks > 3000 {
				t.Fatalf("%s at %v: until %v, after %d looks", w.hours(), at, until, looks)
			}
			for q := at; q.Before(until); q = q.Add(15 * time.Minute) {
				if w.at(q.In(w.Location)) != open {
					t.Fatalf("%s at %v: it was %t at %v, until %v", w.hours(), q, open, at, until)
				}
			}
			at = until
		}
	}
}

func TestDays(t *testing.T) {
	for _, c := range []struct {
		days Days
		want string
	}{
		{everyDay, "[mon-sun]"},
		{workdays, "[mon-fri]"},
		{1<<time.Saturday | 1<<time.Sunday, "[sat, sun]"},
		{1<<time.Monday | 1<<time.Wednesday | 1<<time.Sunday, "[mon, wed, sun]"},
	} {
		if got := c.days.String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
