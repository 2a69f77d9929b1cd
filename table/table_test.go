package table

import (
	"slices"
	"testing"

	"github.com/rhumb-dns/rhumb/spec"
)

// What an answer needs of the section dns is in the table, which is all that
// an answer sees.
func TestTableOfDNS(t *testing.T) {
	tab := compile(t, nil, `dns:
  nsid: ns1
  ecs: false
  cookie_secret: [e5e973e5a6b2a43f48e7dc849e37bfcf, 00000000000000000000000000000001]
  require_cookie: true
  chaos: {version: v, id: i}
  report_channel: Report.example.com
`)
	if tab.NSID != "ns1" || tab.ECS || !tab.RequireCookie {
		t.Errorf("NSID %q, ECS %v, RequireCookie %v", tab.NSID, tab.ECS, tab.RequireCookie)
	}
	want := [][16]byte{{0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f, 0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf}, {15: 1}}
	if !slices.Equal(tab.CookieSecrets, want) {
		t.Errorf("CookieSecrets %x", tab.CookieSecrets)
	}
	if tab.Chaos != (spec.Chaos{Version: "v", ID: "i"}) || tab.ReportChannel != name(t, "report.example.com") {
		t.Errorf("Chaos %+v, ReportChannel %v", tab.Chaos, tab.ReportChannel)
	}
	tab = compile(t, nil, "dns: {ttl: 30}\n")
	if len(tab.CookieSecrets) != 0 || tab.RequireCookie || tab.Chaos != (spec.Chaos{}) || tab.ReportChannel != "" {
		t.Errorf("unstated: %x %v %+v %v", tab.CookieSecrets, tab.RequireCookie, tab.Chaos, tab.ReportChannel)
	}
}
