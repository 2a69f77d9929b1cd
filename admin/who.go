package admin

import (
	"cmp"
	"net/http"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/spec"
)

// by is who asks: the token, or the address where no tokens are asked for. Whom
// the request names is believed of admins, who could write the log themselves; of
// others it is noted beside.
func by(w http.ResponseWriter, stated, why string) audit.By {
	who := askerOf(w)
	b := audit.By{Token: who.token, Why: why}
	if who.from.IsValid() {
		b.From = who.from.String()
	}
	b.Who = cmp.Or(who.token, b.From)
	switch {
	case stated == "" || stated == b.Who:
	case who.role == spec.RoleAdmin:
		b.Who = stated
	default:
		b.Stated = stated
	}
	return b
}

// why is who asks and why, of a request without a body. When it is false, the
// request has been refused.
func why(w http.ResponseWriter, r *http.Request) (audit.By, bool) {
	q, err := parameters(r, "reason", "source")
	if err == nil {
		err = cmp.Or(oneLine("reason", q("reason"), maxReason), oneLine("source", q("source"), maxSource))
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return audit.By{}, false
	}
	return by(w, q("source"), q("reason")), true
}
