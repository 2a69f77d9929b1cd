package api

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Pools are the pools that services use, by name.
type Pools struct {
	Pools       []Pool    `json:"pools"`
	Total       int       `json:"total"`
	GeneratedAt time.Time `json:"generated_at"`
}

// Pool is how a pool stands for the services that want the same of it. One of
// which they want different things is there several times.
type Pool struct {
	Name string `json:"name"`
	// Service is the service it is judged for, when its checks ask for the
	// service's host; else empty.
	Service    string       `json:"service"`
	Standing   bool         `json:"standing"` // it is answered with, while any pool of a service stands
	Moving     bool         `json:"moving"`   // something about it is in transition, so TTLs are lowered
	Since      time.Time    `json:"since,omitzero"`
	Why        string       `json:"why"` // one line
	MinHealthy int          `json:"min_healthy"`
	Conduct    *PoolConduct `json:"conduct,omitempty"` // absent: all changes at once
	// Endpoints are in the order the pool has them.
	Endpoints []PoolEndpoint `json:"endpoints"`
}

// PoolConduct is how a pool and its endpoints change.
type PoolConduct struct {
	FailoverDelaySeconds float64      `json:"failover_delay_seconds"`
	FailbackDelaySeconds float64      `json:"failback_delay_seconds"`
	Failback             string       `json:"failback"` // automatic or manual
	SlowStartSeconds     float64      `json:"slow_start_seconds"`
	Damping              *PoolDamping `json:"damping,omitempty"` // absent: none
	MaxEjected           float64      `json:"max_ejected"`       // 0 to 1
}

// PoolDamping is when an endpoint is held down, and for how long.
type PoolDamping struct {
	Changes       int     `json:"changes"`
	WithinSeconds float64 `json:"within_seconds"`
	HoldSeconds   float64 `json:"hold_seconds"`
	MaxSeconds    float64 `json:"max_seconds"`
}

// PoolEndpoint is one endpoint of a pool. Overrides, which are for one service,
// are not in it.
type PoolEndpoint struct {
	Address string  `json:"address"` // IP address or host name
	State   string  `json:"state"`   // up, down or unknown, as answers go by it
	Judged  string  `json:"judged"`  // the same by its checks alone
	Share   float64 `json:"share"`   // of its usual traffic, 0 to 1
	Why     string  `json:"why"`     // one line; empty when there is nothing to say
}

// Failback is what came of an operator's word that a pool is to stand again.
type Failback struct {
	Changed bool   `json:"changed"` // false: it stood
	Pools   []Pool `json:"pools"`   // that pool, as it stands now
}

// Pools are the pools in use; a name selects one.
func (c *Client) Pools(ctx context.Context, name string) (*Pools, error) {
	return call[Pools](ctx, c, request{path: "pools", query: values("pool", name)})
}

// Failback has a pool that gave way stand again.
func (c *Client) Failback(ctx context.Context, name string, why Because) (*Failback, error) {
	return call[Failback](ctx, c, request{method: http.MethodPost, path: "pools/" + url.PathEscape(name) + "/failback", query: why.values()})
}
