package probe

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func newLua(t testing.TB, o Lua) *luaProber {
	t.Helper()
	p, err := NewLua(o)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*luaProber)
}

func TestLuaVerdicts(t *testing.T) {
	for _, c := range []struct {
		source   string
		class    Class
		detail   string
		degraded bool
	}{
		{`return true`, ClassNone, "", false},
		{`return true, "not said"`, ClassNone, "", false},
		{`return false`, ClassValue, "the script did not return true", false},
		{`return nil`, ClassValue, "the script did not return true", false},
		{`return 1`, ClassValue, "the script did not return true", false},
		{`return "up"`, ClassValue, "the script did not return true", false},
		{`return {}`, ClassValue, "the script did not return true", false},
		{`return false, "3 of 5 nodes"`, ClassValue, "3 of 5 nodes", false},
		{`return false, {}`, ClassValue, "the script did not return true", false},
		{`return "degraded", "one node of three"`, ClassNone, "one node of three", true},
		{`return "degraded"`, ClassNone, "the script returned degraded", true},
		{`local x = 1`, ClassScript, "the script returned nothing", false},
		{`local x; return x.y`, ClassScript, "line 1: attempt to index", false},
		{"\nerror('so')", ClassScript, "line 2: so", false},
		{`while true do end`, ClassScript, "the script took more than 5000000 instructions, line 1", false},
		{`local t = {}; t[60000000] = 1`, ClassScript, "the script took more than 64 MiB of memory, line 1", false},
		{`return false, ("x\n\27[31m"):rep(100)`, ClassValue, "x??[31m", false},

		{`return backend.address == "192.0.2.1" and backend.priority == 7 and backend.port == 8080 and backend.host == nil`, ClassNone, "", false},
		{`return env.TOKEN == "hunter22" and env.OTHER == nil`, ClassNone, "", false},
		{`return false, "with " .. env.TOKEN`, ClassValue, "with ***", false},
		{`return "degraded", "with " .. env.TOKEN`, ClassNone, "with ***", true},
		{`error("with " .. env.TOKEN)`, ClassScript, "line 1: with ***", false},
		{`http_get("", 1, "user", "passw0rd"); return false, "passw0rd"`, ClassValue, "***", false},
		{`metric_get("", "", 1, true, "user", "passw0rd"); return false, "passw0rd"`, ClassValue, "***", false},
		{`ssh_exec("", "user", "passw0rd", ""); return false, "passw0rd"`, ClassValue, "***", false},
		{`return os == nil and io == nil and require == nil and load == nil and debug == nil`, ClassNone, "", false},
	} {
		p := newLua(t, Lua{Source: c.source, Env: map[string]string{"TOKEN": "hunter22"}, Secrets: []string{"TOKEN"}})
		got := p.Probe(ctxFor(t, patience), endpointOfLua)
		if got.Degraded != c.degraded {
			t.Errorf("%s: degraded %t", c.source, got.Degraded)
		}
		if got.Degraded {
			if !got.OK || got.Detail != c.detail {
				t.Errorf("%s: %+v", c.source, got)
			}
			continue
		}
		check(t, got, c.class, c.detail)
	}
	host := newLua(t, Lua{Source: `return backend.address == "a.example" and backend.host == "a.example" and backend.port == nil`})
	check(t, host.Probe(ctxFor(t, patience), Target{Host: "a.example"}), ClassNone, "")
}

var endpointOfLua = Target{Addr: netip.MustParseAddr("192.0.2.1"), Port: 8080, Priority: 7}

