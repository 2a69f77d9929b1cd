// Command rhumb is a global server load balancer that works through DNS.
//
//	serve, check, demo              run a node, or try one
//	status, servers, explain, ...   ask a running node over its REST API
//
// It has flags and subcommands only: package app is the process, package api
// the client. Results go to standard output, errors to standard error; the exit
// code is 0, 1 for a failure, or 2 for misuse. Tables are for people and may
// change; --json prints the API's own shapes, which do not.
package main
