// Package interop compares the program with others, and with the RFCs.
//
// It holds conversations of the program, as a user starts it, with programs that
// are not ours: dig, kdig, dnsperf, dnsdist, unbound, BIND, NSD, Knot DNS and
// receivers of dnstap; of CoreDNS with our plugins behind dnsdist, in networks of their own; and with servers whose health it judges: NSD, Postfix,
// nginx, grpc-go, MariaDB, PostgreSQL and Redis. `make interop` installs the programs
// and runs them; without RHUMB_INTEROP=1 these tests skip.
//
// It counts answers: those of a server in this process and of nodes, beside unbound
// and through its cache, and compares the shares with what they are to be, and with
// what is simulated, by chi-square. The chances of a server are not ours to seed, so
// that what is taken for a fault has a chance below one in a thousand million.
//
// And it holds an oracle, a slow reading of the RFCs over lists of records:
//
//	worlds       zones made from a seed, small and full of what is hard
//	  |
//	oracle  ---- TestLookup: what resolve answers, in any test run
//	  |
//	  +--------- TestDifferential, TestSigned: what NSD, Knot DNS, BIND and a
//	             node of ours answer over the network
//
// A wrong answer names its world: -oracle.seed=N -oracle.worlds=1 shows it again,
// and so for the flags of the other two tests. It has tests only.
package interop
