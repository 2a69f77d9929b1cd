package geo

// Place is where an address, or an endpoint, is. What is not known is empty.
type Place struct {
	Region      string // the operator's word
	Continent   string // two letters: AF AN AS EU NA OC SA
	Country     string // ISO 3166-1 alpha-2
	Subdivision string // ISO 3166-2 without the country: CA of US-CA
	City        string // its English name
	ASN         uint32 // 0: not known
	// Lat and Lon are degrees, north and east positive. They mean nothing unless
	// Located.
	Lat, Lon float64
	Located  bool
}
