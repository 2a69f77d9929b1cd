package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(Options{Dir: dir, Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// running is a log that runs until the function that is returned is called.
func running(t *testing.T, dir string) (*Log, func()) {
	t.Helper()
	l := open(t, dir)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	var once sync.Once
	end := func() {
		once.Do(func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(end)
	return l, end
}

func says(events []Event) string {
	var all []string
	for _, e := range events {
		all = append(all, e.Endpoint+" "+e.Type)
	}
	return strings.Join(all, ", ")
}

func TestRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, "")
		l.PoolsOf(func(events []*Event) {
			for _, e := range events {
				e.Pools = []string{"pool-of-" + e.Endpoint, "all"}
			}
		})
		l.Tell(Event{Type: Down, Endpoint: "a", State: Down, Was: Up, Lasted: time.Hour, Check: "web", Class: "timeout", Reason: "check web: timeout"})
		time.Sleep(time.Minute)
		noon := time.Now()
		l.Tell(Event{Type: Down, Endpoint: "b"})
		l.Tell(Event{Type: Reloaded})
		l.Tell(Event{Type: PoolGaveWay, Pools: []string{"eu"}})
		all, more := l.Read(Query{}, 0)
		if got := says(all); got != "a down, b down,  reloaded,  pool-gave-way" || more {
			t.Fatal(got, more)
		}
		want := Event{
			ID: all[0].ID, At: noon.Add(-time.Minute).UTC(), Type: Down, Endpoint: "a", Pools: []string{"pool-of-a", "all"}, State: Down, Was: Up,
			Lasted: time.Hour, Check: "web", Class: "timeout", Reason: "check web: timeout",
			Ran: 1,
		}
		if got := fmt.Sprintf("%+v", all[0]); got != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %s\nwant %+v", got, want)
		}
		for i := 1; i < len(all); i++ {
			if all[i].ID != all[i-1].ID+1 {
				t.Errorf("IDs %d, %d", all[i-1].ID, all[i].ID)
			}
		}
		for _, c := range []struct {
			q     Query
			limit int
			want  string
			more  bool
		}{
			{Query{}, 1, " pool-gave-way", true},
			{Query{}, 4, "a down, b down,  reloaded,  pool-gave-way", false},
			{Query{Since: noon}, 1, "b down", true},
			{Query{After: all[1].ID}, 0, " reloaded,  pool-gave-way", false},
			{Query{Endpoint: "b"}, 0, "b down", false},
			{Query{Pool: "all", Types: []string{Down}}, 1, "b down", true},
			{Query{Pool: "eu"}, 0, " pool-gave-way", false},
			{Query{Pool: "pool-of"}, 0, "", false},
			{Query{Also: func(e *Event) bool { return e.Endpoint == "" }}, 0, " reloaded,  pool-gave-way", false},
		} {
			got, more := l.Read(c.q, c.limit)
			if says(got) != c.want || more != c.more {
				t.Errorf("%+v, %d: %q, %t, not %q, %t", c.q, c.limit, says(got), more, c.want, c.more)
			}
		}
	})
}

// What is remembered is bounded, of one endpoint and in all, and the latest stays.
func TestBounds(t *testing.T) {
	l := open(t, "")
	for i := range 10 {
		l.Tell(Event{Type: Down, Endpoint: fmt.Sprint("steady", i)})
	}
	for i := range 20 * PerEndpoint {
		l.Tell(Event{Type: Down, Endpoint: "flaps", Reason: fmt.Sprint(i)})
		if i%997 == 0 {
			l.take()
		}
	}
	flaps, _ := l.Read(Query{Endpoint: "flaps"}, 0)
	if n := len(flaps); n < PerEndpoint || n > PerEndpoint+slackPer || flaps[n-1].Reason != fmt.Sprint(20*PerEndpoint-1) || flaps[0].Reason != fmt.Sprint(20*PerEndpoint-n) {
		t.Errorf("%d of one, from %s to %s", n, flaps[0].Reason, flaps[n-1].Reason)
	}
	if steady, _ := l.Read(Query{Types: []string{Down}}, 0); says(steady[:10]) != says(func() (all []Event) {
		for i := range 10 {
			all = append(all, Event{Type: Down, Endpoint: fmt.Sprint("steady", i)})
		}
		return all
	}()) {
		t.Error("an endpoint that flaps pushed others out")
	}
	for i := range Most + 2*slackMost {
		l.Tell(Event{Type: Up, Endpoint: fmt.Sprint("many", i%(Most/2))})
	}
	all, _ := l.Read(Query{}, 0)
	if n := len(all); n < Most || n > Most+slackMost || all[n-1].Endpoint != fmt.Sprint("many", (Most+2*slackMost-1)%(Most/2)) {
		t.Errorf("%d in all", n)
	}
	if got := len(l.counts); got > Most/2+20 {
		t.Errorf("counts of %d", got)
	}
}

