// Command coredns is CoreDNS with all of its standard plugins, and gslb and elchi
// before file.
package main
