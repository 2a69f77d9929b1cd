package edge

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

var noController = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) })

const (
	away = `{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":[],"enabled":false,"failover":"x.elchi"}`
	hid  = `{"name":"s.gslb.elchi","type":"AAAA","ttl":30,"ips":["2001:db8::1"]}`
)

// What was there is there after a restart without a controller, with what was changed
// since; its age is said, and a controller is asked for all of it again.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.DataDir = filepath.Join(t.TempDir(), "made", "when missing")
		e := start(t, o, says(snapshot("1", one, two, away, hid)))
		stop := run(t, e)
		<-e.Tried()
		if _, err := e.apply([]op{{name: name("b.gslb.elchi"), kind: kindA, gone: true}}); err != nil {
			t.Fatal(err)
		}
		stop()
		before := lists(e.st)
		if st, err := os.Stat(e.disk.path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", st.Mode(), err)
		}
		if all, _ := os.ReadDir(o.DataDir); len(all) != 1 {
			t.Errorf("there are %v", all)
		}

		time.Sleep(time.Hour)
		o.SyncInterval = time.Minute
		e = start(t, o, noController)
		stop = run(t, e)
		<-e.Tried()
		same(t, "after a restart", lists(e.st), before)
		h := e.Health()
		if !e.Ready() || h.Source != api.FromDisk || h.VersionHash != "1" || h.RecordsCount != 2 || *h.AgeSeconds < 3599 || *h.AgeSeconds > 3630 || h.Status != api.EdgeDegraded {
			t.Errorf("ready %v, %+v, %v", e.Ready(), h, *h.AgeSeconds)
		}
		stop()

		// Whatever version a controller has: what it has is asked for, once.
		var mu sync.Mutex
		asked, answer := "", snapshot("1", two) // but for streams
		e = start(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if r.URL.Path != api.EventsPath {
				asked += r.URL.Path + r.URL.Query().Get("since") + " "
			}
			says := says(answer)
			mu.Unlock()
			says(w, r)
		}))
		stop = run(t, e)
		<-e.Tried()
		synctest.Wait()
		if h := e.Health(); asked != "/dns/snapshot " || h.Source != api.FromController || *h.AgeSeconds > 1 {
			t.Errorf("asked %s: %+v", asked, h)
		}
		same(t, "of the same version", holds(e.st.data), []string{"b.gslb.elchi. 20 A 192.0.2.2"})
		mu.Lock()
		answer = `{"unchanged":true}`
		mu.Unlock()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !strings.HasPrefix(asked, "/dns/snapshot /dns/changes1 ") {
			t.Errorf("asked %s", asked)
		}
		stop()
		if st, err := os.Stat(e.disk.path); err != nil || time.Since(st.ModTime()) > 90*time.Second {
			t.Errorf("the file looks as old as before: %v %v", st.ModTime(), err)
		}
	})
}

// A file that is not what it should be is refused, and the edge starts without it.
func TestDamagedFile(t *testing.T) {
	o := options()
	o.DataDir = t.TempDir()
	e := start(t, o, says(snapshot("1", one, two)))
	if err := e.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.saveNow()
	good, err := os.ReadFile(e.disk.path)
	if err != nil {
		t.Fatal(err)
	}
	packed := func(s string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, s)
		_ = z.Close()
		return b.Bytes()
	}
	const line = `{"format":1,"regions":null}` + "\n"
	files := map[string][]byte{
		"gzip":                          {},
		"unexpected EOF":                good[:len(good)-20],
		"checksum":                      append(append([]byte{}, good[:len(good)-8]...), 1, 2, 3, 4, 5, 6, 7, 8),
		"invalid header":                []byte("some text that is no gzip at all"),
		"its first line":                packed("no line"),
		"it has format 2, and 1":        packed(`{"format":2}` + "\n"),
		`it is of the regions ["asya"]`: packed(`{"format":1,"regions":["asya"]}` + "\n" + snapshot("1")),
		"it is of another zone":         packed(line + `{"zone":"other.elchi","version_hash":"1","records":[]}`),
		"it ends in the middle":         packed(line + `{"zone":"gslb.elchi","version_hash":"1","records":[` + one),
		"none of its records":           packed(line + snapshot("1", `{"name":"x"}`)),
		"buffer full":                   packed(strings.Repeat(" ", 1<<17)),
	}
	files["gzip"] = append([]byte{}, good...)
	files["gzip"][len(good)/2] ^= 0x55
	for want, b := range files {
		if err := os.WriteFile(e.disk.path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, _, err := e.disk.load(t.Context())
		if err == nil || want != "gzip" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", want, got, err)
		}
	}
	fresh := start(t, o, noController)
	fresh.restore(t.Context())
	if fresh.Ready() {
		t.Error("ready with a file that is damaged")
	}
	if err := os.Remove(e.disk.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(e.disk.path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.disk.load(t.Context()); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("a directory: %v", err)
	}
	e.changed = true
	e.saveNow()
	if !e.changed {
		t.Error("what could not be written is not tried again")
	}
	if all, _ := os.ReadDir(o.DataDir); len(all) != 1 {
		t.Errorf("a write that failed leaves %v", all)
	}
}

