// Package capture takes DNS queries out of files that recorded them: pcap and
// pcapng files, as tcpdump and Wireshark write them, and dnstap files of Frame
// Streams, as fstrm_capture and name servers write them.
//
//	file -> frames -> UDP payload or dnstap message -> (source, message)
//
// A file is read once from its beginning to its end, in constant memory. What is
// damaged in it is an error that says where; what is merely something else (other
// protocols, TCP, fragments, answers) is counted and left out. A file that ends
// within a frame, because whoever wrote it was stopped, is read as far as it goes.
//
// It knows no DNS: whether a message is a query is for others to say.
package capture
