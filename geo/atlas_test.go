package geo

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// patience is when a test that waits for an event gives up.
const patience = 12 * time.Second // less than pollTime, so that events are tested

// lines is a log of which a test waits for lines.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

func (l lines) wait(t *testing.T, text string) {
	t.Helper()
	end := time.After(patience)
	for {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				return
			}
		case <-end:
			t.Fatalf("nothing was logged with %q", text)
		}
	}
}

// running is an atlas that runs until the test ends.
func running(t *testing.T, cfg Config) (*Atlas, lines, *prometheus.Registry) {
	t.Helper()
	log, reg := make(lines, 1000), prometheus.NewRegistry()
	a := New(Options{Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: reg})
	c, err := a.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.Apply(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return a, log, reg
}

// database is a file in which 192.0.2.0/24 is in a country.
func database(country string) []byte {
	w := writer{kind: "Country", size: 24}
	w.add(netip.MustParsePrefix("192.0.2.0/24"), object{"country_code": country})
	return w.file()
}

func country(a *Atlas) string {
	p, _ := a.View().Lookup(netip.MustParseAddr("192.0.2.1"))
	return p.Country
}

// until waits for a view in which the address is in a country.
func until(t *testing.T, a *Atlas, want string) {
	t.Helper()
	end := time.After(patience)
	for country(a) != want {
		select {
		case <-a.Changed():
		case <-end:
			t.Fatalf("it is still in %q, want %q", country(a), want)
		}
	}
}

// replace puts a file in place of another at once, as tools that renew do.
func replace(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.Rename(write(t, filepath.Dir(path), "new", b), path); err != nil {
		t.Fatal(err)
	}
}

func TestRenew(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "c.mmdb", database("IE"))
	a, log, reg := running(t, Config{Databases: []string{path}})
	if country(a) != "IE" {
		t.Fatalf("it is in %q", country(a))
	}
	first := a.View().Generation()

	replace(t, path, database("US"))
	until(t, a, "US")
	if a.View().Generation() == first {
		t.Error("another view has the same generation")
	}

	write(t, dir, "c.mmdb", database("FR")) // in place
	until(t, a, "FR")

	// Half of it is there: what was loaded stays, and it is said once.
	whole := database("JP")
	write(t, dir, "c.mmdb", whole[:len(whole)/2])
	log.wait(t, "cannot be used")
	st := a.Status()[0]
	if country(a) != "FR" || !strings.HasPrefix(st.Error, "not a whole database") || strings.Contains(st.Error, path) || st.Failed.IsZero() {
		t.Errorf("in %q, status %+v", country(a), st)
	}
	if n := testutil.ToFloat64(a.meters.failing.WithLabelValues(path)); n != 1 {
		t.Errorf("failing is %v", n)
	}
	write(t, dir, "c.mmdb", whole[:len(whole)/2+9])
	replace(t, path, whole)
	until(t, a, "JP")
	if st := a.Status()[0]; st.Error != "" || !st.Failed.IsZero() || st.Name != path || st.Kind != "Country" || st.Entries == 0 || st.Size != int64(len(whole)) {
		t.Errorf("status %+v", st)
	}
	if n := testutil.ToFloat64(a.meters.failing.WithLabelValues(path)); n != 0 {
		t.Errorf("failing is %v", n)
	}
	if n := testutil.CollectAndCount(reg, "rhumb_geo_database_load_failures_total"); n != 1 {
		t.Errorf("%d series of failures", n)
	}

	// Away, and back as it was.
	aside := filepath.Join(dir, "aside")
	if err := os.Rename(path, aside); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "no such file")
	if country(a) != "JP" {
		t.Errorf("in %q", country(a))
	}
	if err := os.Rename(aside, path); err != nil {
		t.Fatal(err)
	}
	replace(t, path, database("CH"))
	until(t, a, "CH")
}