func TestLuaTimeout(t *testing.T) {
	silence := silent(t)
	for _, source := range []string{
		`while true do pcall(function() while true do end end) end`,
		`return ("a"):rep(1e5):find((".-"):rep(20) .. "b")`,
		fmt.Sprintf(`http_get("http://%s/"); return true`, silence),
		fmt.Sprintf(`while true do http_get("http://%s/", 0.001) end`, silence),
		fmt.Sprintf(`ssh_exec("%s", "a", "b", "c", 60); while true do end`, silence),
	} {
		p := newLua(t, Lua{Source: source})
		// What has a budget of its own may come to its end first on a fast machine.
		got := p.Probe(ctxFor(t, 30*time.Millisecond), endpointOfLua)
		if got.Class != ClassTimeout && !(got.Class == ClassScript && strings.Contains(got.Detail, "instructions")) {
			t.Errorf("%s: %+v", source, got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		check(t, p.Probe(ctx, endpointOfLua), ClassCanceled, "canceled")
	}
}

// The examples of CoreDNS-GSLB's manual, word for word but for the addresses.
func TestLuaHelpers(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/_cluster/health":
			_, _ = io.WriteString(w, `{"status":"green","number_of_nodes":3,"nested":{"a":[1,2]}}`)
		case "/metrics":
			_, _ = io.WriteString(w, "# HELP nginx_connections_active x\n# TYPE nginx_connections_active gauge\n"+
				"nginx_connections_active_total 7\nnginx_connections_active 42\n"+
				"up{job=\"a } 9\"} 1 1395066363000\nup{job=\"b\"} 0\nodd NaNny\n")
		case "/auth":
			if user, pass, _ := r.BasicAuth(); user != "user" || pass != "pass" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(w, "in 1\n")
		case "/moved":
			http.Redirect(w, r, "/_cluster/health", http.StatusFound)
		case "/circle":
			http.Redirect(w, r, "/circle", http.StatusFound)
		case "/chunks":
			for range 3 {
				_, _ = io.WriteString(w, "abc")
				w.(http.Flusher).Flush()
			}
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, "late")
		case "/huge":
			for range 33 {
				_, _ = w.Write(make([]byte, 1<<15))
			}
		case "/down":
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "sorry")
		}
	})
	plain, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	secure.StartTLS()
	defer plain.Close()
	defer secure.Close()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the password went to another host")
		}
		_, _ = io.WriteString(w, "in 1\n")
	}))
	defer elsewhere.Close()
	away := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer away.Close()
	replace := strings.NewReplacer("PLAIN", plain.URL, "SECURE", secure.URL, "AWAY", away.URL, "PORT", plain.URL[strings.LastIndex(plain.URL, ":"):])
	for _, source := range []string{
		`local health = json_decode(http_get("http://" .. backend.address .. "PORT/_cluster/health"))
		 if health and health.status == "green" and health.number_of_nodes >= 3 then
		   return true
		 else
		   return false
		 end`,
		`local value = metric_get("PLAIN/metrics", "nginx_connections_active")
		 if value and value < 100 then
		   return true
		 end
		 return false`,
		`local value = metric_get("SECURE/metrics", "nginx_connections_active", 2, false)
		 if value and value < 100 then return true end
		 return false`,
		`local value = metric_get("PLAIN/auth", "in", 2, true, "user", "pass"); return value == 1`,
		`local body, status = http_get("PLAIN/auth", 2, "user", "pass"); return body == "in 1\n" and status == 200`,
		`local body, status = http_get("PLAIN/auth", 2, "user", "wrong"); return body == "" and status == 401`,
		`local body, status = http_get("PLAIN/down"); return body == "sorry" and status == 503`,
		`return http_get("SECURE/_cluster/health", 2, "", "", false) ~= ""`,
		`local body, status, why = http_get("SECURE/_cluster/health"); return body == "" and status == nil and why:find("certificate") ~= nil, why`,
		`return json_decode(http_get("PLAIN/moved")).nested.a[2] == 2`,
		`local body, status, why = http_get("PLAIN/circle"); return body == "" and why == "more than 10 redirects", why`,
		`return http_get("PLAIN/chunks") == "abcabcabc"`,
		`return http_get("PLAIN/early") == "late"`,
		`local body, _, why = http_get("PLAIN/huge"); return body == "" and why:find("more than may be read") ~= nil, why`,
		`return metric_get("PLAIN/metrics", "up") == 1 and metric_get("PLAIN/metrics", 'up{job="b"}') == 0`,
		`return metric_get("PLAIN/metrics", "odd") == "NaNny" and metric_get("PLAIN/metrics", "none") == nil and metric_get("PLAIN/metrics", "") == nil`,
		`return metric_get("AWAY", "in", 2, true, "user", "pass") == 1`,
		`local _, _, why = http_get("ftp://x/"); return why == "the URL is neither http nor https", why`,
		`local _, _, why = http_get("http://a b/"); return why == "the URL is malformed", why`,
		`local _, _, why = http_get("http:///x"); return why == "the URL is neither http nor https", why`,
		`local _, _, why = http_get("http://a_b:99999/"); return why == "the URL has no host that could be asked", why`,
		`local _, _, why = http_get(); return why == "the URL is neither http nor https", why`,
		`local value, why = metric_get("http://192.0.2.1:1/", "x", 0.01); return value == nil and why ~= nil`,
	} {
		p := newLua(t, Lua{Source: replace.Replace(source)})
		t.Log(source)
		check(t, p.Probe(ctxFor(t, patience), Target{Addr: netip.MustParseAddr("127.0.0.1")}), ClassNone, "")
	}
}

