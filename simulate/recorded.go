package simulate

import (
	"fmt"
	"io"
	"net/netip"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/simulate/capture"
)

// maxDistinct is how many different queries are kept of a recording: some
// hundreds of bytes each.
const maxDistinct = 4_000_000

// sender is whom a query came from, and for whom.
type sender struct {
	source netip.Addr
	subnet netip.Prefix
}

type asked struct {
	client int
	name   dnswire.Name
	typ    dnswire.Type
}

// Recorded reads the queries that a pcap, pcapng or dnstap file has recorded, as
// far as they are for services of one of the worlds. The client is the one that
// the client subnet option names, if there is one, else the source of the query.
// Name stands before what is wrong with the file.
func Recorded(name string, r io.Reader, worlds ...*World) (*Mix, error) {
	m := &Mix{Kind: "queries", From: name, Unit: "queries"}
	clients := map[sender]int{}
	times := map[asked]int{}
	var q dnswire.Query
	counts, err := capture.Read(r, func(source netip.Addr, message []byte) error {
		const answer = 0x80 // QR (RFC 1035 section 4.1.1)
		if len(message) > 2 && message[2]&answer != 0 {
			m.Left.Answers++
			return nil
		}
		q.Transport = dnswire.UDP
		q.Parse(message)
		if q.Status != dnswire.StatusOK || q.Class != dnswire.ClassIN || !source.IsValid() {
			m.Left.NoQuery++
			return nil
		}
		ours, service := false, false
		for _, w := range worlds {
			match := w.Snapshot.Table.Find(q.Name(), q.Type)
			ours = ours || match.Zone >= 0
			service = service || serves(match.Node)
		}
		switch {
		case !ours:
			m.Left.NotOurs++
			return nil
		case !service:
			m.Left.NoService++
			return nil
		}
		who := sender{source.WithZone(""), subnetIn(&q.ECS)}
		client, known := clients[who]
		if !known {
			client = len(m.Clients)
			clients[who] = client
			network := subnetOf(who.source)
			if who.subnet.IsValid() && who.subnet.Bits() > 0 {
				network = who.subnet
			}
			m.Clients = append(m.Clients, Client{Source: who.source, Subnet: who.subnet, Network: network})
		}
		m.Clients[client].Weight++
		key := asked{client, dnswire.Name(q.Name()), q.Type}
		at, known := times[key]
		if !known {
			if at = len(m.Asked); at == maxDistinct {
				return fmt.Errorf("more than %d different queries: take a shorter recording", maxDistinct)
			}
			times[key] = at
			m.Asked = append(m.Asked, Asking{Client: client, Name: key.name, Type: q.Type})
		}
		m.Asked[at].Times++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m.Left.NoQuery += float64(counts.Other)
	m.Left.Answers += float64(counts.Answers)
	m.Left.Parts = float64(counts.Parts)
	m.Left.Incomplete = counts.Cut
	if len(m.Clients) == 0 {
		return nil, fmt.Errorf("%s: no query for a service is in it: %s", name, m.Left.instead())
	}
	return m, nil
}

// instead is what a recording has in place of queries for services.
func (l *Left) instead() string {
	text := fmt.Sprintf("%.0f for names that are not ours, %.0f for names that are no services, %.0f frames that hold no query", l.NotOurs, l.NoService, l.NoQuery)
	if l.Parts > 0 {
		text += fmt.Sprintf(", %.0f segments of TCP with a part of a query, which are not put together", l.Parts)
	}
	if l.Answers > 0 {
		text += fmt.Sprintf(", %.0f answers: record queries", l.Answers)
	}
	return text
}

// subnetIn is the network that a client subnet option names; not valid: none.
func subnetIn(e *dnswire.ECS) netip.Prefix {
	switch {
	case !e.Present:
		return netip.Prefix{}
	case e.Family == 1:
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(e.Addr[:4])), int(e.SourceBits))
	case e.Family == 2:
		return netip.PrefixFrom(netip.AddrFrom16(e.Addr), int(e.SourceBits))
	}
	return netip.Prefix{} // no network is stated
}
