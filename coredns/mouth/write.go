package mouth

import (
	"context"
	"net/netip"
	"reflect"
	"sync/atomic"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

// unknown is the client of whom nothing is known.
var unknown netip.AddrPort

// tracking is CoreDNS's writer that notes which plugin answers: one is put around
// the writer before each plugin. Its type is not exported, so it is learned from
// one; nil when there is none, or none that can be looked through.
var tracking = learn()

// wrapper is a type of writers that embed the one that they wrap.
type wrapper struct {
	typ   reflect.Type
	field int
}

func learn() *wrapper {
	inner := new(request.ScrubWriter)
	var seen dns.ResponseWriter
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) {
		seen = w
		return dns.RcodeSuccess, nil
	})
	if _, err := plugin.NextOrFailure("", next, context.Background(), inner, nil); err != nil {
		return nil
	}
	v := reflect.ValueOf(seen)
	if seen == dns.ResponseWriter(inner) || v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	for i := range v.Elem().NumField() {
		f := v.Elem().Field(i)
		if f.Kind() == reflect.Interface && f.CanInterface() && f.Interface() == any(inner) {
			return &wrapper{v.Type(), i}
		}
	}
	return nil
}

// within is the writer that w wraps, if w is one of the learned type.
func (k *wrapper) within(w dns.ResponseWriter) (dns.ResponseWriter, bool) {
	if k == nil {
		return nil, false
	}
	v := reflect.ValueOf(w)
	if v.Type() != k.typ {
		return nil, false
	}
	inner, ok := v.Elem().Field(k.field).Interface().(dns.ResponseWriter)
	return inner, ok
}

// maxWriters bounds how many writers are looked through.
const maxWriters = 64

// bottom looks through the writers that only count, down to CoreDNS's own. It is
// false when one between needs the message. The recorder is that of the plugin
// prometheus, which learns the code of an answer from messages only.
func bottom(w dns.ResponseWriter) (own dns.ResponseWriter, rec *metrics.Recorder, ok bool) {
	for range maxWriters {
		switch t := w.(type) {
		case *request.ScrubWriter:
			// The first one around the socket's. What it does to a message, to make it
			// fit the client, has been done.
			return t.ResponseWriter, rec, takesBytes(t.ResponseWriter)
		case *metrics.Recorder:
			if rec != nil || t.Recorder == nil {
				return nil, nil, false
			}
			rec, w = t, t.ResponseWriter
		default:
			inner, known := tracking.within(w)
			if !known {
				return nil, nil, false
			}
			w = inner
		}
	}
	return nil, nil, false
}

// socket is a type of the writers of the DNS library, and its field for the
// writer that it writes messages with.
type socket struct {
	typ    reflect.Type
	writer int
}

// known is the type last seen: a process has one.
var known atomic.Pointer[socket]

// takesBytes is whether a writer that CoreDNS has from its transport takes bytes as it
// takes a message. That of DNS over QUIC closes its stream only after a message,
// that of HTTPS takes the bytes apart again, and that of a socket goes by a writer
// of somebody else when the plugin shed is there.
func takesBytes(w dns.ResponseWriter) bool {
	switch w.(type) {
	case *dnsserver.DoQWriter, *dnsserver.DoHWriter, nil:
		return false
	}
	v := reflect.ValueOf(w)
	s := known.Load()
	if s == nil || s.typ != v.Type() {
		if s = learnSocket(v.Type()); s == nil {
			return false
		}
		known.Store(s)
	}
	through := v.Elem().Field(s.writer).Elem()
	return through.IsValid() && through.Type() == s.typ && through.Pointer() == v.Pointer()
}

func learnSocket(t reflect.Type) *socket {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || t.Elem().PkgPath() != libraryPath || t.Elem().Name() != "response" {
		return nil
	}
	f, ok := t.Elem().FieldByName("writer")
	if !ok || len(f.Index) != 1 || f.Type.Kind() != reflect.Interface {
		return nil
	}
	return &socket{t, f.Index[0]}
}

// libraryPath is the path of the DNS library.
var libraryPath = reflect.TypeFor[dns.Msg]().PkgPath()
