package main

import (
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/rhumb-dns/rhumb/geo/packed"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: makedata from.mmdb to.bin")
		os.Exit(2)
	}
	if err := convert(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "makedata:", err)
		os.Exit(1)
	}
}

// least is how many ranges of each family a database of the whole world has; one
// with less is not the one that was meant.
const least = 50_000

func convert(from, to string) error {
	file, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	db, err := maxminddb.OpenBytes(file)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	b := builder{known: map[string]uint8{}}
	b.Codes, b.Built = []string{""}, db.Metadata.BuildTime().UTC()
	for n := range db.Networks() {
		var record struct {
			Code string `maxminddb:"country_code"`
		}
		if err := n.Decode(&record); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		if err := b.add(n.Prefix(), record.Code); err != nil {
			return fmt.Errorf("%s: %s: %w", from, n.Prefix(), err)
		}
	}
	if len(b.V4) < least || len(b.V6) < least {
		return fmt.Errorf("%s: %d ranges of IPv4 and %d of IPv6 are too few", from, len(b.V4), len(b.V6))
	}
	out, err := b.Append(nil)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, out, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: built %s, %d countries, %d ranges of IPv4 and %d of IPv6 in %d bytes\n",
		to, b.Built.Format("2006-01-02"), len(b.Codes)-1, len(b.V4), len(b.V6), len(out))
	return nil
}

// builder takes networks in the order of their addresses.
type builder struct {
	packed.Database
	known map[string]uint8
}

func (b *builder) add(p netip.Prefix, country string) error {
	code, ok := b.known[country]
	switch {
	case country == "":
		code = 0
	case !ok && len(b.Codes) == 256:
		return fmt.Errorf("country %q is one too many", country)
	case !ok:
		code = uint8(len(b.Codes))
		b.Codes = append(b.Codes, country)
		b.known[country] = code
	}
	b.from(p.Addr(), code)
	if end := last(p).Next(); end.IsValid() {
		b.from(end, 0)
	}
	return nil
}

// from says that what begins at a has a code. What was said last of an address
// counts, and a range that continues the one before is none.
func (b *builder) from(a netip.Addr, code uint8) {
	if a.Is4() {
		o := a.As4()
		r := packed.Range4{Start: uint32(o[0])<<24 | uint32(o[1])<<16 | uint32(o[2])<<8 | uint32(o[3]), Code: code}
		if n := len(b.V4); n > 0 && b.V4[n-1].Start == r.Start {
			b.V4 = b.V4[:n-1]
		}
		if n := len(b.V4); n == 0 || b.V4[n-1].Code != code {
			b.V4 = append(b.V4, r)
		}
		return
	}
	r := packed.Range6{Code: code}
	for i, o := range a.As16() {
		if i < 8 {
			r.Hi = r.Hi<<8 | uint64(o)
		} else {
			r.Lo = r.Lo<<8 | uint64(o)
		}
	}
	if n := len(b.V6); n > 0 && b.V6[n-1].Hi == r.Hi && b.V6[n-1].Lo == r.Lo {
		b.V6 = b.V6[:n-1]
	}
	if n := len(b.V6); n == 0 || b.V6[n-1].Code != code {
		b.V6 = append(b.V6, r)
	}
}

// last is the last address of p.
func last(p netip.Prefix) netip.Addr {
	b := slices.Clone(p.Addr().AsSlice())
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
