package api

import "time"

// Servers are the endpoints of the pools in use.
type Servers struct {
	Servers     []Server  `json:"servers"`
	Total       int       `json:"total"`
	GeneratedAt time.Time `json:"generated_at"`
}

// Server is one endpoint of one pool as it stands.
type Server struct {
	Address string `json:"address"` // IP address or host name
	Port    uint16 `json:"port"`    // of the first check; 0 without checks
	Region  string `json:"region"`  // of the pool's place; empty when none is stated
	Healthy bool   `json:"healthy"` // State is up
	Status  string `json:"status"`  // healthy, unhealthy or unknown

	// Times are absent when the thing never happened.
	LastCheck   time.Time `json:"last_check,omitzero"`
	LastHealthy time.Time `json:"last_healthy,omitzero"`
	// How many of the last results in a row failed or passed, at most 32767, of the
	// check that failed last, or else of the first that has results of its own.
	ConsecutiveFailures  int     `json:"consecutive_failures"`
	ConsecutiveSuccesses int     `json:"consecutive_successes"`
	LastError            string  `json:"last_error"` // of the last failed result; empty when all passed
	LatencyMS            float64 `json:"latency_ms"` // of the slowest check's last result
	// ConnectMS is the smoothed time that connections to it take, which is what the
	// filter `latency` goes by; absent while it is not known.
	ConnectMS float64 `json:"connect_ms,omitempty"`
	// Load is as last reported; absent when no report counts.
	Load *float64 `json:"load,omitempty"`

	Pool string `json:"pool"`
	// Service is the service it is judged for, when its checks ask for the
	// service's host, or when the request named one; else empty.
	Service  string   `json:"service"`
	Weight   uint32   `json:"weight"`
	Priority int      `json:"priority"`
	Tags     []string `json:"tags"`

	State string `json:"state"` // up, down or unknown
	// Suspect is that its checks fail, and that the node does not believe them, since it
	// seems to be cut off itself: State is what it was.
	Suspect bool `json:"suspect"`
	// Idle is that nobody asks for a service that has it, so that it is probed more
	// rarely.
	Idle bool `json:"idle"`
	// Degraded is that it is up, and its checks leave it Share of its traffic; Reason
	// and Since say why and since when.
	Degraded  bool      `json:"degraded"`
	Share     float64   `json:"share"`     // what its checks leave it, above 0 to 1; 0 unless it is up
	Authority string    `json:"authority"` // who said so
	Reason    string    `json:"reason"`    // of the last change
	Since     time.Time `json:"since,omitzero"`
	// Checks are in the order the configuration has them, those that one is calculated
	// from behind it.
	Checks []Check `json:"checks"`
	// Overrides are the operators' words on it, for the service they are for.
	Overrides []Override `json:"overrides"`
}

// Check is one check of an endpoint as its probes left it.
type Check struct {
	Name            string  `json:"name"`
	Type            string  `json:"type"`
	Host            string  `json:"host"` // Host header and SNI; empty for none
	Port            uint16  `json:"port"`
	IntervalSeconds float64 `json:"interval_seconds"`
	// Within is the calculated check that it is a member of, when it is not among the
	// endpoint's own.
	Within    string    `json:"within,omitempty"`
	State     string    `json:"state"`
	Suspect   bool      `json:"suspect,omitempty"`  // it fails, and State is what it was
	Idle      bool      `json:"idle,omitempty"`     // nobody asks for what it is made for
	Degraded  string    `json:"degraded,omitempty"` // why, while it is up and degraded
	LastCheck time.Time `json:"last_check,omitzero"`
	OK        bool      `json:"ok"`         // the last result
	Class     string    `json:"class"`      // the kind of the last result
	Detail    string    `json:"detail"`     // the last result in words
	LatencyMS float64   `json:"latency_ms"` // of the last result
	Runs      int       `json:"runs"`       // results since the node started
	// ValidUntil is until when the result of an external check counts.
	ValidUntil time.Time `json:"valid_until,omitzero"`
	// Results are the last ones, the latest first, when they were asked for: the last
	// alone while all have passed.
	Results []ProbeResult `json:"results,omitempty"`
}

// ProbeResult is one of the last results of a check.
type ProbeResult struct {
	At        time.Time `json:"at"`
	OK        bool      `json:"ok"`
	Degraded  bool      `json:"degraded"` // it passed, and not as it should
	Class     string    `json:"class"`    // the kind of failure; empty when it passed
	Detail    string    `json:"detail"`
	LatencyMS float64   `json:"latency_ms"`
}

// Regions are the regions that pools are in.
type Regions struct {
	Regions     []Region  `json:"regions"`
	GeneratedAt time.Time `json:"generated_at"`
}

// Region counts the endpoints of the pools of one region, each once for each
// pool. One that is judged for several services counts by its worst state.
type Region struct {
	Name           string  `json:"name"` // empty: the pools that state no region
	TotalServers   int     `json:"total_servers"`
	HealthyCount   int     `json:"healthy_count"`
	UnhealthyCount int     `json:"unhealthy_count"`
	UnknownCount   int     `json:"unknown_count"`
	DegradedCount  int     `json:"degraded_count"` // of those that are healthy
	HealthPercent  float64 `json:"health_percent"` // 100 * healthy / total
}

// Override is an operator's word on one endpoint of one service.
type Override struct {
	Service string    `json:"service"`
	Address string    `json:"address"`
	Healthy bool      `json:"healthy"` // false for a drain
	State   string    `json:"state"`   // up, down or drain
	Reason  string    `json:"reason"`
	Source  string    `json:"source"` // who or what set it
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"` // when it lapses by itself; absent: never
	// InForce is false while the configuration has no such service or endpoint.
	InForce bool `json:"in_force"`
	// Share is how much of its usual traffic the endpoint is left: 1 when it is up, 0
	// when it is down, and from the one to the other during a drain.
	Share float64 `json:"share"`
	// Of a drain: over how long, and when the endpoint is out.
	Duration string    `json:"duration,omitempty"`
	OutAt    time.Time `json:"out_at,omitzero"`
}

// What an override may say.
const (
	OverrideUp    = "up"
	OverrideDown  = "down"
	OverrideDrain = "drain" // down, when the share has shrunk to nothing
)

// MaxDrain is the longest Duration.
const MaxDrain = 168 * time.Hour

// OverrideRequest is the body of a request that sets an override.
type OverrideRequest struct {
	Healthy  *bool  `json:"healthy,omitempty"`  // required unless State is there
	State    string `json:"state,omitempty"`    // up, down or drain; in place of Healthy
	Duration string `json:"duration,omitempty"` // of a drain, such as 10m, at most 168h; 0s when absent: out at once
	Reason   string `json:"reason"`             // at most 500 bytes on one line
	// Source is who sets it; at most 200 bytes on one line. It is believed of admins.
	// Of others the token is, or the address, and the audit log has it beside.
	Source string `json:"source,omitempty"`
	For    string `json:"for,omitempty"`   // how long it holds, such as 2h: 1s to 8784h
	Until  string `json:"until,omitempty"` // or until when, such as 2026-11-21T18:00Z (RFC 3339)
}

// Because is why something is ended, and who says so.
type Because struct {
	Reason string // at most 500 bytes on one line
	Source string // as in OverrideRequest
}

// Overrides are the operators' words in force or waiting for their endpoint.
type Overrides struct {
	Overrides   []Override `json:"overrides"`
	Total       int        `json:"total"`
	GeneratedAt time.Time  `json:"generated_at"`
}
