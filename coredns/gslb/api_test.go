package gslb

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/coredns/rig"
)

// TestAddressPrefix has the API told of backends as their file spells them, which is what
// their operators look for, and as the overview does.
func TestAddressPrefix(t *testing.T) {
	rig.Start(t, fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n gslb {\n  zone example.org. %s\n  api_enable\n  api_listen_port 0\n }\n}\n", put(t, t.TempDir(), "db.yml", `
records:
  a.example.org.:
    mode: geoip
    backends:
      - {address: "2001:DB8:0:0::1", country: FR}
      - {address: "2001:0db8::1", country: BE}
      - {address: "2001:db8::2"}
      - {address: Web1.DC1.example., enable: false}
`)))
	var addr string
	doors.Each(func(a string) { addr = a })
	c := client{t: t, base: "http://" + addr}
	for prefix, want := range map[string]string{
		"2001:db8:":         "2001:db8::1 2001:db8::2",
		"2001:DB8:":         "2001:db8::1",
		"2001:0db8:":        "2001:db8::1",
		"2001:DB8:0:0::1":   "2001:db8::1",
		"Web1.DC1.example.": "web1.dc1.example",
		"web1":              "web1.dc1.example",
		"2001:DB9":          "",
	} {
		var backends []string
		for _, address := range strings.Fields(want) {
			backends = append(backends, `{"record":"a.example.org.","address":"`+address+`"}`)
		}
		want = `{"success":true,"backends":[` + strings.Join(backends, ",") + "]}"
		if code, raw := c.do(http.MethodPost, "/api/backends/disable", `{"address_prefix": "`+prefix+`"}`); code != http.StatusOK || string(raw) != want {
			t.Errorf("%s: %d %s, want %s", prefix, code, raw, want)
		}
	}
}
