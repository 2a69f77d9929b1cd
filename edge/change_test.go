package edge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
)

// model is a zone as a user of it would keep it: the records by name and type, as they
// were stated last.
type model map[api.Key]api.Record

// holds is what the zone then has, as holds says it.
func (m model) holds() []string {
	names := map[string]bool{}
	for k := range m {
		names[k.Name] = true
	}
	var all []string
	for n := range names {
		lines := m.alias(n)
		for _, t := range []string{"A", "AAAA"} {
			r, ok := m[api.Key{Name: n, Type: t}]
			if len(m.alias(n)) > 0 || !ok || r.Enabled != nil {
				continue
			}
			for _, ip := range r.IPs {
				lines = append(lines, fmt.Sprintf("%s. %d %s %s", n, r.TTL, t, ip))
			}
		}
		if len(lines) == 0 {
			lines = []string{n + ". exists"}
		}
		all = append(all, lines...)
	}
	slices.Sort(all)
	return all
}

// alias is what a name is an alias of, if it is one.
func (m model) alias(n string) []string {
	for _, t := range []string{"CNAME", "A", "AAAA"} {
		if r := m[api.Key{Name: n, Type: t}]; aliases(r) {
			return []string{fmt.Sprintf("%s. %d CNAME %s.", n, r.TTL, r.Failover)}
		}
	}
	return nil
}

func aliases(r api.Record) bool { return r.Failover != "" && (r.Enabled != nil || len(r.IPs) == 0) }

// remove is what a delete does.
func (m model) remove(k api.Key) bool {
	found := false
	for _, t := range []string{"A", "AAAA", "CNAME"} {
		key := api.Key{Name: k.Name, Type: t}
		if r, ok := m[key]; ok && (t == k.Type || k.Type == "CNAME" && aliases(r)) {
			delete(m, key)
			found = true
		}
	}
	return found
}

// anyRecord is some record of one of few names, so that they meet.
func anyRecord(r *rand.Rand) api.Record {
	off := false
	rec := api.Record{Name: fmt.Sprintf("n%d.gslb.elchi", r.IntN(6)), TTL: uint32(1 + r.IntN(3)), IPs: []string{}}
	rec.Type = []string{"A", "AAAA", "CNAME"}[r.IntN(3)]
	if rec.Type != "CNAME" && r.IntN(3) > 0 {
		for i := range 1 + r.IntN(2) {
			rec.IPs = append(rec.IPs, map[string]string{"A": "192.0.2.", "AAAA": "2001:db8::"}[rec.Type]+fmt.Sprint(2*r.IntN(4)+i+1))
		}
	}
	if r.IntN(3) == 0 {
		rec.Enabled = &off
	}
	if rec.Type == "CNAME" || r.IntN(3) == 0 || rec.Enabled == nil && len(rec.IPs) == 0 {
		rec.Failover = fmt.Sprintf("x%d.elsewhere", r.IntN(2))
	}
	return rec
}

// TestChangesAgainstModel does random changes and holds what comes of them against the
// model: the zone's data, what it lists, and what is read back from a listing.
func TestChangesAgainstModel(t *testing.T) {
	for seed := range rounds(uint64(40)) {
		r := rand.New(rand.NewPCG(seed, 7))
		m := model{}
		st := mustTake(t, snapshot("1")).st
		for step := range 60 {
			var ops []op
			var updated, deleted, refused int
			c, rep := checker{rules: st.rules}, report{most: 9}
			for range 1 + r.IntN(4) {
				rec := anyRecord(r)
				if r.IntN(3) > 0 {
					it := itemOf(rec)
					checked, ok := c.check(it, &rep)
					if !ok {
						t.Fatalf("%+v: %v", rec, &rep)
					}
					ops = append(ops, operation(it, &checked))
					m[api.Key{Name: rec.Name, Type: rec.Type}] = rec
					updated++
					continue
				}
				o, ok := c.removal(itemOf(rec), &rep)
				if !ok {
					t.Fatal(&rep)
				}
				ops = append(ops, o)
				if m.remove(api.Key{Name: rec.Name, Type: rec.Type}) {
					deleted++
				} else {
					refused++
				}
			}
			ch, err := st.change(ops, 1000)
			if err != nil {
				t.Fatal(err)
			}
			before := holds(st.data)
			if ch.updated != updated || ch.deleted != deleted || ch.report.n != refused {
				t.Fatalf("seed %d, step %d: %d updated, %d deleted, %d refused; want %d, %d, %d", seed, step, ch.updated, ch.deleted, ch.report.n, updated, deleted, refused)
			}
			same(t, "before it is done", holds(st.data), before)
			ch.done()
			same(t, fmt.Sprintf("seed %d, step %d", seed, step), holds(st.data), m.holds())
			if st.records() != countRecords(m.holds()) {
				t.Errorf("seed %d, step %d: %d records are counted", seed, step, st.records())
			}
			listed := lists(st)
			if len(listed) != len(m) {
				t.Errorf("seed %d, step %d: %d records are listed, want %d", seed, step, len(listed), len(m))
			}
			again := mustTake(t, snapshot("1", listed...)).st
			same(t, "of the listing", holds(again.data), m.holds())
			same(t, "listing of the listing", lists(again), listed)
			if t.Failed() {
				t.FailNow()
			}
		}
		if marks := len(st.marks); marks > 6 || len(st.hidden) > marks {
			t.Errorf("%d marks and %d hidden for at most 6 names", marks, len(st.hidden))
		}
	}
}