// Servers that misbehave cost a bounded time and a bounded memory, and what they
// say does not come into the reason.
func TestLuaHelpersMisled(t *testing.T) {
	endless := bytes.Repeat([]byte("x"), 1<<16)
	for name, c := range map[string]struct {
		handle func(net.Conn)
		want   string
	}{
		"nothing": {func(net.Conn) {}, "timeout while waiting"},
		"hang up": {func(c net.Conn) { _ = c.Close() }, "connection "},
		"a byte now and then": {func(c net.Conn) {
			for _, err := c.Write([]byte("H")); err == nil; _, err = c.Write([]byte("x")) {
				select {
				case <-t.Context().Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
		}, "timeout while waiting"},
		"garbage":        {func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-x\r\n\r\n")) }, "an answer that is not HTTP"},
		"endless header": {func(c net.Conn) { writeAll(c, "HTTP/1.1 200 OK\r\nX: ", endless) }, "more than 32768 bytes of header"},
		"endless 1xx":    {func(c net.Conn) { writeAll(c, "", []byte("HTTP/1.1 103 Early Hints\r\n\r\n")) }, "more than 4 responses before the response"},
		"endless body":   {func(c net.Conn) { writeAll(c, "HTTP/1.1 200 OK\r\n\r\n", endless) }, "more than may be read"},
		"endless chunk": {func(c net.Conn) {
			writeAll(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", endless)
		}, "more than may be read"},
		"half a body": {func(c net.Conn) {
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"))
			_ = c.Close()
		}, "connection closed while reading"},
		"a body that stops": {func(c net.Conn) {
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"))
		}, "timeout while reading"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := serve(t, "127.0.0.1", func(conn net.Conn) {
				request := make([]byte, 4096)
				_, _ = conn.Read(request)
				c.handle(conn)
			})
			for _, call := range []string{`http_get("http://%s/", 1)`, `"", nil, select(2, metric_get("http://%s/", "x", 1))`} {
				p := newLua(t, Lua{Source: fmt.Sprintf(`local function f() return `+call+` end; local body, _, why = f(); return body == "" and "down", why`, target)})
				check(t, p.Probe(ctxFor(t, patience), endpointOfLua), ClassValue, c.want)
			}
			https := newLua(t, Lua{Source: fmt.Sprintf(`local _, _, why = http_get("https://%s/", 0.3, "", "", false); return false, why`, target)})
			check(t, https.Probe(ctxFor(t, patience), endpointOfLua), ClassValue, "")
		})
	}
}

func writeAll(c net.Conn, first string, again []byte) {
	_, err := io.WriteString(c, first)
	for err == nil {
		_, err = c.Write(again)
	}
}

// sshServer is one that knows the user monitor. It answers commands with handle,
// and where handle is nil, misleads.
func sshServer(t *testing.T, handle func(command string, c ssh.Channel, server ssh.Conn) (status uint32)) (Target, ssh.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{
		PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if c.User() == "monitor" && string(password) == "secret" {
				return nil, nil
			}
			return nil, errors.New("no")
		},
		KeyboardInteractiveCallback: func(c ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err == nil && c.User() == "interactive" && len(answers) == 1 && answers[0] == "secret" {
				return nil, nil
			}
			return nil, errors.New("no")
		},
	}
	config.AddHostKey(signer)
	// It has another one, which is what clients would rather see.
	more, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	preferred, err := ssh.NewSignerFromKey(more)
	if err != nil {
		t.Fatal(err)
	}
	config.AddHostKey(preferred)
	target := serve(t, "127.0.0.1", func(conn net.Conn) {
		server, channels, requests, err := ssh.NewServerConn(conn, config)
		if err != nil {
			return
		}
		defer server.Close()
		go ssh.DiscardRequests(requests)
		for c := range channels {
			channel, requests, err := c.Accept()
			if err != nil {
				return
			}
			for r := range requests {
				_ = r.Reply(r.Type == "exec", nil)
				var command struct{ Text string }
				if r.Type != "exec" || ssh.Unmarshal(r.Payload, &command) != nil {
					continue
				}
				status := handle(command.Text, channel, server)
				_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
				_ = channel.Close()
			}
		}
	})
	return target, signer.PublicKey()
}

func knownHosts(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLuaSSH(t *testing.T) {
	var ran atomic.Int32
	target, key := sshServer(t, func(command string, c ssh.Channel, server ssh.Conn) uint32 {
		ran.Add(1)
		switch command {
		case "pgrep nginx":
			_, _ = io.WriteString(c, "4711\n")
		case "errors":
			_, _ = io.WriteString(c.Stderr(), "e\n")
		case "endless":
			for {
				if _, err := c.Write(make([]byte, 1<<14)); err != nil {
					break
				}
			}
		case "hang":
			_ = server.Wait()
		case "nothing, and for ever":
			for {
				if _, _, err := server.SendRequest("nothing", false, make([]byte, 1<<14)); err != nil {
					break
				}
			}
		default:
			return 3
		}
		return 0
	})
	_, other := sshServer(t, nil)
	here := []string{target.String()}
	right, wrong := knownhosts.Line(here, key), knownhosts.Line(here, other)
	for _, c := range []struct {
		name, known, call, want string
	}{
		{"right", right, `"monitor", "secret", "pgrep nginx"`, "true|4711"},
		{"right with a timeout", right, `"monitor", "secret", "pgrep nginx", 3`, "true|4711"},
		{"interactive", right, `"interactive", "secret", "pgrep nginx"`, "true|4711"},
		{"hashed", knownhosts.Line([]string{knownhosts.HashHostname(knownhosts.Normalize(target.String()))}, key), `"monitor", "secret", "pgrep nginx"`, "true|4711"},
		{"what it writes to its errors", right, `"monitor", "secret", "errors"`, "true|e"},
		{"status", right, `"monitor", "secret", "false"`, "false|the command ended with status 3"},
		{"wrong password", right, `"monitor", "wrong", "pgrep nginx"`, "false|the login was refused"},
		{"wrong user", right, `"root", "secret", "pgrep nginx"`, "false|the login was refused"},
		{"any key", "any", `"monitor", "secret", "pgrep nginx"`, "true|4711"},
		{"wrong key", wrong, `"monitor", "secret", "pgrep nginx"`, "false|the host shows another key than known_hosts has"},
		{"revoked key", "@revoked * " + strings.TrimPrefix(right, right[:strings.Index(right, " ")+1]) + "\n" + right, `"monitor", "secret", "pgrep nginx"`, "false|the host's key is revoked"},
		{"unknown host", "other.example " + strings.SplitN(right, " ", 2)[1], `"monitor", "secret", "pgrep nginx"`, "false|the host's key is not in known_hosts"},
		{"no file", "", `"monitor", "secret", "pgrep nginx"`, "false|the check states no known_hosts"},
		{"endless", right, `"monitor", "secret", "endless"`, "false|the command wrote more than 65536 bytes"},
		{"hang", right, `"monitor", "secret", "hang", 0.5`, "false|timeout "},
		{"messages without end", right, `"monitor", "secret", "nothing, and for ever", 30`, "false|the server sent more than 4096 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := ran.Load()
			o := Lua{Source: fmt.Sprintf(`local out, why = ssh_exec(%q, %s); return false, tostring(out ~= "") .. "|" .. (why or out)`, target, c.call)}
			switch {
			case c.known == "any":
				o.AnyHost = true
			case c.known != "":
				o.KnownHosts = knownHosts(t, c.known)
			}
			goroutines := runtime.NumGoroutine()
			check(t, newLua(t, o).Probe(ctxFor(t, patience), endpointOfLua), ClassValue, c.want)
			if strings.Contains(c.want, "key") && ran.Load() != before {
				t.Error("the command ran on a host that was not verified")
			}
			// Those of the server end with theirs.
			eventuallyFew(t, goroutines)
		})
	}
	misled := serve(t, "127.0.0.1", func(c net.Conn) { writeAll(c, "", []byte("not SSH at all\r\n")) })
	known := knownHosts(t, knownhosts.Line([]string{misled.String()}, key))
	p := newLua(t, Lua{Source: fmt.Sprintf(`return false, select(2, ssh_exec(%q, "a", "secret", "b", 5))`, misled), KnownHosts: known})
	check(t, p.Probe(ctxFor(t, patience), endpointOfLua), ClassValue, "SSH session")
}

// A command that takes too long is asked to end, and then ended, before its time is over;
// one that ends by itself is left alone.
func TestRemoteCommandsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			takes time.Duration
			asked bool
			want  string
		}{
			{time.Second, false, ""},
			{8900 * time.Millisecond, false, ""},
			{9100 * time.Millisecond, true, "TERM after 9s"},
			{time.Minute, true, "TERM after 9s, KILL after 9.5s"},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			start := time.Now()
			var mu sync.Mutex
			var got []string
			l := endRemote(ctx, func(s ssh.Signal) error {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, fmt.Sprintf("%s after %v", s, time.Since(start)))
				return errors.New("the connection has gone")
			})
			time.Sleep(tc.takes)
			asked := l.stop()
			time.Sleep(time.Minute)
			mu.Lock()
			if all := strings.Join(got, ", "); all != tc.want || asked != tc.asked {
				t.Errorf("%v: %q, asked %t", tc.takes, all, asked)
			}
			mu.Unlock()
			cancel()
		}
		if endRemote(t.Context(), nil).stop() {
			t.Error("a command without a limit was asked to end")
		}
	})
}