// More at once than may wait are lost, counted, and readers are told.
func TestPending(t *testing.T) {
	l := open(t, "")
	r := l.Reader(l.Last())
	const n = maxPending + 10
	for range n {
		l.Tell(Event{Type: Down, Endpoint: "a"})
	}
	l.take()
	seen, lost := 0, uint64(0)
	for {
		p := r.Next(Query{}, 100)
		seen += len(p.Events)
		lost += p.Lost
		if p.Gap {
			t.Error("a gap")
		}
		if p.More != nil {
			break
		}
	}
	if seen+int(lost) != n || seen < PerEndpoint {
		t.Errorf("%d seen and %d lost of %d", seen, lost, n)
	}
	if got := testutil.ToFloat64(l.meters.dropped); got != maxPending/10 {
		t.Errorf("%v dropped", got)
	}
}

// A reader sees each event once and in order while others tell, or is told that it
// has lost it.
func TestReader(t *testing.T) {
	l, _ := running(t, "")
	const tellers, each = 4, 5_000
	r := l.Reader(l.Last())
	var telling sync.WaitGroup
	for k := range tellers {
		telling.Go(func() {
			for i := range each {
				l.Tell(Event{Type: Down, Endpoint: fmt.Sprint(k, " ", i%100)})
			}
		})
	}
	seen, at := uint64(0), r.At()
	for seen < tellers*each {
		p := r.Next(Query{}, 64)
		for _, e := range p.Events {
			if e.ID <= at {
				t.Fatalf("%d after %d", e.ID, at)
			}
			at = e.ID
		}
		seen += uint64(len(p.Events)) + p.Lost
		if p.More != nil && len(p.Events) == 0 {
			<-p.More
		}
	}
	telling.Wait()
	if seen != tellers*each {
		t.Errorf("%d of %d", seen, tellers*each)
	}
}

// What a resumed reader has missed is told, and what it has not is not.
func TestResume(t *testing.T) {
	l := open(t, "")
	start := l.Last()
	for i := range 3 * PerEndpoint {
		l.Tell(Event{Type: Down, Endpoint: "flaps"})
		if i == 10 {
			l.Tell(Event{Type: Down, Endpoint: "b"})
		}
	}
	l.take()
	all, _ := l.Read(Query{}, 0)
	for _, c := range []struct {
		name  string
		after uint64
		gap   bool
		lost  uint64
		n     int
	}{
		{"from its start", start, false, 3*PerEndpoint + 1 - uint64(len(all)), len(all)},
		{"from the middle", all[len(all)/2].ID, false, 0, len(all) - len(all)/2 - 1},
		{"from the end", l.Last(), false, 0, 0},
		{"from before this run", start - 1, true, 3*PerEndpoint + 1 - uint64(len(all)), len(all)},
		{"from nowhere", l.Last() + 1, true, 3*PerEndpoint + 1 - uint64(len(all)), len(all)},
	} {
		r, n, lost, gaps := l.Reader(c.after), 0, uint64(0), 0
		for {
			p := r.Next(Query{}, 100)
			n, lost = n+len(p.Events), lost+p.Lost
			if p.Gap {
				gaps++
			}
			if p.More != nil {
				break
			}
		}
		if n != c.n || lost != c.lost || (gaps == 1) != c.gap || gaps > 1 {
			t.Errorf("%s: %d events, %d lost, %d gaps; not %d, %d, %t", c.name, n, lost, gaps, c.n, c.lost, c.gap)
		}
	}
	if n, oldest := l.Waiting(Query{After: all[0].ID, Endpoint: "flaps"}); n != len(all)-1 || oldest.ID != all[1].ID {
		t.Errorf("%d wait, from %d", n, oldest.ID)
	}
}

