package hosts

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConfigure(t *testing.T) {
	for _, c := range []struct {
		text     string
		servers  string
		timeout  time.Duration
		attempts int
	}{
		{"", "[127.0.0.1:53]", 5 * time.Second, 2},
		{"# nameserver 192.0.2.1\n;nameserver 192.0.2.2\nsearch example\n", "[127.0.0.1:53]", 5 * time.Second, 2},
		{"nameserver 192.0.2.1\nnameserver 2001:db8::1\n", "[192.0.2.1:53 [2001:db8::1]:53]", 5 * time.Second, 2},
		{"nameserver fe80::1%eth0\nnameserver resolver.example\nnameserver\n", "[[fe80::1%eth0]:53]", 5 * time.Second, 2},
		{"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n", "[192.0.2.1:53 192.0.2.2:53 192.0.2.3:53]", 5 * time.Second, 2},
		{"options timeout:1 attempts:4 rotate\nnameserver 192.0.2.1", "[192.0.2.1:53]", time.Second, 4},
		{"options timeout:99999999999 attempts:0\nnameserver 192.0.2.1", "[192.0.2.1:53]", 30 * time.Second, 1},
		{"options timeout:-1 attempts:99\nnameserver 192.0.2.1", "[192.0.2.1:53]", time.Second, 5},
	} {
		u := &upstream{}
		if err := u.configure(strings.NewReader(c.text)); err != nil {
			t.Errorf("%q: %v", c.text, err)
		}
		if got := fmt.Sprint(u.servers); got != c.servers || u.timeout != c.timeout || u.attempts != c.attempts {
			t.Errorf("%q: %s, timeout %v, %d attempts", c.text, got, u.timeout, u.attempts)
		}
	}
}

func TestReadHosts(t *testing.T) {
	all, err := readHosts(strings.NewReader(`
# 192.0.2.9 nine
192.0.2.2	a.test A.test. b   # 192.0.2.8 c
192.0.2.1 a.test
2001:db8::1 a.test
::ffff:192.0.2.3 mapped
fe80::1%eth0 zoned
192.0.2.4
no.address d
192.0.2.5 bad..name good
`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, of := range all {
		got[name.String()] = text(append(unpack(of.v4, false), unpack(of.v6, true)...))
	}
	want := "map[a.test.:192.0.2.1 192.0.2.2 2001:db8::1 b.:192.0.2.2 good.:192.0.2.5 mapped.:192.0.2.3]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if _, err := readHosts(strings.NewReader(strings.Repeat("x", 1<<17))); err == nil {
		t.Error("a line without end is read")
	}
}

func TestSystemResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		asked := func() string {
			asks := r.world.asks("")
			return asks[len(asks)-1].server
		}
		r.world.addrs("h.test. A", "60", "192.0.2.1")
		r.system("h.test local.test localhost a.localhost")
		r.run()
		defer r.stop()
		soon()
		// There is no file at all.
		d := r.View().Detail(0).V4
		if !strings.HasPrefix(d.Error, "no servers to ask: open ") || !strings.Contains(d.Error, "state dns.resolvers") || len(r.world.asks("")) != 0 {
			t.Errorf("%+v", d)
		}
		r.want(2, "127.0.0.1", "::1")
		r.want(3, "127.0.0.1", "::1")

		// It comes into being.
		write(t, r.conf, "nameserver 192.0.2.53\n")
		after(lookGap + quietGap)
		r.want(0, "192.0.2.1", "")
		r.want(1, "", "")
		if asked() != server1 {
			t.Errorf("asked %s", asked())
		}
		// So does a name of the system's own.
		write(t, r.hostsFile, "203.0.113.1 local.test\n")
		after(lookGap + quietGap)
		r.want(1, "203.0.113.1", "")
		if d := r.View().Detail(1); d.V4.TTL != time.Minute || d.V6.Error == "" {
			t.Errorf("%+v", d)
		}
		// Both change.
		write(t, r.conf, "nameserver 198.51.100.53\n")
		write(t, r.hostsFile, "203.0.113.2 local.test other\n2001:db8::1 local.test")
		after(lookGap + quietGap)
		r.want(1, "203.0.113.2", "2001:db8::1")
		after(time.Minute)
		if asked() != server2 {
			t.Errorf("asked %s", asked())
		}
		// They go: what they said stays.
		for _, file := range []string{r.conf, r.hostsFile} {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		after(10 * time.Minute)
		r.want(0, "192.0.2.1", "")
		r.want(1, "203.0.113.2", "2001:db8::1")
		if asked() != server2 || r.log.count("what it said stays") != 2 {
			t.Errorf("asked %s\n%s", asked(), r.log)
		}
		// Configured servers do not go with the system's names, and back.
		r.names("h.test local.test", "203.0.113.53:53")
		r.world.addrs("local.test. A", "60", "192.0.2.7")
		after(10 * time.Minute)
		if asked() != "203.0.113.53:53" {
			t.Errorf("asked %s", asked())
		}
		if d := r.View().Detail(1); text(d.V4.Addrs) != "192.0.2.7" {
			t.Errorf("%+v", d)
		}
		r.system("h.test local.test")
		soon()
		r.want(1, "203.0.113.2", "2001:db8::1")
	})
}

func TestWatched(t *testing.T) {
	w := watched{path: filepath.Join(t.TempDir(), "f")}
	at := time.Unix(1e9, 0)
	state := func(text string, at time.Time) {
		t.Helper()
		write(t, w.path, text)
		if err := os.Chtimes(w.path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, changed bool) {
		t.Helper()
		if w.changed() != changed || w.changed() {
			t.Errorf("%s: changed is not %v, or twice", what, changed)
		}
	}
	want("no file, for the first time", true)
	state("a", at)
	want("a file", true)
	state("b", at.Add(time.Second))
	want("another time", true)
	state("bb", at.Add(time.Second))
	want("another size", true)
	moved := w.path + ".new"
	write(t, moved, "cc")
	if err := errors.Join(os.Chtimes(moved, at, at.Add(time.Second)), os.Rename(moved, w.path)); err != nil {
		t.Fatal(err)
	}
	want("another file", true)
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	want("no file", true)
}

func TestNoLookWithoutNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.system("")
		r.run()
		defer r.stop()
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.upstream != nil {
			t.Error("the system's files are read for nobody")
		}
	})
}

func TestServerAddress(t *testing.T) {
	u := &upstream{}
	if err := u.configure(strings.NewReader("nameserver ::ffff:192.0.2.1")); err != nil || len(u.servers) != 1 {
		t.Fatal(u.servers, err)
	}
	if a := u.servers[0].Addr(); a.Unmap() != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("%v", a)
	}
}
