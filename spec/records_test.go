package spec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// addressed is n addresses of a prefix, as items of a list.
func addressed(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"%s:%x", `, prefix, i+1)
	}
	return b.String()
}

// named is n host names, as items of a list.
func named(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "h%d.example.net, ", i)
	}
	return b.String()
}

// What is answered fits into a message: the most that is accepted, and that one
// more of it is not.
func TestRecordsFit(t *testing.T) {
	const room = 65535 - 300
	label := func(n int) string { // a name of so many octets in wire form, below example.com
		n -= len("\x07example\x03com\x00")
		parts := []string{strings.Repeat("a", 62), strings.Repeat("b", 62), strings.Repeat("c", 62)}
		return strings.Join(parts, ".") + "." + strings.Repeat("d", n-3*63-1)
	}
	service := func(endpoints, name, keys string) string {
		return "pools: {eu: {endpoints: [" + endpoints + "]}}\nzones:\n  example.com:\n    nameservers: {ns1: 192.0.2.53}\n    services:\n      " +
			name + ": {pools: [eu], " + keys + "}\n"
	}
	const srv = 12 + 6 + 1 + 39 // an SRV record of an address, without the service's name
	for name, c := range map[string]struct {
		most int
		doc  func(n int) string
		want string
	}{
		"flattened hosts count in each family": {
			room/28 - 2000, func(n int) string {
				return service(addressed("2001:db8:", 2000)+named(n), "www", "answers: 0")
			}, "AAAA records do not fit",
		},
		"hosts at the apex": {
			room / 28, func(n int) string { return service(named(n), `"@"`, "answers: 0") }, "AAAA records do not fit",
		},
		"hints": {
			(room - 12 - 3 - 4 - 4 - 4 - 40000) / 16, func(n int) string {
				return service(addressed("2001:db8:", n), "www", `answers: 0, https: {ech: "`+strings.Repeat("AAAA", 13333)+`AA=="}`)
			}, "services.www.https: the record takes up to",
		},
		"parameters without hints": {
			(room - 12 - 3 - 4 - 3 - 4 - 40000) / 3, func(n int) string {
				return service(addressed("2001:db8:", 2000), "www", `answers: 0, svcb: {hints: false, alpn: [h2], ech: "`+strings.Repeat("AAAA", 13333+n)+`AA=="}`)
			}, "services.www.svcb: the record takes up to",
		},
		"txt": {
			room - 12 - 255, func(n int) string {
				return service("192.0.2.1", "www", "txt: ["+strings.Repeat("a", n)+"]")
			}, "services.www.txt: the records take",
		},
		"srv": {
			room / (srv + 4 + 13), func(n int) string { return service(addressed("2001:db8:", n), "www", "srv: {port: 1}") }, "SRV records take up to",
		},
		"srv at the apex": {
			room / (srv + 13), func(n int) string { return service(addressed("2001:db8:", n), `"@"`, "srv: {port: 1}") }, "SRV records take up to",
		},
		"srv of hosts": {
			room / (12 + 6 + 12), func(n int) string {
				hosts := strings.Builder{}
				for i := range n {
					fmt.Fprintf(&hosts, "a%04d.test, ", i)
				}
				return service(hosts.String(), "www", "srv: {port: 1}")
			}, "SRV records take up to",
		},
		"name of srv targets": {
			255 - 40, func(n int) string { return service("192.0.2.1", label(n), "srv: {port: 1}") }, "leaves no room for 40 bytes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("x.yaml", []byte(c.doc(c.most))); err != nil {
				t.Errorf("%d: %v", c.most, err)
			}
			_, err := Parse("x.yaml", []byte(c.doc(c.most+1)))
			var all Errors
			if !errors.As(err, &all) || len(all) != 1 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d: %v", c.most+1, err)
			}
		})
	}
}