// What cannot be written is tried again, as often as anything is written, until it can be;
// that is logged once.
func TestDiskIsFullForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.DataDir = filepath.Join(t.TempDir(), "dir")
		if err := os.WriteFile(o.DataDir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		e := start(t, o, says(snapshot("1", one)))
		stop := run(t, e)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if err := os.Remove(o.DataDir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if kept, _, err := e.disk.load(t.Context()); err != nil || kept == nil {
			t.Errorf("a minute after there is room again: %v, %v", kept, err)
		}
		stop()
		for _, want := range []string{"cannot be kept", "is kept again"} {
			if n := strings.Count(log.String(), want); n != 1 {
				t.Errorf("the log says %q %d times:\n%s", want, n, &log)
			}
		}
	})
}

// What a crash left is removed, once nobody can be at it any more.
func TestTidy(t *testing.T) {
	o := options()
	o.DataDir = t.TempDir()
	e := start(t, o, noController)
	for left, age := range map[string]time.Duration{e.disk.path + ".1.new": 2 * time.Hour, e.disk.path + ".2.new": time.Minute, e.disk.path + ".3.old": 2 * time.Hour} {
		if err := os.WriteFile(left, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(left, at, at); err != nil {
			t.Fatal(err)
		}
	}
	e.restore(t.Context())
	if all, _ := os.ReadDir(o.DataDir); len(all) != 2 {
		t.Errorf("there are %v", all)
	}
}

// The file is not written for every change.
func TestSavesRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.DataDir = t.TempDir()
		e := start(t, o, says(snapshot("1", one)))
		stop := run(t, e)
		<-e.Tried()
		synctest.Wait()
		writes, last := 0, ""
		for i := range 600 {
			if _, err := e.apply([]op{{name: name("a.gslb.elchi"), kind: kindA, record: record{form: addressed, ttl: uint32(i), data: []byte{192, 0, 2, 1}}}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			if b, err := os.ReadFile(e.disk.path); err == nil && string(b) != last {
				writes, last = writes+1, string(b)
			}
		}
		stop()
		if writes < 2 || writes > 4 {
			t.Errorf("%d files were written in a minute", writes)
		}
		if got, _, err := e.disk.load(t.Context()); err != nil || lists(got.st)[0] != `{"name":"a.gslb.elchi","type":"A","ttl":599,"ips":["192.0.2.1"]}` {
			t.Errorf("the last change is not kept: %v", err)
		}
	})
}

func TestFileName(t *testing.T) {
	for zone, want := range map[string]string{"gslb.elchi": "zone-gslb.elchi.json.gz", `a\/..\000*.x`: "", "A_b-9.x": "zone-a_b-9.x.json.gz", `a\047b.x`: "zone-a%2fb.x.json.gz"} {
		if want == "" {
			continue
		}
		if got := fileName(name(zone)); got != want {
			t.Errorf("%s: %s, want %s", zone, got, want)
		}
	}
}

func FuzzDisk(f *testing.F) {
	o := options()
	o.DataDir = f.TempDir()
	e, err := New(o)
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	t, err := gather(strings.NewReader(snapshot("1", one, two)), gatherWith("gslb.elchi"))
	if err != nil {
		f.Fatal(err)
	}
	if err := e.disk.encode(&b, t.st, "1"); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := e.disk.read(t.Context(), bytes.NewReader(b)); err == nil {
			lists(got.st)
		}
	})
}
