// Package lane answers queries that come by UDP without CoreDNS's server for them,
// where it is certain that CoreDNS would send the same bytes, and hands all others to
// CoreDNS.
//
//	              +--> CoreDNS's own socket, which gets nothing while a lane is open
//	the kernel ---+
//	              +--> the lane's socket ---> plain? whose zone? settled? ---> the answer
//	                                                   | no
//	                                                   v
//	                                     a dns.Server of the lane's ---> Server.ServeDNS
//
// CoreDNS reads each datagram with a call of its own, begins a goroutine for it, takes
// it apart and puts an answer together. That costs more than ten times what it takes to
// find the answer. A lane reads and answers in batches (package datagram). Its socket
// joins the address of CoreDNS's (SO_REUSEPORT), and the kernel is told to give it all
// that comes (Socket.Steer).
//
// What is answered on the lane is what a plugin of ours would answer: a query in the
// one form in which there is nothing to misunderstand (plain), for a zone whose server
// block has nobody ahead of the plugin with a say in the matter (survey), and about
// which the plugin asks nobody else (Answerer). Everything else CoreDNS gets as it
// came, with the client's address and the one that was asked; its answer leaves by the
// lane's socket.
//
// It guarantees that nothing depends on a lane being open. It is opened when CoreDNS
// serves already, and closed with all answered that it got; where it cannot be opened,
// or the kernel chooses another socket, CoreDNS answers, with the same bytes.
//
// What it must know of CoreDNS and CoreDNS does not say is read from fields that are
// not exported: see fields.go. Where one is not there, or is something else, there is
// no lane.
package lane
