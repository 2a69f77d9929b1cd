package api

import "time"

// The protocol between a controller, which knows the records of a zone, and its edges,
// which answer with them: https://github.com/CloudNativeWorks/elchi-gslb, and the event
// stream, which is ours.

// SecretHeader carries the secret that a controller and its edges share, both ways.
const SecretHeader = "X-Elchi-Secret"

// The paths of a controller.
const (
	// SnapshotPath is all records of a zone: zone, regions, node_ip. It answers a Snapshot.
	SnapshotPath = "/dns/snapshot"
	// ChangesPath is the same, unless it has not changed: zone, since, regions, node_ip.
	// It answers Changes, or 304.
	ChangesPath = "/dns/changes"
	// EventsPath is a stream of server-sent events: zone, since, regions, node_ip. A
	// controller without one answers 404.
	EventsPath = "/dns/events"
)

// The paths of an edge.
const (
	NotifyPath  = "/notify"  // POST a Notification, answers Notified
	HealthPath  = "/health"  // GET, without the secret, answers Health
	RecordsPath = "/records" // GET: name, type; answers a Listing
)

// The events of a stream.
const (
	EventChange = "change" // its data are a Change
	EventReset  = "reset"  // its data are a Reset
)

// Record is the addresses of one family of a name, or what the name is while it has none.
type Record struct {
	Name string   `json:"name"` // fully qualified, in the zone; the final dot may be left out
	Type string   `json:"type"` // A or AAAA
	TTL  uint32   `json:"ttl"`  // seconds, at most 2,147,483,647; 0 is the default of the edge
	IPs  []string `json:"ips"`
	// Enabled false takes the addresses out of the answers: the name is an alias of
	// Failover then, or has no data. Absent is true.
	Enabled *bool `json:"enabled,omitempty"`
	// Failover is the name to go to while there are no addresses or they are not enabled.
	Failover string `json:"failover,omitempty"`
}

// Snapshot is all records of a zone.
type Snapshot struct {
	Zone        string   `json:"zone"`         // without the final dot
	VersionHash string   `json:"version_hash"` // whatever changes when a record does; never empty
	Records     []Record `json:"records"`      // never null
}

// Changes is whether a zone has changed, and the whole of it when it has.
type Changes struct {
	Unchanged bool `json:"unchanged"`
	Snapshot       // when it has changed
}

// Unchanged is the answer when a zone has not changed.
type Unchanged struct {
	Unchanged bool `json:"unchanged"` // true
}

// Key names a record.
type Key struct {
	Name string `json:"name"`
	Type string `json:"type"` // A, AAAA, or CNAME for whatever makes an alias of the name
}

// Notification is what an edge is told to change: each of Records takes the place of the
// record with its name and type, and then those of Deletes go.
type Notification struct {
	Records []Record `json:"records,omitempty"`
	Deletes []Key    `json:"deletes,omitempty"`
}

// Change is a notification in an event stream: with it the version From becomes
// VersionHash.
type Change struct {
	From        string `json:"from"`
	VersionHash string `json:"version_hash"`
	Notification
}

// Reset is that the edge needs a snapshot: what has changed is not in the stream.
type Reset struct {
	VersionHash string `json:"version_hash"`
}

// Notified is what became of a notification.
type Notified struct {
	Status  string `json:"status"`  // ok
	Updated int    `json:"updated"` // records that are as the notification has them
	Deleted int    `json:"deleted"` // records that were there and are not any more
	// Refused is what was not done, in whole or in part, and why.
	Refused []Refusal `json:"refused,omitempty"`
}

// Refusal is an item that was not taken, or not all of it.
type Refusal struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// What an edge says of itself in Health.
const (
	EdgeHealthy  = "healthy"
	EdgeDegraded = "degraded" // the last sync failed, and none has worked for two intervals

	SyncInitial = "initial" // no sync has been tried to its end yet
	SyncSuccess = "success"
	SyncFailed  = "failed"

	FromController = "controller"
	FromDisk       = "disk"
	FromNowhere    = "none" // there are no records yet
)

// Health is how an edge stands.
type Health struct {
	Status         string    `json:"status"`                // healthy or degraded
	Zone           string    `json:"zone"`                  // without the final dot
	RecordsCount   int       `json:"records_count"`         // DNS records, one for each address or alias
	VersionHash    string    `json:"version_hash"`          // empty while there are no records
	LastSync       time.Time `json:"last_sync,omitzero"`    // when a controller last said how things are
	LastSyncStatus string    `json:"last_sync_status"`      // initial, success or failed
	Error          string    `json:"error,omitempty"`       // of the last sync, when it failed
	Source         string    `json:"source"`                // where the records are from: controller, disk or none
	AgeSeconds     *float64  `json:"age_seconds,omitempty"` // since LastSync
	Stream         bool      `json:"stream"`                // the controller tells changes as they happen
	Refused        int       `json:"refused"`               // items of the last snapshot that were not taken
}

// Healths is how the edges of several zones stand that have one address.
type Healths struct {
	Status string   `json:"status"` // degraded when one of them is
	Zones  []Health `json:"zones"`
}

// Listing is the records that an edge has, as it answers with them. Addresses that are
// not enabled are not among them.
type Listing struct {
	Zone        string   `json:"zone"`
	VersionHash string   `json:"version_hash"`
	Count       int      `json:"count"`
	Records     []Record `json:"records"` // never null
}
