package zone

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// TestSince: what differs between data that came of the same is among the names that are
// said to.
func TestSince(t *testing.T) {
	zone := name(t, "x.test")
	d, faults, _ := builder(t, "x.test", apexLines...).Build()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	since := func(d, old *Data) map[dnswire.Name]bool {
		t.Helper()
		names, ok := d.Since(old)
		if !ok {
			t.Fatal("nobody knows how the two are related")
		}
		out := map[dnswire.Name]bool{}
		for name := range names {
			out[dnswire.Name(name)] = true
		}
		return out
	}
	if n := since(d, d); len(n) > 0 { // nobody has amended it yet, or asked it for a name
		t.Errorf("of the same data differ %v", n)
	}
	r := rand.New(rand.NewPCG(1, 3))
	var owners []dnswire.Name
	for i := range 40 {
		owners = append(owners, within(t, zone, fmt.Sprintf("host%d", i)))
	}
	all := []*Data{d}
	for range 300 {
		d := all[r.IntN(len(all))]
		for range 1 + r.IntN(3) {
			e := Edit{Owner: owners[r.IntN(len(owners))], Exists: r.IntN(3) == 0}
			if r.IntN(2) == 0 {
				e.Records = []text.Record{{Owner: e.Owner, Type: dnswire.TypeA, TTL: 60, Data: []byte{192, 0, 2, byte(r.IntN(3))}}}
			}
			var err error
			if d, err = d.Amend([]Edit{e}); err != nil {
				t.Fatal(err)
			}
		}
		old := all[max(0, len(all)-1-r.IntN(8))]
		names := since(d, old)
		for _, owner := range owners {
			was, had := old.Owned(owner)
			is, has := d.Owned(owner)
			if (had != has || fmt.Sprint(was) != fmt.Sprint(is)) && !names[owner] {
				t.Fatalf("%s was %v %t, is %v %t, and is not among %v", owner, was, had, is, has, names)
			}
		}
		all = append(all, d)
	}
	other, _, _ := builder(t, "x.test", apexLines...).Build()
	other.Index()
	if _, ok := d.Since(other); ok {
		t.Error("data that have nothing to do with each other are related")
	}
}
