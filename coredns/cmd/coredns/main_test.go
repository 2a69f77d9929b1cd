package main

import (
	"slices"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
)

// TestOrder has every standard plugin, in CoreDNS's order, and ours before file.
func TestOrder(t *testing.T) {
	all := with(dnsserver.Directives, "gslb", "elchi")
	at := slices.Index(all, "file")
	if at < 2 || all[at-2] != "gslb" || all[at-1] != "elchi" {
		t.Errorf("%v", all)
	}
	if !slices.Equal(slices.Delete(slices.Clone(all), at-2, at), dnsserver.Directives) {
		t.Errorf("the others are not as CoreDNS has them: %v", all)
	}
	for _, cached := range []string{"cache", "dnssec", "prometheus", "errors", "log", "rewrite"} {
		if slices.Index(all, cached) > at {
			t.Errorf("%s does not stand around ours", cached)
		}
	}
}
