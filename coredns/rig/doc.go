// Package rig is for the tests of the plugins: a CoreDNS from a Corefile in the process of
// the test, with the plugins that stand around ours, and what to ask of it. Nothing but
// tests may import it, which the import table holds.
package rig