// What was written is there after a restart, and IDs go on; a line that a crash has
// left, and others that are none, are left out.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	l, end := running(t, dir)
	l.Tell(Event{Type: Down, Endpoint: "a", Pools: []string{"eu", "us"}, Lasted: time.Second})
	l.Tell(Event{Type: Degraded, Endpoint: "a", Share: 0.2})
	end()
	before := readBefore(l)
	path := filepath.Join(dir, FileName)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("what is this\n" + `{"id":1,"at":"2026-11-21T18:00:00Z","type":"down"}` + "\n" + strings.Repeat("x", 2*maxLine) + "\n" + `{"id":99999999`)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	l, end = running(t, dir)
	l.Tell(Event{Type: Down, Endpoint: "b"})
	end()
	all, _ := l.Read(Query{}, 0)
	if len(all) != 3 || all[1].Share != 0.2 || fmt.Sprintf("%+v", all[:2]) != fmt.Sprintf("%+v", before) || all[2].ID <= before[1].ID {
		t.Fatalf("%+v\nafter %+v\n%s", all, before, said.String())
	}
	r := l.Reader(before[0].ID)
	p := r.Next(Query{}, 0+10)
	if says(p.Events) != "a degraded, b down" || p.Gap || p.Lost != 0 {
		t.Errorf("%+v", p)
	}
	l = open(t, dir)
	if again, _ := l.Read(Query{}, 0); says(again) != "a down, a degraded, b down" {
		t.Error(says(again))
	}
}

// readBefore is what a list has, as the next run knows it.
func readBefore(l *Log) []Event {
	all, _ := l.Read(Query{}, 0)
	for i := range all {
		all[i].Ran = 0
	}
	return all
}

// The clock may be set, forwards or back: how old an event of this run is does not
// depend on it, and one from before is as old as the run at least.
func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l, end := running(t, dir)
		l.Tell(Event{Type: Down, Endpoint: "a", At: time.Now().Add(-time.Hour)})
		l.Tell(Event{Type: Down, Endpoint: "b", At: time.Now().Add(time.Hour)})
		time.Sleep(time.Minute)
		all, _ := l.Read(Query{}, 0)
		for i := range all {
			if age := l.Age(&all[i]); age < time.Minute-time.Millisecond || age > time.Minute {
				t.Errorf("%s is %v old", all[i].Endpoint, age)
			}
		}
		end()
		l = open(t, dir)
		time.Sleep(time.Second)
		all, _ = l.Read(Query{}, 0)
		for i, want := range []time.Duration{time.Hour + time.Minute + time.Second, time.Second} {
			if age := l.Age(&all[i]).Round(time.Millisecond); age != want {
				t.Errorf("%s is %v old, not %v", all[i].Endpoint, age, want)
			}
		}
	})
}

// The file is written anew before it becomes long.
func TestAnew(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	r := l.Reader(l.Last())
	longest := 0
	for i := range 2 * (maxStale + 2*(PerEndpoint+slackPer)) / chunkLen {
		for k := range chunkLen {
			l.Tell(Event{Type: Down, Endpoint: "flaps", Reason: fmt.Sprint(i*chunkLen + k)})
		}
		l.take()
		for {
			p, err := l.writeNext(&r)
			if err != nil {
				t.Fatal(err)
			}
			if p.More != nil {
				break
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, FileName))
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, strings.Count(string(b), "\n"))
	}
	if longest > maxStale+2*(PerEndpoint+slackPer)+chunkLen || longest < maxStale {
		t.Errorf("%d lines", longest)
	}
	if _, err := os.Stat(filepath.Join(dir, FileName+".new")); err == nil {
		t.Error("what was written is still there")
	}
	if err := l.file.close(); err != nil {
		t.Fatal(err)
	}
	want := readBefore(l)
	got, _ := open(t, dir).Read(Query{}, 0)
	if len(got) < PerEndpoint || fmt.Sprint(got[len(got)-PerEndpoint:]) != fmt.Sprint(want[len(want)-PerEndpoint:]) {
		t.Errorf("%d restored of %d", len(got), len(want))
	}
	// What was before that is not there, nor what somebody saw and a crash has undone.
	l = open(t, dir)
	for after, gap := range map[uint64]bool{got[0].ID - 2: true, got[0].ID - 1: false, got[5].ID: false, l.kept: false, l.kept + 1: true} {
		if p := l.Reader(after).Next(Query{}, 1); p.Gap != gap {
			t.Errorf("after %d of %d to %d: a gap is %t", after, got[0].ID, l.kept, p.Gap)
		}
	}
	// No ID comes twice, whatever is on disk.
	if before, first := uint64(time.Now().Add(-time.Hour).UnixMicro()), open(t, "").First(); first < before {
		t.Errorf("the first ID is %d", first)
	}
}

