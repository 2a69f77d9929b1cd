package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/core/plugin" // the standard plugins
	"github.com/coredns/coredns/coremain"

	_ "github.com/rhumb-dns/rhumb/coredns/elchi"
	_ "github.com/rhumb-dns/rhumb/coredns/gslb"
)

// before is the plugin that ours stand before: what they leave to it are the records
// of the same zones that nobody steers.
const before = "file"

func main() {
	if err := dnsserver.SetDirectives(with(dnsserver.Directives, "gslb", "elchi")); err != nil {
		fmt.Fprintln(os.Stderr, "coredns:", err)
		os.Exit(1)
	}
	coremain.Run()
}

// with is the order in which plugins are asked, with ours in it.
func with(directives []string, ours ...string) []string {
	at := slices.Index(directives, before)
	if at < 0 {
		at = len(directives)
	}
	return slices.Insert(slices.Clone(directives), at, ours...)
}
