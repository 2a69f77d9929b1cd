// Package store is a small key-value store that survives a crash: buckets of
// keys and values in one file, written by transactions.
//
// It guarantees that a write that returned is on disk, and that two processes
// never open one file together. It knows nothing of what is kept in it.
package store
