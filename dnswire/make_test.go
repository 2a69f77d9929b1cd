package dnswire_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

func TestAppendQuery(t *testing.T) {
	for subnet, want := range map[string][]byte{
		"":                  opt(1232, 0, 0),
		"192.0.2.77/24":     opt(1232, 0, 0, ecs(1, 24, 0, 192, 0, 2)),
		"0.0.0.0/0":         opt(1232, 0, 0, ecs(1, 0, 0)),
		"2001:db8:1ff::/37": opt(1232, 0, 0, ecs(2, 37, 0, 0x20, 1, 0xd, 0xb8, 0)),
	} {
		var p netip.Prefix
		if subnet != "" {
			p = netip.MustParsePrefix(subnet)
		}
		got := dnswire.AppendQuery(nil, mustName(t, "www.example.com"), dnswire.TypeA, p)
		if want := cat(u16(0, 0, 1, 0, 0, 1), askA, want); !bytes.Equal(got, want) {
			t.Errorf("subnet %q:\n got %x\nwant %x", subnet, got, want)
		}
		if q := parsed(t, got); q.Status != dnswire.StatusOK {
			t.Errorf("subnet %q: Status %d", subnet, q.Status)
		}
	}
}
