package edge

import (
	"net/netip"
	"strconv"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// appendRecord appends a record as a controller would state it: api.Record. The name is
// in JSON.
func appendRecord(dst, name []byte, k kind, r *record) []byte {
	dst = append(dst, `{"name":`...)
	dst = append(dst, name...)
	dst = append(dst, `,"type":"`...)
	dst = append(dst, k.String()...)
	dst = append(dst, `","ttl":`...)
	dst = strconv.AppendUint(dst, uint64(r.ttl), 10)
	dst = append(dst, `,"ips":[`...)
	if r.form == addressed {
		for at, w := 0, k.width(); at < len(r.data); at += w {
			if at > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '"')
			a, _ := netip.AddrFromSlice(r.data[at : at+w])
			dst = a.AppendTo(dst)
			dst = append(dst, '"')
		}
	}
	dst = append(dst, ']')
	if r.off {
		dst = append(dst, `,"enabled":false`...)
	}
	if r.form == alias {
		dst = append(dst, `,"failover":`...)
		dst = appendQuoted(dst, dotless(dnswire.Name(r.data)))
	}
	return append(dst, '}')
}

// appendQuoted appends a name in presentation format, which is ASCII, as JSON.
func appendQuoted(dst []byte, name string) []byte {
	dst = append(dst, '"')
	for i := range len(name) {
		if name[i] == '"' || name[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, name[i])
	}
	return append(dst, '"')
}

// list calls f with each record, as JSON, and its name and kind. What f is given is good
// until it returns.
func (st *standing) list(f func(name string, k kind, json []byte) bool) {
	var quoted, buf []byte
	st.each(func(owner dnswire.Name, n *named) bool {
		name := dotless(owner)
		quoted = appendQuoted(quoted[:0], name)
		for k := range n {
			if n[k].form == absent {
				continue
			}
			buf = appendRecord(buf[:0], quoted, kind(k), &n[k])
			if !f(name, kind(k), buf) {
				return false
			}
		}
		return true
	})
}
