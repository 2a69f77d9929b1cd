//go:build unix

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	cookieSecret = "e5e973e5a6b2a43f48e7dc849e37bfcf"
	clientCookie = "2464c4abcf10c957"
)

var cookieLine = regexp.MustCompile(`(?m)^; COOKIE: ([0-9a-f]+) \(good\)$`)

// cookie asks for www.interop.test with a cookie, a client's alone or with a
// server's behind it, and returns the server cookie that comes back. Dig says
// that it is good when its own part is as it was.
func (n *node) cookie(theirs string, args ...string) string {
	n.t.Helper()
	out := n.dig(append([]string{"www.interop.test", "A", "+nobadcookie", "+cookie=" + theirs}, args...)...)
	m := cookieLine.FindStringSubmatch(out)
	if m == nil || !strings.HasPrefix(m[1], clientCookie) || len(m[1]) != len(clientCookie)+32 {
		n.t.Fatalf("no good cookie in\n%s", out)
	}
	return m[1]
}

// TestDigCookie has dig take our cookies, and us take them from dig.
func TestDigCookie(t *testing.T) {
	n := serve(t, config(t, zoneText()))
	if out := n.dig("www.interop.test", "A"); !cookieLine.MatchString(out) { // dig sends one unasked
		t.Errorf("no good cookie in\n%s", out)
	}
	given := n.cookie(clientCookie)
	if back := n.cookie(given); back != given {
		t.Errorf("%s is not taken for ours: %s comes back", given, back)
	}
	if back := n.cookie(given, "+tcp"); back != given {
		t.Errorf("%s is not taken for ours over TCP: %s comes back", given, back)
	}
	forged := given[:len(given)-1] + "0"
	if forged == given {
		forged = given[:len(given)-1] + "1"
	}
	if back := n.cookie(forged); back == forged {
		t.Errorf("the forged %s is taken for ours", back)
	}
	for theirs, status := range map[string]string{clientCookie: "NOERROR", given: "NOERROR", forged: "BADCOOKIE"} {
		out := n.dig("+header-only", "+nobadcookie", "+cookie="+theirs)
		if !strings.Contains(out, "status: "+status) || !strings.Contains(out, "QUERY: 0, ANSWER: 0, AUTHORITY: 0") || !cookieLine.MatchString(out) {
			t.Errorf("%s without a question:\n%s", theirs, out)
		}
	}
	if out := n.dig("+header-only", "+nocookie"); !strings.Contains(out, "status: FORMERR") {
		t.Errorf("nothing asked:\n%s", out)
	}
}

// TestCookiesOfOthers gives the secret to other servers as well: whatever one
// of them makes, the others take, as behind one address.
func TestCookiesOfOthers(t *testing.T) {
	us := serve(t, config(t, "dns: {listen: [127.0.0.1:0], cookie_secret: "+cookieSecret+"}\n"+zoneText()))
	zoneFile := filepath.Join(t.TempDir(), "interop.test")
	text := "$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\nwww A 192.0.2.1\n"
	if err := os.WriteFile(zoneFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, other := range []struct {
		program string
		config  func(dir, port string) string
		args    func(config string) []string
	}{
		{
			"named",
			func(dir, port string) string {
				return fmt.Sprintf(`options {
  directory %q; pid-file none; session-keyfile none; managed-keys-directory %[1]q;
  listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no; require-server-cookie yes;
  answer-cookie yes; cookie-algorithm siphash24; cookie-secret %q;
};
controls { };
zone "interop.test" { type primary; file %q; };
`, dir, port, cookieSecret, zoneFile)
			},
			func(config string) []string { return []string{"-f", "-c", config} },
		},
		{
			"nsd",
			func(dir, port string) string {
				return fmt.Sprintf(`server:
  ip-address: 127.0.0.1@%s
  username: ""
  database: ""
  zonesdir: %q
  pidfile: ""
  xfrdfile: %q
  zonelistfile: %q
  answer-cookie: yes
  cookie-secret: %q
remote-control:
  control-enable: no
zone:
  name: "interop.test"
  zonefile: %q
`, port, dir, filepath.Join(dir, "xfrd"), filepath.Join(dir, "zones"), cookieSecret, zoneFile)
			},
			func(config string) []string { return []string{"-d", "-c", config} },
		},
	} {
		t.Run(other.program, func(t *testing.T) {
			path := program(t, other.program)
			dir := t.TempDir()
			them := &node{t: t, port: freePort(t)}
			conf := filepath.Join(dir, "conf")
			if err := os.WriteFile(conf, []byte(other.config(dir, them.port)), 0o600); err != nil {
				t.Fatal(err)
			}
			background(t, path, other.args(conf)...)
			them.until("192.0.2.1", "www.interop.test", "A")

			theirs := them.cookie(clientCookie)
			if back := us.cookie(theirs); back != theirs {
				t.Errorf("their cookie %s is not taken: %s comes back", theirs, back)
			}
			ours := us.cookie(clientCookie)
			if other.program == "nsd" { // it gives back what it takes, named makes a new one
				if back := them.cookie(ours); back != ours {
					t.Errorf("our cookie %s is not taken: %s comes back", ours, back)
				}
				return
			}
			for cookie, status := range map[string]string{ours: "NOERROR", clientCookie: "BADCOOKIE"} {
				out := them.dig("www.interop.test", "A", "+nobadcookie", "+cookie="+cookie)
				if !strings.Contains(out, "status: "+status) {
					t.Errorf("%s does not get %s from %s:\n%s", cookie, status, other.program, out)
				}
			}
		})
	}
}
