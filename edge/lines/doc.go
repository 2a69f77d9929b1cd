// Package lines is for the tests of rooms that speak HTTP to others: a server over
// connections in memory, which can go dead. Nothing but tests may import it, which the
// import table holds.
package lines
