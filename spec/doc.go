// Package spec is the desired state as people write it: it reads YAML files into
// one validated Spec.
//
//	files -> include -> tree -> decode, defaults, references -> validate -> Spec
//	          load.go  document/       decode.go and one file per section
//
// Load reads a file and all that it includes, Parse one document without files.
// A large file is read in stretches, and services in it that are stated plainly
// do not pass through a tree (runs.go, reading.go): the spec is the same, and a
// Kept has what they came to, so that the next Load parses what is new.
// Zone files are part of it (static.go): a Zone comes with its records read and
// built, and a Kept lets the next Load pass over those that are as they were.
// Both read strictly and report everything that is wrong at once, as Errors,
// each at its file, line and column with the key's path. A Spec that comes out
// is whole: defaults are filled in, every reference is resolved, and what cannot
// be answered is refused; table.Compile has nothing left to check.
//
// The package document knows YAML, this one the keys: they, their bounds and
// defaults stand in one table (schema.go), which the decoder works by and
// docs/configuration.md is made of.
//
// It never opens a socket, never looks a name up, never logs, and reads no
// clock: what it says depends on the files and the environment alone.
package spec
