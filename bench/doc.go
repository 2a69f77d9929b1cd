// Command bench measures the budgets of the design, in one run on one machine:
//
//	resolve   nanoseconds and allocations of an answer, in this process
//	serve     queries a second and CPU a query of whole servers on loopback:
//	          rhumb, a plain UDP echo written in the same way, NSD and Knot DNS
//	          where they are installed
//	million   load time, memory and reload of a million names
//	change    from an endpoint's failing probe to the changed answer
//
// Servers run as processes of their own on one core and the load on another, so
// that the CPU measured is the server's alone. Rounds are interleaved and the
// median of three is shown, since machines are noisy. Everything is on loopback,
// on ports that the system chose, and is bounded in time.
package main
