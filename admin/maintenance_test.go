package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

const maintenancePath = "/api/v1/maintenance"

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func TestMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, configuration)
		m := decode[api.Maintenance](t, n.ask("POST", maintenancePath, `{"select":{"pools":["eu"],"tags":["SSD"]},"at":"2000-01-01T01:00Z","for":"1h","drain":"10m","reason":"disk","source":"me"}`), http.StatusOK)
		if m.ID == "" || m.State != "planned" || m.Share != 1 || m.Until.Sub(m.At) != time.Hour || m.Drain != "10m0s" || m.Source != "me" ||
			m.Reason != "disk" || len(m.Endpoints) != 1 || m.Endpoints[0] != "192.0.2.10" || m.SetAt.IsZero() {
			t.Errorf("%+v", m)
		}
		for _, c := range []struct {
			wait  time.Duration
			state string
			share float64
		}{{65 * time.Minute, "draining", 0.5}, {6 * time.Minute, "in force", 0}} {
			time.Sleep(c.wait)
			st := decode[api.Status](t, n.ask("GET", "/api/v1/status", ""), http.StatusOK)
			if planned := c.state == api.MaintenancePlanned; st.MaintenancePlanned != count(planned) || st.Maintenance != count(!planned) {
				t.Errorf("after %v: status has %d, and %d to come", c.wait, st.Maintenance, st.MaintenancePlanned)
			}
			all := decode[api.Maintenances](t, n.ask("GET", maintenancePath, ""), http.StatusOK)
			if all.Total != 1 || all.Maintenance[0].State != c.state || all.Maintenance[0].Share != c.share {
				t.Errorf("after %v: %+v", c.wait, all)
			}
		}
		n.configure(configuration) // there is no board at work
		e := decode[api.Explanation](t, n.ask("GET", "/api/v1/explain?name=www.gslb.example.com", ""), http.StatusOK)
		if got := strings.Join(e.Answers, " "); strings.Contains(got, "192.0.2.10") {
			t.Error(got)
		}
		all := decode[api.Servers](t, n.ask("GET", "/api/v1/health/servers?state=down", ""), http.StatusOK)
		if all.Total != 1 || all.Servers[0].Authority != "maintenance" || !strings.Contains(all.Servers[0].Reason, m.ID) {
			t.Errorf("%+v", all)
		}
		if resp := n.ask("DELETE", maintenancePath+"/"+m.ID+"?reason=done", ""); resp.StatusCode != http.StatusNoContent {
			t.Error(resp.Status)
		}
		refused(t, n.ask("GET", maintenancePath+"/"+m.ID, ""), http.StatusNotFound)
	})
}

func TestMaintenanceRefuses(t *testing.T) {
	n := newNode(t, configuration)
	for body, want := range map[string]string{
		`{"select":{"pools":["eu"]},"reason":"x"}`:                                              "body: for: how long it takes is required, or until",
		`{"select":{"pools":["eu"]},"for":"1h"}`:                                                "body: reason: why is required",
		`{"select":{"pools":["eu"]},"for":"1h","reason":" "}`:                                   "body: reason: why is required",
		`{"select":{"pools":["eu"]},"until":"2001-01-01T00:00Z","reason":"x"}`:                  "body: maintenance: its end is not ahead: until 2001-01-01T00:00:00Z",
		`{"select":{"pools":["eu"]},"until":"2999-01-01T00:00Z","reason":"x"}`:                  "body: maintenance: it begins at most 8784h ahead and lasts as long at most",
		`{"select":{"pools":["eu"]},"for":"1h","until":"2099-01-01T00:00Z","reason":"x"}`:       "body: for and until: one of them says it",
		`{"select":{"pools":["eu"]},"for":"1h","at":"noon","reason":"x"}`:                       `body: at: "noon" is not a time such as 2026-11-21T18:00Z (RFC 3339)`,
		`{"select":{"pools":["eu"]},"for":"1h","at":"2001-01-01T00:00Z","reason":"x"}`:          "body: maintenance: at: it is past; without it the maintenance begins now",
		`{"select":{"pools":["eu"]},"for":"1h","drain":"10","reason":"x"}`:                      `body: drain: "10" is not a duration from 0s to 168h, such as 10m`,
		`{"select":{"pools":["eu"]},"for":"1h","drain":"2h","reason":"x"}`:                      "body: maintenance: drain: 2h0m0s is not a duration from 0s to 168h that ends before the maintenance does",
		`{"select":{},"for":"1h","reason":"x"}`:                                                 "body: maintenance: select: it selects nothing: name endpoints, pools, tags or a place",
		`{"select":{"pool":["eu"]},"for":"1h","reason":"x"}`:                                    `body: unknown field "pool"`,
		`{"select":{"tags":[""]},"for":"1h","reason":"x"}`:                                      "body: select: an item is empty",
		`{"select":{"tags":["a\u001b"]},"for":"1h","reason":"x"}`:                               "body: select: it has control characters",
		`{"select":{"endpoints":["a..b"]},"for":"1h","reason":"x"}`:                             `body: select: endpoints: address: "a..b" is neither an IP address nor a host name`,
		`{"select":{"tags":["a` + strings.Repeat(`","a`, 1000) + `"]},"for":"1h","reason":"x"}`: "body: select: a list has more than 1000 items",
		`{"select":{"tags":["ssd"]},"for":"1h","reason":"x\ny"}`:                                "body: reason: it has control characters",
	} {
		if got := refused(t, n.ask("POST", maintenancePath, body), http.StatusBadRequest); got != want {
			t.Errorf("%.80s: %s\nwant %s", body, got, want)
		}
	}
	if len(n.engine.Maintenance()) > 0 {
		t.Error("a refused request added maintenance")
	}
	// How long it may last goes by when it begins, however its end is stated.
	at := time.Now().Add(300 * 24 * time.Hour)
	body := fmt.Sprintf(`{"select":{"pools":["eu"]},"at":%q,"until":%q,"reason":"x"}`, at.Format(time.RFC3339), at.Add(100*24*time.Hour).Format(time.RFC3339))
	decode[api.Maintenance](t, n.ask("POST", maintenancePath, body), http.StatusOK)
}

