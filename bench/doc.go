// Command bench measures the budgets of the design, in one run on one machine,
// beside the servers that others run: gdnsd, NSD, Knot DNS, PowerDNS, CoreDNS.
//
//	resolve   nanoseconds and allocations of an answer, in this process
//	client    the client itself, against an echo
//	plain, edns, ecs, weighted, failover, place, sources, nxdomain, many, tcp, dot
//	          whole servers: queries a second, CPU a query at their limit and
//	          at a modest fixed rate, latency, memory
//	steering  each preset beside static data
//	cities    loading a city database of five million networks
//	cores     two cores beside one
//	million   load time and memory of a million names
//	reload    a change among a million names: time, CPU, memory, latency
//	idle      memory of ten thousand silent connections
//	flood     answers that honest clients keep under floods (needs root)
//	health    many checks: CPU, memory, lateness; from refusals to answers; many down
//	soak      a million probes of all kinds, and what stays behind
//	change    from an endpoint's failing probe to the changed answer
//
// What makes a figure of it:
//
//   - A server has one core and the client another. The client polls and never
//     sleeps, so that no server pays for waking it up.
//   - Rhumb is measured before each measurement of another server. A ratio is of
//     two runs within the same seconds, and the median of the ratios is shown.
//   - A run is refused when the machine was disturbed, when the client was the
//     bottleneck, when an answer was wrong or did not come. A disturbed run is
//     made again, a few times; then the table says "refused" and why. The rules
//     are in judge.go.
//   - CPU time is the scheduler's, in nanoseconds, taken by the client at the
//     begin and the end of what counts.
//
// The client asks for random names of the whole set, checks every answer (ID,
// name, flags, code, records), and is itself measured against an echo that does
// nothing but receive and send. Everything is on loopback, on ports that the
// system chose, and is bounded in time.
package main
