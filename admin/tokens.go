package admin

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// asker is who sent a request, as far as it matters.
type asker struct {
	role  spec.Role
	token string // its name; empty: no token is asked for, or none was right
	from  netip.Addr
	// why says what is wrong with the token of one that has no role.
	why  failure
	wait time.Duration // before the next try, for tokenLimited
}

// failure is why a request has no role, as the metrics call it.
type failure string

const (
	tokenMissing failure = "missing" // no token was stated
	tokenWrong   failure = "wrong"   // it is none of ours
	tokenLimited failure = "limited" // it was not looked at, after too many wrong ones
	tokenTooLow  failure = "role"    // it is one of ours, and its role is not enough
)

// identify finds out who asks. What comes in with the request counts for nothing
// but its address, its certificate, and the token.
func (a *Admin) identify(conf *spec.Admin, r *http.Request, from netip.Addr) asker {
	if len(conf.Tokens) == 0 {
		return asker{role: unasked(conf, r, from)}
	}
	secret := secretOf(r)
	if secret == "" {
		return asker{why: tokenMissing}
	}
	stated := spec.SecretOf(secret)
	var found *spec.Token
	ok, wait, say := a.guesses.try(time.Now(), from, func() bool {
		for i := range conf.Tokens { // all of them, so that time says nothing
			if t := &conf.Tokens[i]; t.Secret.Equal(stated) {
				found = t
			}
		}
		return found != nil
	})
	switch {
	case ok:
		return asker{role: found.Role, token: found.Name}
	case wait > 0:
		a.meters.failed(tokenLimited)
		return asker{why: tokenLimited, wait: wait}
	}
	a.meters.failed(tokenWrong)
	if say > 0 {
		a.log.Warn("admin request with a wrong token; more are counted, and logged once a minute",
			"from", from.String(), "since_last", say)
	}
	return asker{why: tokenWrong}
}

// unasked is the role of whoever is let in where no tokens are stated. Profiles
// are for those on this machine, and for those whose certificate was verified: a
// network that was let in to read must not be able to slow the node down.
func unasked(conf *spec.Admin, r *http.Request, from netip.Addr) spec.Role {
	here := from.IsLoopback() && local(r.Host) // and not a page whose name was pointed here
	certified := conf.TLS != nil && conf.TLS.ClientCA != "" && r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	if here || certified {
		return spec.RoleAdmin
	}
	return spec.RoleOperator
}

// secretOf is the secret that a request states, "" for none: as a bearer token
// (RFC 6750 section 2.1), or as the password of any user (RFC 7617), which is
// what browsers can do.
func secretOf(r *http.Request) string {
	stated := r.Header.Values("Authorization")
	if len(stated) != 1 { // with several, two readers could take two different ones
		return ""
	}
	if scheme, secret, _ := strings.Cut(stated[0], " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimLeft(secret, " ")
	}
	_, password, _ := r.BasicAuth()
	return password
}

// admit is whether a request may do what needs a role. If not, it has been
// refused.
func (a *Admin) admit(w http.ResponseWriter, need spec.Role) bool {
	who := askerOf(w)
	if who.role >= need {
		return true
	}
	if who.why == "" {
		who.why = tokenTooLow
	}
	if who.why == tokenMissing || who.why == tokenTooLow { // the others are counted already, as guesses
		a.meters.failed(who.why)
	}
	h := w.Header()
	switch {
	case who.why == tokenLimited:
		h.Set("Retry-After", strconv.Itoa(int((who.wait+time.Second-1)/time.Second)))
		refuse(w, http.StatusTooManyRequests, "too many wrong tokens came from this network: wait for the time that Retry-After states")
	case who.why == tokenWrong:
		h["Www-Authenticate"] = []string{`Bearer realm="rhumb", error="invalid_token"`, basicChallenge}
		refuse(w, http.StatusUnauthorized, "the token is none of this node's")
	case who.why == tokenMissing:
		h["Www-Authenticate"] = []string{`Bearer realm="rhumb"`, basicChallenge}
		refuse(w, http.StatusUnauthorized, "a token is needed, as Authorization: Bearer SECRET")
	case who.token != "":
		h.Set("WWW-Authenticate", `Bearer realm="rhumb", error="insufficient_scope", scope="`+need.String()+`"`)
		refuse(w, http.StatusForbidden, "the role %s is needed; the token %q has the role %s", need, who.token, who.role)
	case need == spec.RoleAdmin:
		refuse(w, http.StatusForbidden, "the role %s is needed; without admin.tokens only clients on the node's machine have it, and those with a certificate of admin.tls.client_ca", need)
	default:
		refuse(w, http.StatusForbidden, "the role %s is needed, and nobody has it before a configuration is in force", need)
	}
	return false
}

// basicChallenge makes browsers ask for a password (RFC 7617 section 2).
const basicChallenge = `Basic realm="rhumb", charset="UTF-8"`
