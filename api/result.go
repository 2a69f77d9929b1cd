package api

import "time"

// CheckResult is what somebody reported of an endpoint for an external check.
type CheckResult struct {
	Check      string    `json:"check"`
	Address    string    `json:"address"`
	OK         bool      `json:"ok"`
	Degraded   bool      `json:"degraded"` // it serves, and not as it should; OK is true
	Detail     string    `json:"detail"`
	Source     string    `json:"source"` // who or what reported it
	ReportedAt time.Time `json:"reported_at"`
	ValidUntil time.Time `json:"valid_until"` // from then on the check's on_stale says
}

// CheckResults are the reports that count.
type CheckResults struct {
	Results     []CheckResult `json:"results"`
	Total       int           `json:"total"`
	GeneratedAt time.Time     `json:"generated_at"`
}

// CheckResultRequest is the body of a request that reports a result.
type CheckResultRequest struct {
	OK       *bool  `json:"ok"`                  // required
	Degraded bool   `json:"degraded,omitempty"`  // with OK true
	Detail   string `json:"detail,omitempty"`    // why; at most 200 bytes on one line
	ValidFor string `json:"valid_for,omitempty"` // a duration from 1s to the check's ttl, which it is when absent
	Source   string `json:"source,omitempty"`    // at most 200 bytes on one line
}
