package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/geo/packed"
)

func TestBuilder(t *testing.T) {
	b := builder{known: map[string]uint8{}}
	b.Codes = []string{""}
	for _, n := range []struct{ prefix, country string }{
		{"1.0.0.0/24", "AU"},
		{"1.0.1.0/24", "CN"},
		{"1.0.2.0/23", "CN"},
		{"1.0.8.0/21", "AU"},
		{"255.255.255.255/32", ""},
		{"2001:200::/32", "JP"},
		{"ffff::/16", "CN"},
	} {
		if err := b.add(netip.MustParsePrefix(n.prefix), n.country); err != nil {
			t.Fatal(err)
		}
	}
	v4 := []packed.Range4{{Start: 0x01000000, Code: 1}, {Start: 0x01000100, Code: 2}, {Start: 0x01000400}, {Start: 0x01000800, Code: 1}, {Start: 0x01001000}}
	if !reflect.DeepEqual(b.V4, v4) {
		t.Errorf("%x, want %x", b.V4, v4)
	}
	v6 := []packed.Range6{{Hi: 0x20010200 << 32, Code: 3}, {Hi: 0x20010201 << 32}, {Hi: 0xffff << 48, Code: 2}}
	if !reflect.DeepEqual(b.V6, v6) {
		t.Errorf("%x, want %x", b.V6, v6)
	}
	if !reflect.DeepEqual(b.Codes, []string{"", "AU", "CN", "JP"}) {
		t.Errorf("%q", b.Codes)
	}
}

func TestConvertRefuses(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := convert(from, to); err == nil || !strings.Contains(err.Error(), from) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(to); err == nil {
		t.Error("something was written")
	}
}
