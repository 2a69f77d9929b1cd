package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// What a maintenance may be.
const (
	MaintenancePlanned  = "planned"
	MaintenanceDraining = "draining" // it has begun, and its endpoints have traffic left
	MaintenanceInForce  = "in force"
)

// Selection says which endpoints are meant. Of each list that is not empty one
// item must fit.
type Selection struct {
	Endpoints    []string `json:"endpoints,omitempty"` // addresses and host names
	Pools        []string `json:"pools,omitempty"`
	Tags         []string `json:"tags,omitempty"`
	Regions      []string `json:"regions,omitempty"`
	Continents   []string `json:"continents,omitempty"`
	Countries    []string `json:"countries,omitempty"`
	Subdivisions []string `json:"subdivisions,omitempty"`
	Cities       []string `json:"cities,omitempty"`
	ASNs         []uint32 `json:"asns,omitempty"`
}

// Maintenance takes endpoints out of every service for a while.
type Maintenance struct {
	ID     string    `json:"id"`
	Select Selection `json:"select"`
	State  string    `json:"state"` // planned, draining or in force
	At     time.Time `json:"at"`    // when it begins
	Until  time.Time `json:"until"`
	Drain  string    `json:"drain"` // over how long from At on traffic is taken away
	Share  float64   `json:"share"` // how much of their traffic the endpoints have left by it: 1 to 0
	Reason string    `json:"reason"`
	Source string    `json:"source"` // who set it
	SetAt  time.Time `json:"set_at"`
	// Endpoints are those that are selected at present.
	Endpoints []string `json:"endpoints"`
}

// Maintenances is the calendar.
type Maintenances struct {
	Maintenance []Maintenance `json:"maintenance"`
	Total       int           `json:"total"`
	GeneratedAt time.Time     `json:"generated_at"`
}

// MaintenanceRequest is the body of a request that adds a maintenance.
type MaintenanceRequest struct {
	Select Selection `json:"select"`          // at least one list
	At     string    `json:"at,omitempty"`    // such as 2026-11-21T18:00Z (RFC 3339); absent: now
	For    string    `json:"for,omitempty"`   // how long it lasts, such as 1h: 1s to 8784h
	Until  string    `json:"until,omitempty"` // or until when
	Drain  string    `json:"drain,omitempty"` // 0s when absent: out at once
	Reason string    `json:"reason"`          // required; at most 500 bytes on one line
	Source string    `json:"source,omitempty"`
}

// AuditEntry is one thing that was done.
type AuditEntry struct {
	ID     uint64    `json:"id"`
	At     time.Time `json:"at"`
	Who    string    `json:"who"`              // a token, an address, whom an admin stated, or (node)
	Token  string    `json:"token,omitempty"`  // the one that was used
	From   string    `json:"from,omitempty"`   // the address that the request came from
	Stated string    `json:"stated,omitempty"` // whom the request named, where that was not believed
	What   string    `json:"what"`
	On     string    `json:"on,omitempty"`
	How    string    `json:"how,omitempty"`
	Why    string    `json:"why,omitempty"`
	Failed string    `json:"failed,omitempty"` // why nothing came of what an entry before announced
}

// AuditLog is entries of the audit log, the oldest first.
type AuditLog struct {
	Entries     []AuditEntry `json:"entries"`
	More        bool         `json:"more"` // the limit left some out
	GeneratedAt time.Time    `json:"generated_at"`
}

// AuditQuery selects entries; its zero value the last ones.
type AuditQuery struct {
	Since time.Time // those of this time and later
	After uint64    // those with a higher ID
	Limit int       // 0: the node's default
}

// Maintenance is the calendar.
func (c *Client) Maintenance(ctx context.Context) (*Maintenances, error) {
	return call[Maintenances](ctx, c, request{path: "maintenance"})
}

// AddMaintenance takes endpoints out of every service for a while.
func (c *Client) AddMaintenance(ctx context.Context, m MaintenanceRequest) (*Maintenance, error) {
	return call[Maintenance](ctx, c, request{method: http.MethodPost, path: "maintenance", body: m})
}

// CancelMaintenance ends a maintenance, or takes it off the calendar.
func (c *Client) CancelMaintenance(ctx context.Context, id string, why Because) error {
	_, err := call[struct{}](ctx, c, request{method: http.MethodDelete, path: "maintenance/" + url.PathEscape(id), query: why.values()})
	return err
}

// Audit is what was done.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (*AuditLog, error) {
	since, after, limit := "", "", ""
	if !q.Since.IsZero() {
		since = q.Since.UTC().Format(time.RFC3339)
	}
	if q.After != 0 {
		after = strconv.FormatUint(q.After, 10)
	}
	if q.Limit != 0 {
		limit = strconv.Itoa(q.Limit)
	}
	return call[AuditLog](ctx, c, request{path: "audit", query: values("since", since, "after", after, "limit", limit)})
}

func (b Because) values() url.Values { return values("reason", b.Reason, "source", b.Source) }
