// Makedata makes the country database that is built in, of one in MaxMind's
// format with a field country_code:
//
//	go run ./geo/makedata geo-whois-asn-country.mmdb geo/countries.bin
//
// `make geo-data` fetches the former and calls it.
package main