// Who did something is the token, or the address; whom the request names is
// believed of admins alone.
func TestWho(t *testing.T) {
	for _, c := range []struct {
		name, config, from, token, stated string
		want                              api.AuditEntry
	}{
		{"an operator's token", guarded, "192.0.2.77:1", "operator", "alice", api.AuditEntry{Who: "ops", Token: "ops", From: "192.0.2.77", Stated: "alice"}},
		{"an operator who says nothing", guarded, "192.0.2.77:1", "operator", "", api.AuditEntry{Who: "ops", Token: "ops", From: "192.0.2.77"}},
		{"an admin's token", guarded, "192.0.2.77:1", "admin", "alice", api.AuditEntry{Who: "alice", Token: "root", From: "192.0.2.77"}},
		{"an admin who says nothing", guarded, "192.0.2.77:1", "admin", "", api.AuditEntry{Who: "root", Token: "root", From: "192.0.2.77"}},
		{"without tokens, from elsewhere", configuration, "192.0.2.77:1", "", "alice", api.AuditEntry{Who: "192.0.2.77", From: "192.0.2.77", Stated: "alice"}},
		{"without tokens, on the machine", configuration, "127.0.0.1:1", "", "alice", api.AuditEntry{Who: "alice", From: "127.0.0.1"}},
		{"without tokens, saying nothing", configuration, "127.0.0.1:1", "", "", api.AuditEntry{Who: "127.0.0.1", From: "127.0.0.1"}},
	} {
		config := strings.Replace(c.config, "admin:\n", "admin:\n  allowed_networks: [0.0.0.0/0]\n", 1)
		if config == c.config {
			config = "admin: {allowed_networks: [0.0.0.0/0]}\n" + config
		}
		n := newNode(t, config)
		headers := []string{"From: " + c.from}
		if c.token != "" {
			headers = append(headers, bearer(secrets[c.token]))
		}
		const path = "/api/v1/overrides/www.gslb.example.com/192.0.2.10"
		o := decode[api.Override](t, n.ask("PUT", path, fmt.Sprintf(`{"healthy":false,"reason":"disk","source":%q}`, c.stated), headers...), http.StatusOK)
		if o.Source != c.want.Who {
			t.Errorf("%s: source %s", c.name, o.Source)
		}
		n.ask("DELETE", path+"?reason=mended&source="+c.stated, "", headers...)
		n.ask("POST", maintenancePath, fmt.Sprintf(`{"select":{"pools":["eu"]},"for":"1h","reason":"disk","source":%q}`, c.stated), headers...)
		n.ask("POST", "/api/v1/pools/us/failback?source="+c.stated, "", headers...)
		n.ask("POST", "/api/v1/reload?source="+c.stated, "", headers...)
		log := decode[api.AuditLog](t, n.ask("GET", "/api/v1/audit", "", headers...), http.StatusOK)
		var what []string
		for _, e := range log.Entries {
			what = append(what, e.What)
			got := api.AuditEntry{Who: e.Who, Token: e.Token, From: e.From, Stated: e.Stated}
			if got != c.want {
				t.Errorf("%s: %s has %+v, want %+v", c.name, e.What, got, c.want)
			}
		}
		if got, want := strings.Join(what, ", "), "override set, override cleared, maintenance added, failback, reload"; got != want {
			t.Errorf("%s: the audit log has %s", c.name, got)
		}
	}
}

// A reload that was refused is there twice: that somebody asked, and what came of it.
func TestAuditFailed(t *testing.T) {
	n := newNode(t, configuration)
	n.process.refuse = fmt.Errorf("rhumb.yaml:1:1: %s", strings.Repeat("x", 5000))
	refused(t, n.ask("POST", "/api/v1/reload", ""), http.StatusUnprocessableEntity)
	log := decode[api.AuditLog](t, n.ask("GET", "/api/v1/audit", ""), http.StatusOK)
	if len(log.Entries) != 2 || log.Entries[0].Failed != "" || !strings.HasPrefix(log.Entries[1].Failed, "rhumb.yaml:1:1: ") || len(log.Entries[1].Failed) > 1100 {
		t.Errorf("%+v", log)
	}
	for query, want := range map[string]string{
		"limit=1001": `limit: "1001" is not a number from 1 to 1000`,
		"limit=0":    `limit: "0" is not a number from 1 to 1000`,
		"after=-1":   `after: "-1" is not the id of an entry`,
		"since=now":  `since: "now" is not a time such as 2026-11-21T18:00Z (RFC 3339)`,
		"who=me":     `query: no parameter "who"; there are since, after, limit`,
	} {
		if got := refused(t, n.ask("GET", "/api/v1/audit?"+query, ""), http.StatusBadRequest); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
	if log = decode[api.AuditLog](t, n.ask("GET", "/api/v1/audit?after=1&limit=1", ""), http.StatusOK); len(log.Entries) != 1 || log.Entries[0].ID != 2 {
		t.Errorf("%+v", log)
	}
}
