package simulate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// spreadBits is into how many parts a prefix is divided that is larger than what
// resolvers state in their queries, as a power of two.
const spreadBits = 4

// Prefixes reads a file of clients: a line is an address or a prefix, and after a
// comma its weight, 1 without one. What is behind # is a comment.
//
//	192.0.2.0/24,10
//	2001:db8::/32, 2.5   # an access network
//
// A prefix larger than a /24 of IPv4 or a /56 of IPv6 becomes several such
// networks, drawn with the seed. Name stands before what is wrong with a line.
func Prefixes(name string, r io.Reader, seed uint64) (*Mix, error) {
	m := &Mix{Kind: "prefixes", From: name, Unit: "weight"}
	draw := random(seed, forNetworks)
	lines := bufio.NewScanner(r)
	n := 0
	for lines.Scan() {
		n++
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, weight, err := weighted(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		room := subnetOf(p.Addr()).Bits() - p.Bits()
		if room <= 0 {
			m.Clients = append(m.Clients, Client{Source: p.Addr(), Subnet: p, Network: p, Weight: weight})
			continue
		}
		deeper := min(spreadBits, room)
		for i := range 1 << deeper { // each of as many parts has one, so that they lie everywhere
			a := within(partOf(p, deeper, uint64(i)), draw)
			m.Clients = append(m.Clients, Client{Source: a, Subnet: subnetOf(a), Network: p, Weight: weight / float64(int(1)<<deeper)})
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%s:%d: the line is too long: is it a file of prefixes?", name, n+1)
	case err != nil:
		return nil, err
	case len(m.Clients) == 0:
		return nil, fmt.Errorf("%s: no prefix is in it", name)
	}
	return m, nil
}

// weighted reads a line.
func weighted(text string) (p netip.Prefix, weight float64, err error) {
	network, number, stated := strings.Cut(text, ",")
	network, number = strings.TrimSpace(network), strings.TrimSpace(number)
	if strings.Contains(network, "/") {
		p, err = netip.ParsePrefix(network)
	} else {
		var a netip.Addr
		if a, err = netip.ParseAddr(network); err == nil {
			p = netip.PrefixFrom(a.WithZone(""), a.BitLen())
		}
	}
	switch {
	case err != nil || p.Addr().Is4In6():
		return p, 0, fmt.Errorf("%q is no network: an address or a prefix is expected, such as 192.0.2.0/24 or 2001:db8::/48", network)
	case p != p.Masked():
		return p, 0, fmt.Errorf("%s has bits behind its length: write %s", p, p.Masked())
	case !stated:
		return p, 1, nil
	}
	weight, err = strconv.ParseFloat(number, 64)
	if err != nil || !(weight > 0) || weight > maxWeight {
		return p, 0, fmt.Errorf("%q is no weight: a number above 0 is expected", number)
	}
	return p, weight, nil
}

// maxWeight is more than anybody can mean, and sums of it stay exact enough.
const maxWeight = 1e15

// partOf is the i-th of the parts that a prefix has with so many bits more.
func partOf(p netip.Prefix, deeper int, i uint64) netip.Prefix {
	bits := p.Bits() + deeper
	b := p.Addr().AsSlice()
	for bit := range deeper {
		if i>>bit&1 != 0 {
			at := bits - 1 - bit
			b[at/8] |= 0x80 >> (at % 8)
		}
	}
	a, _ := netip.AddrFromSlice(b) // the length is that of an address
	return netip.PrefixFrom(a, bits)
}
