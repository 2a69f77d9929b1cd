package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
)

// A thousand edges may be asked what they have at once, each for a million records: a list
// is compared as it comes in, and what differs is made as it goes out.
const (
	// listingTime is how many times longer than a notification a list of all records may
	// take.
	listingTime = 15
	// maxItem is how long an item of a list may be, in octets, and spare how many records
	// are read of it beside twice as many as there are.
	maxItem = 256 << 10
	spare   = 2 * maxGone
	// maxGone is how many records the edge is told at once to let go of.
	maxGone = 20_000
)

// errGone is the error of an edge that still has records which it is to let go of.
var errGone = fmt.Errorf("it has more than %d records that are gone: the others are told the next time", maxGone)

// errEnough ends a list of which no more is to be read.
var errEnough = errors.New("that is enough")

// resync asks the edge what it has, and tells it what differs. One that does not say is
// told everything.
func (p *push) resync(ctx context.Context, st *State) error {
	p.c.meters.resyncs.WithLabelValues(p.key.edge).Inc()
	l := lack{st: st, zone: p.key.zone, has: make([]uint64, (2*st.names()+63)/64)}
	err := p.edge.records(ctx, p.key.zone, l.note)
	var no answered
	if errors.Is(err, errEnough) || errors.As(err, &no) && (no.code == http.StatusNotFound || no.code == http.StatusMethodNotAllowed) {
		err = nil
	}
	if err != nil {
		return err
	}
	batch := &api.Notification{}
	l.each(func(r api.Record) bool {
		if batch.Records = append(batch.Records, r); len(batch.Records) < maxBatch {
			return true
		}
		err = p.deliver(ctx, batch)
		batch.Records = batch.Records[:0]
		return err == nil
	})
	if err != nil {
		return err
	}
	batch.Deletes = l.gone
	slices.SortFunc(batch.Deletes, func(a, b api.Key) int { return strings.Compare(a.Name+" "+a.Type, b.Name+" "+b.Type) })
	if err := p.deliver(ctx, batch); err != nil {
		return err
	}
	if l.more {
		return errGone
	}
	return nil
}

// records calls f with what the edge says it answers with in a zone, one record after the
// other.
func (e *edge) records(ctx context.Context, zone dnswire.Name, f func(*api.Record) error) error {
	ctx, cancel := context.WithTimeout(ctx, listingTime*e.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL+api.RecordsPath+"?zone="+url.QueryEscape(text(zone)), nil)
	if err != nil {
		return err
	}
	if err := e.do(req, func(r io.Reader) error { return readListing(r, f) }); err != nil {
		return fmt.Errorf("its records: %w", err)
	}
	return nil
}

// readListing calls f with each record of an api.Listing.
func readListing(r io.Reader, f func(*api.Record) error) (err error) {
	in := &io.LimitedReader{R: r, N: maxItem}
	defer func() {
		switch cut := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); {
		case cut && in.N <= 0:
			err = fmt.Errorf("an item of the list is longer than %d octets", maxItem)
		case cut:
			err = errors.New("the list ends in the middle")
		}
	}()
	d := json.NewDecoder(in)
	if err := opens(d, '{'); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		if key != "records" {
			var other json.RawMessage
			if err := d.Decode(&other); err != nil {
				return err
			}
			in.N = maxItem
			continue
		}
		switch err := opens(d, '['); {
		case errors.Is(err, errNull):
			continue
		case err != nil:
			return err
		}
		for d.More() {
			var rec api.Record
			if err := d.Decode(&rec); err != nil {
				return err
			}
			in.N = maxItem
			if err := f(&rec); err != nil {
				return err
			}
		}
		if _, err := d.Token(); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

var errNull = errors.New("there is null")

// opens reads the beginning of an object or a list.
func opens(d *json.Decoder, want json.Delim) error {
	switch got, err := d.Token(); {
	case err != nil:
		return err
	case got == nil:
		return errNull
	case got != want:
		return fmt.Errorf("%v is expected, not %.40q", want, fmt.Sprint(got))
	}
	return nil
}

// lack is what an edge lacks of a state, and has too much.
type lack struct {
	st   *State
	zone dnswire.Name
	// has are the records that the edge has as it is to have them: two bits for each name,
	// for its first and its second record.
	has    []uint64
	gone   []api.Key
	more   bool // there are more of them
	listed int
}

// note takes in a record that the edge has.
func (l *lack) note(r *api.Record) error {
	if l.listed++; l.listed > 2*l.st.Len()+spare {
		l.more = true
		return errEnough
	}
	name, err := dnswire.ParseName(r.Name)
	if err != nil || !name.Within(l.zone) {
		return nil // of another zone at the same address
	}
	k := api.Key{Name: text(name), Type: r.Type}
	if r.Type == "" || r.Type == aliasType || aliasOf(r) != "" {
		k.Type = aliasType
	}
	wanted := false
	if i := l.st.number(k.Name); i >= 0 {
		_, says := l.st.named(i)
		for j := range says.all() {
			want := &says.records[j]
			shown := want.Type // what it is listed with
			if aliasOf(&want.Record) != "" {
				shown = aliasType
			}
			wanted = wanted || k.Type == want.Type || k.Type == shown
			if k.Type == shown {
				l.mark(i, j, alike(want, r))
			}
		}
	}
	switch {
	case wanted:
	case len(l.gone) == maxGone:
		l.more = true
	default:
		l.gone = append(l.gone, k)
	}
	return nil
}

func (l *lack) mark(name, record int, has bool) {
	at := 2*name + record
	l.has[at/64] &^= 1 << (at % 64)
	if has { // of one that is listed twice the last one counts
		l.has[at/64] |= 1 << (at % 64)
	}
}

// each calls f with the records that the edge lacks until it returns false.
func (l *lack) each(f func(api.Record) bool) {
	for i := range l.st.names() {
		name, says := l.st.named(i)
		for j := range says.all() {
			if at := 2*i + j; l.has[at/64]&(1<<(at%64)) != 0 {
				continue
			}
			r := says.records[j].Record
			if r.Name = name; !f(r) {
				return
			}
		}
	}
}

// alike is whether what an edge has of a record is what it is to have.
func alike(want *record, old *api.Record) bool {
	r := &want.Record
	if r.TTL != old.TTL {
		return false
	}
	if to := aliasOf(r); to != "" {
		return strings.EqualFold(strings.TrimSuffix(to, "."), strings.TrimSuffix(old.Failover, "."))
	}
	return off(r) == off(old) && old.Failover == "" && slices.Equal(addresses(r.IPs, !want.fixed), addresses(old.IPs, !want.fixed))
}

// off is whether a record is not enabled.
func off(r *api.Record) bool { return r.Enabled != nil && !*r.Enabled }

// addresses are those of a record, however they are written.
func addresses(ips []string, sorted bool) []netip.Addr {
	out := make([]netip.Addr, 0, len(ips))
	for _, s := range ips {
		a, _ := netip.ParseAddr(s) // what is none is none of ours
		out = append(out, a)
	}
	if sorted {
		slices.SortFunc(out, netip.Addr.Compare)
	}
	return out
}

// aliasType is the type that an edge lists a CNAME with.
const aliasType = "CNAME"

// aliasOf is the name that a record sends clients to; empty when it does not.
func aliasOf(r *api.Record) string {
	if r.Failover != "" && (len(r.IPs) == 0 || off(r)) {
		return r.Failover
	}
	return ""
}