// TestRenewLink turns the link by which Kubernetes shows the files of a ConfigMap.
func TestRenewLink(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []string{"IE", "US"} {
		if err := os.Mkdir(filepath.Join(dir, c), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, c), "c.mmdb", database(c))
	}
	data, path := filepath.Join(dir, "..data"), filepath.Join(dir, "c.mmdb")
	for link, to := range map[string]string{data: "IE", path: filepath.Join("..data", "c.mmdb")} {
		if err := os.Symlink(to, link); err != nil {
			t.Skip(err) // not everybody may, on Windows
		}
	}
	a, _, _ := running(t, Config{Databases: []string{path}})
	if country(a) != "IE" {
		t.Fatalf("it is in %q", country(a))
	}
	next := filepath.Join(dir, "..next")
	if err := os.Symlink("US", next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, data); err != nil {
		t.Fatal(err)
	}
	until(t, a, "US")

	// The same through a directory that is a link.
	current := filepath.Join(dir, "current")
	if err := os.Symlink("IE", current); err != nil {
		t.Fatal(err)
	}
	other, _, _ := running(t, Config{Databases: []string{filepath.Join(current, "c.mmdb")}})
	write(t, filepath.Join(dir, "IE"), "c.mmdb", database("CH"))
	until(t, other, "CH") // so that it watches by now
	if err := os.Symlink("US", next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, current); err != nil {
		t.Fatal(err)
	}
	until(t, other, "US")
}

// TestFailure counts what is logged: a file that stays damaged is no news.
func TestFailure(t *testing.T) {
	path := write(t, t.TempDir(), "c.mmdb", database("IE"))
	log := make(lines, 100)
	a := New(Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	c, err := a.Prepare(Config{Databases: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	a.Apply(c)
	log.wait(t, "geo database loaded")
	ctx := context.Background()
	for i := range 3 {
		write(t, filepath.Dir(path), "c.mmdb", make([]byte, 10+i))
		a.renew(ctx)
	}
	if len(log) != 1 {
		t.Errorf("it was said %d times", len(log))
	}
	if n := testutil.ToFloat64(a.meters.failures.WithLabelValues(path)); n != 3 {
		t.Errorf("%v failures are counted", n)
	}
	a.renew(ctx) // the same file, a moment later
	if n := testutil.ToFloat64(a.meters.failures.WithLabelValues(path)); n != 3 {
		t.Errorf("a file that did not change was read again: %v failures", n)
	}
	synctest.Test(t, func(t *testing.T) {
		f := a.failures[path]
		f.last = time.Now() // of the bubble's clock
		a.failures[path] = f
		time.Sleep(retryTime)
		a.renew(ctx)
	})
	if n := testutil.ToFloat64(a.meters.failures.WithLabelValues(path)); n != 4 {
		t.Errorf("a file that did not change was not read again after a while: %v failures", n)
	}
	if country(a) != "IE" {
		t.Errorf("it is in %q", country(a))
	}
}

func TestApply(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "c.mmdb", database("IE"))
	cfg := Config{Databases: []string{path}}
	a := New(Options{})
	if v := a.View(); v.Places() != 1 || country(a) != "" {
		t.Errorf("there are %d places before anything was applied", v.Places())
	}
	apply := func(cfg Config) {
		t.Helper()
		c, err := a.Prepare(cfg)
		if err != nil {
			t.Fatal(err)
		}
		a.Apply(c)
	}
	apply(cfg)
	v := a.View()
	apply(Config{Databases: []string{path}})
	if a.View() != v {
		t.Error("the same configuration makes another view")
	}
	// A damaged file is no reason to refuse other networks, nor other regions.
	write(t, dir, "c.mmdb", []byte("damaged"))
	cfg.Networks = []Network{{netip.MustParsePrefix("192.0.2.0/25"), Place{Region: "here"}}}
	apply(cfg)
	if p, bits := a.View().Lookup(netip.MustParseAddr("192.0.2.1")); p.Country != "IE" || p.Region != "here" || bits.Bits() != 25 {
		t.Errorf("%+v, %s", p, bits)
	}
	if _, err := a.Prepare(Config{Databases: []string{write(t, dir, "d.mmdb", []byte("damaged"))}}); err == nil {
		t.Error("a damaged database was prepared")
	}
	if country(a) != "IE" {
		t.Error("preparing has changed something")
	}
	select {
	case <-a.Changed():
		t.Error("Apply tells its caller")
	default:
	}
	apply(Config{})
	if st := a.Status(); len(st) != 1 || st[0].Name != BuiltIn || st[0].Built.IsZero() {
		t.Errorf("%+v", st)
	}
	if n := testutil.CollectAndCount(a.meters.built); n != 1 {
		t.Errorf("%d databases in the metrics", n)
	}
	if p, _ := a.View().Lookup(netip.MustParseAddr("134.226.1.1")); p.Country != "IE" {
		t.Errorf("%+v", p)
	}
}
