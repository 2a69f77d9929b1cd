package packed

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

func small() *Database {
	return &Database{
		Built: time.Unix(1_780_000_000, 0).UTC(), Codes: []string{"", "IE", "US"},
		V4: []Range4{{0, 0}, {0x01000000, 1}, {0x01000100, 2}, {0xffffffff, 0}},
		V6: []Range6{{0, 1, 0}, {0x20010db8 << 32, 0, 1}, {0x20010db8 << 32, 7, 2}, {^uint64(0), ^uint64(0), 1}},
	}
}

func pack(t *testing.T, d *Database) []byte {
	t.Helper()
	b, err := d.Append([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	b, ok := bytes.CutPrefix(b, []byte("before"))
	if !ok {
		t.Fatal("what was there before is gone")
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	big := &Database{Built: time.Unix(0, 0).UTC(), Codes: []string{"", "AA", "BB", "CC"}}
	for at, n := uint64(0), 0; at < 1<<32; at, n = at+1+r.Uint64N(1<<20), n+1 {
		big.V4 = append(big.V4, Range4{uint32(at), uint8(n & 3)})
	}
	for at := uint64(0); at < 1<<63; at += 1 + r.Uint64N(1<<52) {
		big.V6 = append(big.V6, Range6{at, 0, uint8(at & 3)}, Range6{at, 1 + r.Uint64N(1<<40), 0})
	}
	for _, d := range []*Database{small(), big, {Built: time.Unix(1, 0).UTC(), Codes: []string{""}, V4: []Range4{}, V6: []Range6{}}} {
		got, err := Parse(pack(t, d))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, d) {
			t.Errorf("it comes back as another: %d and %d ranges", len(got.V4), len(got.V6))
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Database){
		"no codes":     func(d *Database) { d.Codes = nil },
		"first code":   func(d *Database) { d.Codes[0] = "AA" },
		"long code":    func(d *Database) { d.Codes[1] = "IRL" },
		"code":         func(d *Database) { d.V4[1].Code = 3 },
		"code of IPv6": func(d *Database) { d.V6[1].Code = 3 },
		"order":        func(d *Database) { d.V4[2].Start = d.V4[1].Start },
		"order IPv6":   func(d *Database) { d.V6[2].Lo = 0 },
	} {
		d := small()
		spoil(d)
		if _, err := d.Append(nil); err == nil {
			t.Errorf("%s: it was packed", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	whole := pack(t, small())
	for n := range whole {
		if _, err := Parse(whole[:n]); err == nil {
			t.Errorf("%d octets of %d are taken for the whole", n, len(whole))
		}
	}
}

func FuzzParse(f *testing.F) {
	b, err := small().Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(magic))
	f.Add(b[:len(b)-4])
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b)
		if err != nil {
			return
		}
		// What was read can be written, and is the same again.
		again, err := Parse(pack(t, d))
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("it comes back as another: %v", err)
		}
	})
}
