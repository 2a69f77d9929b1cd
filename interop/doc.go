// Package interop holds conversations of the program, as a user starts it, with
// programs that are not ours: dig, kdig, dnsperf, dnsdist, unbound, BIND and NSD.
// It has tests only; `make interop` installs the programs and runs them, and
// without RHUMB_INTEROP=1 they skip.
package interop
