package simulate

// Change is a figure before and after. They are the same when nothing is
// compared.
type Change struct {
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}

// Result is what came of a simulation. Shares are parts of all answers, from 0 to
// 1; an answer of several records is shared among their endpoints. Lists are never
// nil.
type Result struct {
	Mix          Summary  `json:"mix"`
	Queries      int      `json:"queries"` // that were simulated
	Services     int      `json:"services"`
	Types        []string `json:"types"`
	Suppositions []string `json:"suppositions"`
	// Compared is whether there is an after: a supposition, or another configuration.
	Compared bool `json:"compared"`

	Pools []Pool `json:"pools"` // by name
	// Unanswered is the share of queries without a record, Reasons what they got.
	Unanswered Change   `json:"unanswered"`
	Reasons    []Reason `json:"reasons"`
	// ToDown is the share of answers that lead to endpoints that are down or
	// drained, because a rule for when nothing is left says so.
	ToDown Change `json:"to_down"`
	// Distance is the mean distance from client to pool in km, over the answers of
	// which both places are known; nil when there is none.
	Distance *Change `json:"km_mean"`
	// Measured is the share of answers that Distance is of.
	Measured Change `json:"km_known"`

	// Moved is the share of the clients that are answered with other endpoints
	// after than before: the least that must be, so that chances of a half each that
	// stay so are no move, whatever comes of them for a single client.
	Moved     float64   `json:"moved"`
	Moves     []Move    `json:"moves"`     // the largest first
	Countries []Country `json:"countries"` // those with most that moves first
	Networks  []Network `json:"networks"`  // the same; at most MaxNetworks

	Load       *Load       `json:"load"` // nil: not stated
	Conditions []Condition `json:"conditions"`
}

// MaxNetworks is how many networks a result lists.
const MaxNetworks = 1000

// Summary says who asked.
type Summary struct {
	Kind      string  `json:"kind"`
	From      string  `json:"from,omitempty"`
	Clients   int     `json:"clients"` // networks, or senders of a recording
	Countries int     `json:"countries"`
	Weight    float64 `json:"weight"` // of all
	Unit      string  `json:"unit"`   // of Weight
	Left      Left    `json:"left_out"`
}

// Pool is a pool with the endpoints that services use.
type Pool struct {
	Name      string     `json:"pool"`
	Share     Change     `json:"share"`
	Endpoints []Endpoint `json:"endpoints"` // in the order of the configuration
}

// Endpoint is an endpoint of a pool.
type Endpoint struct {
	Name  string `json:"endpoint"` // address or host name
	State string `json:"state"`    // after: up, down, drained or unknown
	Share Change `json:"share"`
	Load  Change `json:"load"` // in the unit of the load; 0 when none is stated
	// The limits as the configuration states them, 0: none, and the one that the
	// load after exceeds: "", "soft" or "hard".
	SoftLimit float64 `json:"soft_limit"`
	HardLimit float64 `json:"hard_limit"`
	Over      string  `json:"over"`
}

// Reason is why there is no record.
type Reason struct {
	Text  string `json:"reason"` // "no data", or the code of the answer
	Share Change `json:"share"`
}

// Move is clients that go from one pool to another, or to other endpoints of
// the same one. A pool without a name is that of the unanswered.
type Move struct {
	From  string  `json:"from"`
	To    string  `json:"to"`
	Share float64 `json:"share"`
	// Distance is the mean distance of these clients before and after, in km; nil
	// when no places are known.
	Distance *Change `json:"km"`
}

// Country is the clients of a country.
type Country struct {
	Code     string  `json:"country"` // empty: not known
	Share    float64 `json:"share"`   // of all clients
	Moved    float64 `json:"moved"`   // of all clients
	Distance *Change `json:"km_mean"` // of all of its clients
}

// Network is the clients of a prefix.
type Network struct {
	Prefix  string  `json:"network"`
	Country string  `json:"country,omitempty"`
	Share   float64 `json:"share"` // of all clients
	Moved   float64 `json:"moved"` // of all clients
}