// A disk that fails loses nothing that is remembered: it is written once it can be.
func TestFailingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l, end := running(t, dir)
		var said strings.Builder
		l.log = slog.New(slog.NewTextHandler(&said, nil))
		l.Tell(Event{Type: Down, Endpoint: "a"})
		time.Sleep(time.Second)
		synctest.Wait()
		if err := l.file.f.Close(); err != nil { // every write fails from now on
			t.Fatal(err)
		}
		l.Tell(Event{Type: Down, Endpoint: "b"})
		time.Sleep(time.Second)
		synctest.Wait()
		if n := testutil.ToFloat64(l.meters.failed); n != 1 {
			t.Errorf("%v failures", n)
		}
		l.Tell(Event{Type: Down, Endpoint: "c"})
		time.Sleep(time.Minute)
		end()
		if !strings.Contains(said.String(), "history written again") {
			t.Error(said.String())
		}
		if got, _ := open(t, dir).Read(Query{}, 0); says(got) != "a down, b down, c down" {
			t.Error(says(got))
		}
	})
}

// full is a file on a disk without room, of which half of what is written fits.
type full struct {
	*os.File
	room atomic.Bool
}

func (f *full) Write(b []byte) (int, error) {
	if f.room.Load() {
		return f.File.Write(b)
	}
	n, err := f.File.Write(b[:len(b)/2])
	return n, errors.Join(err, syscall.ENOSPC)
}

// A disk without room has no room for a second file: what could not be written goes
// behind what is there, once it can.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var said strings.Builder
		l, err := Open(Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		if err != nil {
			t.Fatal(err)
		}
		disk := &full{File: l.file.f.(*os.File)}
		disk.room.Store(true)
		l.file.f = disk
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Run(ctx) }()
		l.Tell(Event{Type: Down, Endpoint: "a"})
		time.Sleep(time.Second)
		synctest.Wait()
		disk.room.Store(false)
		if err := os.Mkdir(l.file.path+".new", 0o700); err != nil { // so that it cannot be written
			t.Fatal(err)
		}
		l.Tell(Event{Type: Down, Endpoint: "b"})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := testutil.ToFloat64(l.meters.failed); n < 4 || n > 7 {
			t.Errorf("%v failures in a minute", n)
		}
		disk.room.Store(true)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if b, err := os.ReadFile(l.file.path); err != nil || strings.Count(string(b), "\n") != 2 {
			t.Errorf("%s, %v", b, err)
		}
		if n := strings.Count(said.String(), "history not written: "); n != 1 || !strings.Contains(said.String(), "history written again") {
			t.Error(said.String())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got, _ := open(t, dir).Read(Query{}, 0); says(got) != "a down, b down" {
			t.Error(says(got))
		}
	})
}

func TestNil(t *testing.T) {
	var l *Log
	l.Tell(Event{Type: Up})
	l.PoolsOf(nil)
	if all, _ := l.Read(Query{}, 0); all != nil || l.Last() != 0 {
		t.Error("a nil log has something")
	}
}

// To tell allocates nothing of its own, but room now and then.
func TestTellCost(t *testing.T) {
	l := open(t, "")
	e := Event{Type: Down, Endpoint: "a", State: Down, Was: Up, Reason: "check web: timeout"}
	if n := testing.AllocsPerRun(1000, func() { l.Tell(e) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"id":1,"at":"2026-11-21T18:00:00Z","type":"down","endpoint":"192.0.2.1","pools":["eu"],"lasted":5}` + "\n"))
	f.Add([]byte("{\"id\":2,\"at\":\"2026-11-21T18:00:00Z\",\"type\":\"up\"}\n{\"id\":1,\"at\":\"2026-11-21T18:00:00Z\",\"type\":\"up\"}\n{\"id\":3"))
	f.Add([]byte("\n\n\x00\xff\n{}\n[]\nnull\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, dir)
		if err := l.file.close(); err != nil {
			t.Fatal(err)
		}
		all, _ := l.Read(Query{}, 0)
		for i := range all {
			if e := &all[i]; e.ID == 0 || e.Type == "" || i > 0 && e.ID <= all[i-1].ID || e.ID > l.kept {
				t.Fatalf("%+v", e)
			}
		}
		after, err := os.ReadFile(filepath.Join(dir, FileName))
		if err != nil || !strings.HasPrefix(string(after), string(b)) || len(b) > 0 && after[len(after)-1] != '\n' {
			t.Fatalf("%q of %q: %v", after, b, err)
		}
	})
}
