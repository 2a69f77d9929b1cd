package api

import "time"

// Load is how busy an endpoint is, as somebody reported it.
type Load struct {
	Address    string    `json:"address"`
	Load       float64   `json:"load"`   // in the unit of the limits of the filter `shed`
	Source     string    `json:"source"` // who or what reported it
	ReportedAt time.Time `json:"reported_at"`
	ValidUntil time.Time `json:"valid_until"` // from then on nothing is known
}

// Loads are the reports that count.
type Loads struct {
	Loads []Load `json:"loads"`
	Total int    `json:"total"`
	// InUse is whether some service goes by them: its steering has the filter `shed`.
	InUse       bool      `json:"in_use"`
	GeneratedAt time.Time `json:"generated_at"`
}

// LoadRequest is the body of a request that reports the load of one endpoint.
type LoadRequest struct {
	Load     *float64 `json:"load"`                // required; 0 to 4,000,000
	ValidFor string   `json:"valid_for,omitempty"` // a duration from 1s to 24h; 60s when absent
	Source   string   `json:"source,omitempty"`    // at most 200 bytes on one line
}

// LoadsRequest is the body of a request that reports many.
type LoadsRequest struct {
	Loads []AddressLoad `json:"loads"`
}

// AddressLoad is the load of one endpoint of many.
type AddressLoad struct {
	Address string `json:"address"`
	LoadRequest
}

// LoadsReported is what came of a report of many.
type LoadsReported struct {
	Accepted int      `json:"accepted"`
	Unknown  []string `json:"unknown"` // endpoints that no service has
	InUse    bool     `json:"in_use"`
}