// itemOf is a record as the decoder gives it.
func itemOf(r api.Record) *item {
	it := &item{name: []byte(r.Name), kind: []byte(r.Type), failover: []byte(r.Failover), ttl: r.TTL, off: r.Enabled != nil && !*r.Enabled}
	for _, ip := range r.IPs {
		it.addresses = append(it.addresses, ip...)
		it.ends = append(it.ends, len(it.addresses))
	}
	return it
}

// Addresses behind an alias come back when it goes, however it goes.
func TestAddressesBehindAnAlias(t *testing.T) {
	for _, goes := range []op{
		{name: name("s.gslb.elchi"), kind: kindA, gone: true},
		{name: name("s.gslb.elchi"), kind: kindCNAME, gone: true},
		{name: name("s.gslb.elchi"), kind: kindA, record: record{form: addressed, ttl: 20, data: []byte{192, 0, 2, 1}}},
	} {
		st := mustTake(t, snapshot("1",
			`{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":[],"failover":"x.elchi"}`,
			`{"name":"s.gslb.elchi","type":"AAAA","ttl":30,"ips":["2001:db8::1"]}`)).st
		same(t, "with the alias", holds(st.data), []string{"s.gslb.elchi. 20 CNAME x.elchi."})
		c, err := st.change([]op{goes}, 10)
		if err != nil {
			t.Fatal(err)
		}
		c.done()
		if got := strings.Join(holds(st.data), " "); !strings.Contains(got, "s.gslb.elchi. 30 AAAA 2001:db8::1") || strings.Contains(got, "CNAME") {
			t.Errorf("after %+v: %s", goes, got)
		}
		if len(st.marks)+len(st.hidden) > 0 {
			t.Errorf("%d marks and %d hidden are left", len(st.marks), len(st.hidden))
		}
	}
}

// A change keeps what the configuration has of a name, and the limit.
func TestChangeKeepsTheRest(t *testing.T) {
	st := mustTake(t, snapshot("1", `{"name":"gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`)).st
	do := func(o op, most int) error {
		c, err := st.change([]op{o}, most)
		if err == nil {
			c.done()
		}
		return err
	}
	if err := do(op{name: name("gslb.elchi"), kind: kindA, gone: true}, 10); err != nil {
		t.Fatal(err)
	}
	if sets, _ := st.data.Owned(name("gslb.elchi")); len(sets) != 2 {
		t.Errorf("the zone's own name has %+v", sets)
	}
	if err := do(op{name: name("ns1.gslb.elchi"), kind: kindAAAA, record: record{form: addressed, ttl: 1, data: make([]byte, 16)}}, 10); err != nil {
		t.Fatal(err)
	}
	if err := do(op{name: name("ns1.gslb.elchi"), kind: kindAAAA, gone: true}, 10); err != nil {
		t.Fatal(err)
	}
	if sets, _ := st.data.Owned(name("ns1.gslb.elchi")); len(sets) != 1 {
		t.Errorf("the name server has %+v", sets)
	}
	add := op{name: name("a.gslb.elchi"), kind: kindA, record: record{form: addressed, ttl: 1, data: []byte{192, 0, 2, 1, 192, 0, 2, 2}}}
	if err := do(add, 1); err == nil {
		t.Error("more records than there may be")
	}
	if err := do(add, 2); err != nil {
		t.Error(err)
	}
}
