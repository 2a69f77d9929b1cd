// Package corednsgslb reads the YAML files of CoreDNS-GSLB.
//
//	zone file, profiles, location map -> Read -> native configuration, with the places
//	                                             of what it came from
//
// There are three kinds of file, told apart by their keys: zone files (`records`, with
// `defaults` and `healthcheck_profiles` of their own), global `healthcheck_profiles`, and
// maps from `subnets` to locations. All files of a configuration are read together, since
// zone files name profiles, and backends locations, of other files.
//
// What comes out is the same configuration in native words, as document.Value: package
// spec decodes it like any other file, and `rhumb import coredns-gslb` prints it. So the
// two cannot differ. Every value in it knows the line and column that it came from, and
// Result.Path the key there, for the messages of whoever decodes it.
//
// Where the documents of CoreDNS-GSLB and its code differ, the documents are followed, and
// what the code took is taken. What neither the documents know nor the code could have
// acted on is an error. docs/migration-coredns-gslb.md has every key, and what is different
// here and why.
//
// It opens no file and knows no health: it turns trees into trees.
package corednsgslb
