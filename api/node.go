package api

import "time"

// Live says that the process runs.
type Live struct {
	Alive bool `json:"alive"` // always true
}

// Ready says whether the node can answer DNS queries.
type Ready struct {
	Ready       bool        `json:"ready"`
	Message     string      `json:"message"`      // one line, in words
	DNSReady    bool        `json:"dns_ready"`    // the sockets are bound
	HealthReady bool        `json:"health_ready"` // every probe has a first verdict
	Suspect     bool        `json:"suspect"`      // it seems to be cut off itself, so that verdicts of down are held
	Config      ConfigState `json:"config"`
}

// ConfigState is how the configuration files and the running node agree.
type ConfigState struct {
	// OK is false from a refused reload until the files are mended. The node
	// goes on with what was in force.
	OK       bool      `json:"ok"`
	File     string    `json:"file"`
	LoadedAt time.Time `json:"loaded_at,omitzero"` // of what is in force
	Error    string    `json:"error,omitempty"`    // one line for each error, as `rhumb check` prints it
	ErrorAt  time.Time `json:"error_at,omitzero"`
}

// Version is what runs.
type Version struct {
	Version     string    `json:"version"`
	GoVersion   string    `json:"go_version"`
	Platform    string    `json:"platform"` // os/architecture
	GeneratedAt time.Time `json:"generated_at"`
}

// Status is the node at a glance.
type Status struct {
	Node          Node      `json:"node"`
	Version       string    `json:"version"`
	StartedAt     time.Time `json:"started_at"`
	UptimeSeconds int64     `json:"uptime_seconds"`

	Ready       bool      `json:"ready"`
	DNSReady    bool      `json:"dns_ready"`
	HealthReady bool      `json:"health_ready"`
	Listeners   Listeners `json:"listeners"`

	// Zones are in the order of their names, at most the first 1000 of
	// ZonesTotal.
	Zones         []Zone         `json:"zones"`
	ZonesTotal    int            `json:"zones_total"`
	ServicesTotal int            `json:"services_total"`
	PoolsTotal    int            `json:"pools_total"`
	ChecksTotal   int            `json:"checks_total"`
	Endpoints     EndpointCounts `json:"endpoints"`
	Overrides     int            `json:"overrides"`
	// Maintenance is how many have begun, MaintenancePlanned how many have not.
	Maintenance        int `json:"maintenance"`
	MaintenancePlanned int `json:"maintenance_planned"`

	Awareness Awareness `json:"awareness"`

	Config      ConfigState `json:"config"`
	Warnings    []string    `json:"warnings"` // of the configuration in force
	GeneratedAt time.Time   `json:"generated_at"`
}

// Awareness is what the node knows of its own trouble.
type Awareness struct {
	// Suspect is that the node seems to be cut off itself, so that verdicts of down
	// are held: since Since, because Silent of Asked probes are silent, Share of them
	// with every place, pool and network counting the same. Cut is what is wrong with
	// its own link or routes; empty where nothing is known to be.
	Suspect bool      `json:"suspect"`
	Since   time.Time `json:"since,omitzero"`
	Silent  int       `json:"silent"`
	Asked   int       `json:"asked"`
	Share   float64   `json:"share"`
	Cut     string    `json:"cut,omitempty"`
	Held    int       `json:"held"` // verdicts, one for each probe
	// Stalls are how often the process woke too late to judge by time, since it
	// started; the last time at StalledAt, for so many seconds.
	Stalls       int       `json:"stalls"`
	StalledAt    time.Time `json:"stalled_at,omitzero"`
	StallSeconds float64   `json:"stall_seconds,omitempty"`
	// ClockJumps are how often the clock jumped; the last time at JumpedAt, by so many
	// seconds.
	ClockJumps  int       `json:"clock_jumps"`
	JumpedAt    time.Time `json:"jumped_at,omitzero"`
	JumpSeconds float64   `json:"jump_seconds,omitempty"`
	// Idle are endpoints that are judged alike, each once, that nobody asks for.
	Idle int `json:"idle"`
}

// Node is who the node is.
type Node struct {
	Name   string `json:"name"`
	Region string `json:"region"` // empty when none is stated
}

// Listeners are the addresses with ports that the node listens on.
type Listeners struct {
	DNS        []string `json:"dns"`          // UDP and TCP on each
	DNSOverTLS []string `json:"dns_over_tls"` // empty: none
	Admin      string   `json:"admin"`
}

// Zone is a zone the node is authoritative for.
type Zone struct {
	Name     string `json:"name"`
	Services int    `json:"services"`
	Records  int    `json:"records"` // static ones
	Serial   uint32 `json:"serial"`  // of the SOA record
	Signed   bool   `json:"signed"`  // its file came with signatures
}

// EndpointCounts counts the endpoints of the pools in use, each once for each
// pool. One that is judged for several services counts by its worst state.
type EndpointCounts struct {
	Total   int `json:"total"`
	Up      int `json:"up"`
	Down    int `json:"down"`
	Unknown int `json:"unknown"`
	// Degraded are those that are up, and get less traffic because of their checks.
	Degraded int `json:"degraded"`
}

// Reloaded is what a reload put in force.
type Reloaded struct {
	Reloaded bool      `json:"reloaded"` // always true
	File     string    `json:"file"`
	LoadedAt time.Time `json:"loaded_at,omitzero"`
	Zones    int       `json:"zones"`
	Services int       `json:"services"`
	Warnings []string  `json:"warnings"`
}
