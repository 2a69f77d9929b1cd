// Package capture takes DNS queries out of files that recorded them: pcap and
// pcapng files, as tcpdump and Wireshark write them, and dnstap files of Frame
// Streams, as fstrm_capture and name servers write them.
//
//	file -> frames -> UDP or TCP payload or dnstap message -> (source, message)
//
// A file is read once from its beginning to its end, in constant memory. What is
// damaged in it is an error that says where; what is merely something else (other
// protocols, fragments, answers) is counted and left out, and so are messages over
// TCP that are divided among segments: nearly all queries fit into one. A file that ends
// within a frame, because whoever wrote it was stopped, is read as far as it goes.
//
// It knows no DNS: whether a message is a query is for others to say.
package capture
