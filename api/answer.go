package api

import "time"

// Services is one page of the services, in the order of their names (RFC 4034
// section 6.1: zone by zone, a zone's own name first).
type Services struct {
	Services []Service `json:"services"`
	Total    int       `json:"total"` // on all pages
	Next     string    `json:"next"`  // `after` of the next page; empty on the last
}

// Service is a steered name.
type Service struct {
	Name    string        `json:"name"`
	Zone    string        `json:"zone"`
	Steer   string        `json:"steer"` // the chain of filters
	TTL     uint32        `json:"ttl"`
	Answers int           `json:"answers"`  // how many records; 0 is all
	AllDown string        `json:"all_down"` // the rule, or the pool, for when nothing is healthy
	Panic   float64       `json:"panic"`
	Pools   []ServicePool `json:"pools"`
}

// ServicePool is a pool of a service, with its endpoints' health for it.
type ServicePool struct {
	Name       string `json:"name"`
	Endpoints  int    `json:"endpoints"`
	Healthy    int    `json:"healthy"`
	MinHealthy int    `json:"min_healthy"`
}

// Explanation is how a question is answered at this instant: every step that
// leads to the answer, in order, and the answer.
type Explanation struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Client  string `json:"client,omitempty"`
	Zone    string `json:"zone,omitempty"`
	Service string `json:"service,omitempty"`
	Steer   string `json:"steer,omitempty"`

	Endpoints []ExplainedEndpoint `json:"endpoints,omitempty"`
	Steps     []Step              `json:"steps"`

	RCode    string   `json:"rcode"`
	Answers  []string `json:"answers"`            // type and data of each record, in order; its name before it when it is not Name
	Referral []string `json:"referral,omitempty"` // the name servers to ask instead
	TTL      uint32   `json:"ttl"`                // seconds
	ECSScope int      `json:"ecs_scope"`
	// Network is the network around the client in which everybody is decided for
	// alike, but for chance; "any": so is everybody, whatever the address. Absent
	// where there is nothing of the node's to decide.
	Network string `json:"network,omitempty"`
	EDE     string `json:"ede,omitempty"` // extended error: code and text
}

// ExplainedEndpoint is one endpoint of the service as it stood.
type ExplainedEndpoint struct {
	Service   string    `json:"service"` // a CNAME may lead from one service to another
	Address   string    `json:"address"`
	Pool      string    `json:"pool"`
	Weight    uint32    `json:"weight"`
	Priority  int       `json:"priority"`
	Tags      []string  `json:"tags,omitempty"`
	State     string    `json:"state"`
	Authority string    `json:"authority"`
	Reason    string    `json:"reason,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	// What the steering goes by; absent where it is not known, or where nobody goes
	// by it.
	ConnectMS float64  `json:"connect_ms,omitempty"` // smoothed latency
	Load      *float64 `json:"load,omitempty"`       // as reported
	Degraded  bool     `json:"degraded,omitempty"`   // it is up, and its checks leave it less than its share
	Suspect   bool     `json:"suspect,omitempty"`    // its checks fail, and State is what it was
	// Share is how much of its usual traffic it is to have, below 1 while it is
	// drained or degraded; absent when that is all.
	Share float64 `json:"share,omitempty"`
}

// Step is one step of the decision.
type Step struct {
	What  string   `json:"what"`
	Why   string   `json:"why"`
	Kept  []string `json:"kept,omitempty"`  // the endpoints left after it, in order
	Depth int      `json:"depth,omitempty"` // in how many nested services and composed pools it was taken
}
