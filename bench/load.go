package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/datagram"
)

// result is what the load saw.
type result struct {
	Answers int
	Lost    int
	Wrong   int // other rcode than NOERROR, or no records
	Seconds float64
}

const (
	batch  = 64
	window = 256 // queries on the way at once
)

// loadCommand asks a server for random names for a while and prints a result as
// JSON. It is a process of its own, so that it can have a core of its own.
func loadCommand(args []string) error {
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	to := f.String("to", "", "server's address")
	names := f.Int("names", 1, "number of names")
	each := f.Duration("for", time.Second, "duration")
	plain := f.Bool("echo", false, "the server echoes: do not look into answers")
	if err := f.Parse(args); err != nil {
		return err
	}
	addr, err := netip.ParseAddrPort(*to)
	if err != nil {
		return err
	}
	r, err := load(addr, *names, *each, *plain)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// load keeps window queries on the way until the time is over.
func load(to netip.AddrPort, names int, each time.Duration, plain bool) (result, error) {
	var r result
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return r, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadBuffer(4 << 20)
	p := ipv4.NewPacketConn(conn)

	queries := make([][]byte, min(1<<16, 64*names))
	for i := range queries {
		n, err := dnswire.ParseName(serviceName(rand.IntN(names)))
		if err != nil {
			return r, err
		}
		queries[i] = dnswire.AppendQuery(nil, n, dnswire.TypeA, netip.Prefix{})
	}
	out := make([]ipv4.Message, batch)
	in := make([]ipv4.Message, batch)
	for i := range in {
		out[i].Buffers = [][]byte{nil}
		in[i].Buffers = [][]byte{make([]byte, 1500)}
	}

	start := time.Now()
	end := start.Add(each)
	sent, next, flying := 0, 0, 0
	for {
		now := time.Now()
		if now.After(end) {
			break
		}
		for flying < window {
			n := min(batch, window-flying)
			for i := range n {
				q := queries[next%len(queries)]
				next++
				binary.BigEndian.PutUint16(q, uint16(next))
				out[i].Buffers[0] = q
			}
			k, err := p.WriteBatch(out[:n], 0)
			if err != nil {
				return r, err
			}
			sent += k
			flying += k
		}
		// Go does not read behind a deadline, even what is there: one that this
		// process can miss by losing its core would count answers as lost.
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		n, err := p.ReadBatch(in, 0)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			r.Lost += flying
			flying = 0
			continue
		}
		if err != nil {
			return r, err
		}
		for i := range n {
			b := in[i].Buffers[0][:in[i].N]
			if !plain && (len(b) < dnswire.HeaderLen || b[3]&0xf != 0 || binary.BigEndian.Uint16(b[6:]) == 0) {
				r.Wrong++
			}
		}
		r.Answers += n
		flying = max(0, flying-n)
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// echo sends every datagram back, with the batches that the server uses. It
// prints its address and runs until it is killed.
func echo() error {
	s, err := datagram.Listen(netip.MustParseAddrPort("127.0.0.1:0"), false)
	if err != nil {
		return err
	}
	fmt.Println(s.Addr())
	for {
		n, err := s.Receive()
		if err != nil {
			return err
		}
		for i := range n {
			msg, _ := s.Message(i)
			s.Reply(i, append(s.Room(), msg...))
		}
		s.Send()
	}
}
