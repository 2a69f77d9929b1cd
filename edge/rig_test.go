package edge

import (
	"fmt"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// many is a snapshot of so many records, some 100 octets each.
func many(n int) []byte {
	b := []byte(`{"zone":"gslb.example","version_hash":"v1","records":[`)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"name":"service-%07d.gslb.example","type":"A","ttl":300,"ips":["10.%d.%d.%d"]}`, i, i>>16&255, i>>8&255, i&255)
	}
	return append(b, "]}"...)
}

func name(s string) dnswire.Name {
	n, err := dnswire.ParseName(s)
	if err != nil {
		panic(err)
	}
	return n
}

// apex are the records of a zone that its statement has.
func apex(zone string) []text.Record {
	z, ns := name(zone), name("ns1."+zone)
	soa := append(append([]byte(ns), name("hostmaster."+zone)...), 0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 3, 132, 0, 9, 58, 128, 0, 0, 0, 30)
	return []text.Record{
		{Owner: z, Type: dnswire.TypeSOA, TTL: 30, Data: soa},
		{Owner: z, Type: dnswire.TypeNS, TTL: 3600, Data: []byte(ns)},
		{Owner: ns, Type: dnswire.TypeA, TTL: 3600, Data: []byte{192, 0, 2, 53}},
	}
}

func gatherWith(zone string) gatherOptions {
	o := &Options{Zone: name(zone), TTL: DefaultTTL, Apex: apex(zone)}
	return gatherOptions{rules: newRules(o), apex: o.Apex, most: DefaultMaxRecords}
}
