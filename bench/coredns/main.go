package main

import (
	"github.com/coredns/coredns/coremain"

	// What the benchmark's Corefiles use.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/tls"
)

func main() { coremain.Run() }
