// Package mouth lets CoreDNS answer from snapshots of Rhumb: it is what the
// plugins have in common. What an answer is, resolve decides.
//
//	dns.Msg --Draft--> dnswire.Query --resolve--> packed answer --Send--> the client
//	                                                   |
//	                                                   +--> dns.Msg, when something that
//	                                                        wraps the writer wants one
//
// CoreDNS hands a plugin a query that it has taken apart, and expects an answer
// that it puts together. Both cost more than the answer itself, so Send writes the
// bytes as they are when nobody between it and the socket needs the message: to
// see that, it knows the writers that only count. Whoever else wraps the writer
// (cache, dnssec, log, rewrite and the others) gets a dns.Msg.
//
// The package also keeps what must outlive a reload of CoreDNS, which starts the
// new instance before it stops the old one: Shared things are handed from one to
// the other, and HTTP listeners are among them.
package mouth
