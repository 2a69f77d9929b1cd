package spec

import (
	"errors"
	"fmt"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// What a zone says of itself when nobody else does, in seconds. A source may change
// everything at any moment, so that "no" is not remembered for long.
const (
	fedRefresh = 7200
	fedRetry   = 1800
	fedExpire  = 86400
	fedMinimum = 30
	fedTTL     = 300 // of the SOA and NS records
)

// FedZone is the statement of a zone whose records a source hands over. Without
// nameservers it has ns.dns and hostmaster below its own name, as CoreDNS makes them
// up. The serial is that of the SOA record. The error says that the names would be
// too long, or what is wrong with the nameservers.
func FedZone(name dnswire.Name, nameservers []Nameserver, serial uint32) (*Zone, error) {
	const server, mailbox = "\x02ns\x03dns", "\x0ahostmaster"
	const maxName = 255 // octets; RFC 1035 section 2.3.4
	if len(mailbox)+len(name) > maxName {
		return nil, fmt.Errorf("zone %s: the name is too long to have %s below it", name, "hostmaster")
	}
	if len(nameservers) == 0 {
		nameservers = []Nameserver{{Name: server + name}}
	}
	z := &Zone{
		Name: name, Nameservers: nameservers, Fed: true,
		SOA: SOA{
			Mbox: mailbox + name, Serial: serial, Refresh: fedRefresh, Retry: fedRetry, Expire: fedExpire,
			Minimum: fedMinimum, TTL: fedTTL, stated: true,
		},
	}
	b := zone.NewBuilder(name)
	b.Implies()
	var errs []error
	z.apex(func(owner dnswire.Name, t dnswire.Type, data []byte) {
		if err := b.Add(&text.Record{Owner: owner, Type: t, TTL: fedTTL, Data: data}); err != nil {
			errs = append(errs, err)
		}
	})
	d, faults, _ := b.Build()
	for _, f := range faults {
		errs = append(errs, errors.New(f.Msg))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("zone %s: %w", name, errors.Join(errs...))
	}
	z.Data = d
	return z, nil
}
