package admin

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/audit"
)

// auditLimit is how many entries an answer has when the request does not say.
const auditLimit = 100

// auditLog lists what operators did.
func (a *Admin) auditLog(w http.ResponseWriter, r *http.Request) {
	q, err := parameters(r, "since", "after", "limit")
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	sel := audit.Query{Limit: auditLimit}
	if text := q("limit"); text != "" {
		if sel.Limit, err = strconv.Atoi(text); err != nil || sel.Limit < 1 || sel.Limit > audit.Recent {
			err = fmt.Errorf("limit: %.40q is not a number from 1 to %d", text, audit.Recent)
		}
	}
	if text := q("after"); err == nil && text != "" {
		if sel.After, err = strconv.ParseUint(text, 10, 64); err != nil {
			err = fmt.Errorf("after: %.40q is not the id of an entry", text)
		}
	}
	if text := q("since"); err == nil && text != "" {
		sel.Since, err = moment("since", text)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	entries, more := a.engine.Audit().Read(sel)
	out := api.AuditLog{Entries: []api.AuditEntry{}, More: more, GeneratedAt: time.Now().UTC()}
	for _, e := range entries {
		out.Entries = append(out.Entries, api.AuditEntry{
			ID: e.ID, At: e.At, Who: e.Who, Token: e.Token, From: e.From, Stated: e.Stated,
			What: e.What, On: e.On, How: e.How, Why: e.Why, Failed: e.Failed,
		})
	}
	respond(w, http.StatusOK, out)
}
