package admin

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

const (
	// maxBody is the longest body of a request.
	maxBody = 64 << 10
	// maxWrite is how long a request may take from its headers to the last byte
	// of its response: long enough to reload a million names, and an end to
	// clients that do not read.
	maxWrite = 2 * time.Minute
)

// loopback is who may ask before any configuration is in force: to read, for the
// configuration may have tokens.
var loopback = spec.Admin{AllowedNetworks: []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
}}

// guard stands before every path. It looks up the configuration in force at
// each request, so that a reload applies to the next one.
func (a *Admin) guard(next http.Handler) http.Handler {
	var sites http.CrossOriginProtection
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w, path: "other", code: http.StatusOK}
		defer a.end(rec, r)
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")

		conf, stated := &loopback, a.engine.Spec()
		if stated != nil {
			conf = &stated.Admin
		}
		from, ok := sourceOf(r)
		if !ok || !allowed(conf.AllowedNetworks, from) {
			refuse(rec, http.StatusForbidden, "%s is not in admin.allowed_networks", r.RemoteAddr)
			return
		}
		if conf.Listen.IsValid() && conf.Listen.Addr().IsLoopback() && !local(r.Host) {
			refuse(rec, http.StatusForbidden,
				"the host %q is no address and not localhost, and this node listens on loopback: ask for it by address", r.Host)
			return
		}
		if sites.Check(r) != nil {
			refuse(rec, http.StatusForbidden, "a web page of another site may not do this")
			return
		}
		if rec.who.role = spec.RoleViewer; stated != nil {
			rec.who = a.identify(conf, r, from)
		}
		rec.who.from = from
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(maxWrite)) // not of every writer
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(rec, r)
	})
}

// end counts a request and answers for a handler that panicked.
func (a *Admin) end(rec *recorder, r *http.Request) {
	if p := recover(); p != nil {
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		a.log.Error("admin request failed", "path", rec.path, "panic", p, "stack", string(debug.Stack()))
		if rec.wrote {
			panic(http.ErrAbortHandler) // so that half an answer is not taken for a whole one
		}
		refuse(rec, http.StatusInternalServerError, "the node failed at this; its log says more")
	}
	a.meters.done(rec.path, r.Method, rec.code)
}

// sourceOf is the address that the connection comes from. Forwarding headers
// are anybody's to write, so they count for nothing.
func sourceOf(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	return ap.Addr().Unmap().WithZone(""), true
}

func allowed(networks []netip.Prefix, from netip.Addr) bool {
	for _, n := range networks {
		if n.Addr().Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		if n.Contains(from) {
			return true
		}
	}
	return false
}

// local is whether a Host header names this machine in a way that no DNS server
// has a say in: an IP address, or localhost.
func local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// recorder remembers who asked, and what was answered, for counting.
type recorder struct {
	http.ResponseWriter
	who   asker
	path  string
	code  int
	wrote bool
}

// askerOf is who is answered.
func askerOf(w http.ResponseWriter) asker {
	if rec, ok := w.(*recorder); ok {
		return rec.who
	}
	return asker{}
}

// named notes which path was found for the request.
func named(w http.ResponseWriter, path string) {
	if rec, ok := w.(*recorder); ok {
		rec.path = path
	}
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(code int) {
	if !r.wrote {
		r.code, r.wrote = code, true
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
