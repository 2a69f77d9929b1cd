// Package probe runs one health probe against one endpoint and says what came
// of it. There is one file per check type:
//
//	tcp.go         connects, and holds a short conversation (talk.go)
//	tls.go         connects, makes the TLS handshake, verifies the certificate, talks
//	               (tls_accept.go: whether the server takes the client's)
//	http.go        connects, (TLS,) one HTTP request, judges status, header and body
//	               (http_request.go: what is asked, and redirects; exchange.go,
//	               http2.go, http3.go and quic.go: what goes over the wire;
//	               http_judge.go: verdicts)
//	grpc.go        connects, (TLS,) one call of the health service over HTTP/2
//	icmp.go        echo requests over a socket that pings share (echoes.go); echo.go
//	               has their messages, echo_unix.go the socket
//	dns.go         one question over UDP or TCP
//	smtp.go        connects, (TLS,) greeting, EHLO, STARTTLS, sender, recipient, QUIT
//	mysql.go       logs in, runs a query (mysql_login.go, mysql_wire.go)
//	postgres.go    the same (scram.go: the proof of a password)
//	redis.go       logs in, runs a command
//	prometheus.go  asks for metrics, judges one (series.go, exposition.go)
//
// The last four hold a conversation (session.go) and judge a value by conditions
// (condition.go). Those probes that can do without a goroutine of their own are made
// by starter.go, with package loop; reply.go has what HTTP needs for that.
//
// They share one road:
//
//	Target --resolve--> address --connect--> conn --handshake--> --exchange--> Result
//	             \_________ every step ends when the context ends _________/
//
// What it guarantees:
//
//   - The context is the only clock. When it ends, the probe ends, in whatever
//     step it is: a peer that accepts and says nothing, that sends a byte now
//     and then for ever, or whose process is stopped cannot hold it.
//   - Every probe makes a connection of its own, through no proxy, and closes it
//     before Probe returns. No goroutine of a probe outlives it, except the
//     system's own resolver call where the platform cannot interrupt it. The
//     socket of echo requests, and its reader, are there while any is in flight,
//     and the goroutines of a QUIC connection that has been closed end by themselves.
//   - What is read from a peer is bounded: 32 KiB of header, 64 KiB of body and
//     no body at all unless one is judged; 64 KiB of a conversation; 128 KiB in 256
//     frames of a call; 1 MiB of a database in messages of at most 64 KiB; 8 MiB of
//     metrics, which are never in memory as a whole. Nothing that is compressed is
//     decoded, but the headers of HTTP/2 and HTTP/3, up to the same 32 KiB.
//   - Result.Detail is one line of at most 200 bytes of ASCII. It never holds a
//     request header, a path or a query, and of the peer's words nothing but the
//     names in a certificate, the host of a redirect, the codes of a database's
//     errors and a value that is a number, so no secret gets out by way of a log
//     or an API, not even when a server echoes it.
//   - A probe that is started in a Loop says what Probe would have said. Its deadline
//     may pass a few milliseconds late, never early, and an answer that has come by
//     then is looked at first.
//   - A Prober is safe for concurrent use and keeps nothing between probes: no
//     idle connection, no cookie, no TLS session.
//
// What it never does: retry, schedule, count to a threshold or judge health.
// That is for whoever calls it.
package probe
