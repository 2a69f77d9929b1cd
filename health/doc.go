// Package health judges endpoints: it schedules probes, turns their results
// into verdicts, keeps operators' overrides, and publishes all of it as an
// immutable View.
//
//	targets (from the table) -> probes, at once and then at jittered intervals
//	probe results -> rise and fall -> verdict of each probe
//	verdicts of a target's probes + overrides -> View, one pointer
//
// A Board holds the live state. It is keyed by identity (address and check),
// so that it outlives configuration: a new set of targets keeps the verdict of
// every probe that is still wanted.
//
// It guarantees that identical probes of one address are made once, that the
// first result decides an unknown endpoint, that a View never changes, and that
// a target nobody judges is up. It never decides what an answer is, and never
// takes an endpoint out because it knows nothing of it.
package health