func eventuallyFew(t *testing.T, goroutines int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for runtime.NumGoroutine() > goroutines {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%d goroutines, and %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}

// A thousand probes leave no goroutine.
func TestLuaLeavesNothing(t *testing.T) {
	target := serve(t, "127.0.0.1", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	p := newLua(t, Lua{Source: fmt.Sprintf(`return http_get("http://%s/") == "ok"`, target)})
	broken := newLua(t, Lua{Source: `local t = {}; while true do t[#t + 1] = ("x"):rep(1e6) .. #t end`})
	check(t, p.Probe(ctxFor(t, patience), endpointOfLua), ClassNone, "")
	goroutines := runtime.NumGoroutine()
	for range 200 {
		check(t, p.Probe(ctxFor(t, patience), endpointOfLua), ClassNone, "")
	}
	for range 5 {
		check(t, broken.Probe(ctxFor(t, patience), endpointOfLua), ClassScript, "64 MiB")
	}
	eventuallyFew(t, goroutines)
}

func TestNewLuaRefuses(t *testing.T) {
	for _, c := range []struct {
		o    Lua
		want string
	}{
		{Lua{Source: "return ("}, "script: unexpected end"},
		{Lua{Source: "return true", KnownHosts: "/no/such"}, "known_hosts: open /no/such"},
		{Lua{Source: "return true", KnownHosts: knownHosts(t, "host ssh-ed25519 nonsense")}, "knownhosts: "},
	} {
		if _, err := NewLua(c.o); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func FuzzMetricValue(f *testing.F) {
	for _, s := range []string{`up 1`, `up{a="b"} 2 3`, `up{a="\"}"} NaN`, `up{`, `up`, "up\t+Inf"} {
		f.Add(s, "up")
	}
	f.Fuzz(func(t *testing.T, line, name string) {
		switch metricValue(line, name).(type) {
		case nil, float64, string:
		default:
			t.Error("another type")
		}
	})
}
