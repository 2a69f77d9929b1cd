package api

import "time"

// Geo is what the node knows of places.
type Geo struct {
	// Loaded is whether places are known at this instant. They are not until a
	// filter goes by them, or somebody looks an address up.
	Loaded    bool          `json:"loaded"`
	Networks  int           `json:"networks"` // stated in the configuration
	Regions   int           `json:"regions"`
	Places    int           `json:"places"` // different ones, in all
	Databases []GeoDatabase `json:"databases"`
}

// GeoDatabase is one database of places.
type GeoDatabase struct {
	File    string    `json:"file"` // the path, or "built-in"
	Type    string    `json:"type,omitempty"`
	Built   time.Time `json:"built,omitzero"`  // by who made it
	Loaded  time.Time `json:"loaded,omitzero"` // when it was read
	Entries int       `json:"entries"`         // networks in it
	// Error is why what is in the file now is not used; what was read before is
	// used on. Empty when all is well.
	Error string `json:"error,omitempty"`
}

// GeoLookup is where an address is taken to be, and who says so.
type GeoLookup struct {
	Address string   `json:"address"`
	Network string   `json:"network"` // around the address, all at this place
	Place   GeoPlace `json:"place"`
	// Sources are those that know something of the address, the one that counts
	// most first.
	Sources []GeoSource `json:"sources"`
}

// GeoSource is what one source says of an address.
type GeoSource struct {
	Kind    string    `json:"kind"` // network or database
	Name    string    `json:"name"` // of a database: its path, or "built-in"; of a network: the network
	Type    string    `json:"type,omitempty"`
	Built   time.Time `json:"built,omitzero"`
	Network string    `json:"network"` // that it says this of
	Place   GeoPlace  `json:"place"`
}

// GeoPlace is a place, as far as it is known.
type GeoPlace struct {
	Region        string    `json:"region,omitempty"`
	Continent     string    `json:"continent,omitempty"` // two letters
	ContinentName string    `json:"continent_name,omitempty"`
	Country       string    `json:"country,omitempty"` // ISO 3166-1 alpha-2
	CountryName   string    `json:"country_name,omitempty"`
	Subdivision   string    `json:"subdivision,omitempty"` // ISO 3166-2 without the country
	City          string    `json:"city,omitempty"`
	ASN           uint32    `json:"asn,omitempty"`
	At            []float64 `json:"at,omitempty"` // latitude and longitude in degrees
}
