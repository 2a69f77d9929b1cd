package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/watch"
)

// patience is for how long a test waits for an event that must come. Polling
// must not be what finds it.
const patience = watch.PollTime * 2 / 3

// minimal is a configuration whose pool has the given endpoint.
func minimal(endpoint string) string {
	return "pools:\n  p:\n    endpoints: [" + endpoint + "]\n" +
		"zones:\n  example.com:\n    nameservers: {ns1.example.net.: []}\n    services:\n      www: {pools: [p]}\n"
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// watcher is a File that is watched, and loaded anew at each change, as the
// process does.
type watcher struct {
	*File
	t      *testing.T
	loaded chan loaded
	stop   func()
}

type loaded struct {
	spec *spec.Spec
	err  error
}

// watching starts to watch f, which has been loaded.
func watching(t *testing.T, f *File) *watcher {
	t.Helper()
	w := &watcher{File: f, t: t, loaded: make(chan loaded, 16)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- f.Watch(ctx, func() {
			s, err := f.Load()
			w.loaded <- loaded{s, err}
		})
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

func (w *watcher) next() loaded {
	w.t.Helper()
	select {
	case l := <-w.loaded:
		return l
	case <-time.After(patience):
		w.t.Fatal("no change was seen")
		return loaded{}
	}
}

// want waits until the statement has exactly these endpoints.
func (w *watcher) want(endpoints ...string) {
	w.t.Helper()
	var got []string
	for range 4 { // a change that is made in several steps may be seen in several
		l := w.next()
		if l.err != nil {
			got = []string{l.err.Error()}
			continue
		}
		if got = endpointsOf(l.spec); slices.Equal(got, endpoints) {
			return
		}
	}
	w.t.Fatalf("endpoints %v, want %v", got, endpoints)
}

func endpointsOf(s *spec.Spec) (all []string) {
	for _, p := range s.Pools {
		for i := range p.Endpoints {
			all = append(all, p.Endpoints[i].String())
		}
	}
	slices.Sort(all)
	return all
}

func load(t *testing.T, path string) *File {
	t.Helper()
	f := NewFile(path, nil)
	if _, err := f.Load(); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "rhumb.yaml", minimal("192.0.2.1"))
	f := NewFile("rhumb.yaml", nil)
	if want := filepath.Join(dir, "rhumb.yaml"); f.Path() != want {
		t.Errorf("path %s, want %s", f.Path(), want)
	}
	s, err := f.Load()
	if err != nil || !slices.Equal(endpointsOf(s), []string{"192.0.2.1"}) {
		t.Fatalf("%v %v", s, err)
	}
	write(t, "rhumb.yaml", "pools: 1")
	var errs spec.Errors
	if s, err := f.Load(); !errors.As(err, &errs) || s != nil {
		t.Errorf("%v %v, want spec.Errors", s, err)
	}
}

func TestWatchInPlace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	write(t, path, minimal("192.0.2.1"))
	w := watching(t, load(t, path))
	write(t, path, minimal("192.0.2.22"))
	w.want("192.0.2.22")
	// A mistake, and its end.
	write(t, path, "pools: 1")
	if l := w.next(); l.err == nil {
		t.Error("a bad file is no error")
	}
	write(t, path, minimal("192.0.2.33"))
	w.want("192.0.2.33")
}

func TestWatchRenameOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "rhumb.yaml")
	write(t, path, minimal("192.0.2.1"))
	w := watching(t, load(t, path))
	for _, e := range []string{"192.0.2.2", "192.0.2.3"} { // the second is on a file that was never watched
		next := filepath.Join(dir, ".rhumb.yaml.new")
		write(t, next, minimal(e))
		do(t, os.Rename(next, path))
		w.want(e)
	}
}

// A ConfigMap: the files are links into ..data, which is a link to a directory
// with a date, and is turned by a rename.
func TestWatchConfigMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := func(name, endpoint string) {
		do(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		write(t, filepath.Join(dir, name, "rhumb.yaml"), minimal(endpoint))
	}
	turn := func(name string) {
		do(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		do(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	version("..2026_01", "192.0.2.1")
	turn("..2026_01")
	path := filepath.Join(dir, "rhumb.yaml")
	do(t, os.Symlink(filepath.Join("..data", "rhumb.yaml"), path))
	w := watching(t, load(t, path))
	version("..2026_02", "192.0.2.2")
	turn("..2026_02")
	do(t, os.RemoveAll(filepath.Join(dir, "..2026_01")))
	w.want("192.0.2.2")
	version("..2026_03", "192.0.2.3")
	turn("..2026_03")
	w.want("192.0.2.3")
}

// The link that is turned is neither beside the file nor beside what it leads to.
func TestWatchLinkOnTheWay(t *testing.T) {
	t.Parallel()
	dir, etc := t.TempDir(), t.TempDir()
	for _, v := range []string{"v1", "v2"} {
		do(t, os.MkdirAll(filepath.Join(dir, "releases", v, "conf"), 0o700))
		write(t, filepath.Join(dir, "releases", v, "conf", "rhumb.yaml"), minimal("192.0.2."+v[1:]))
	}
	current := filepath.Join(dir, "current")
	do(t, os.Symlink(filepath.Join("releases", "v1"), current))
	path := filepath.Join(etc, "rhumb.yaml")
	do(t, os.Symlink(filepath.Join(current, "conf", "rhumb.yaml"), path))
	w := watching(t, load(t, path))
	do(t, os.Symlink(filepath.Join("releases", "v2"), current+".new"))
	do(t, os.Rename(current+".new", current))
	w.want("192.0.2.2")
}

func TestWatchInclude(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf.d")
	do(t, os.Mkdir(conf, 0o700))
	path := filepath.Join(dir, "rhumb.yaml")
	write(t, path, "include: [conf.d/*.yaml]\n"+minimal("192.0.2.1"))
	w := watching(t, load(t, path))
	more := func(pool, endpoint string) string { return "pools: {" + pool + ": {endpoints: [" + endpoint + "]}}\n" }

	write(t, filepath.Join(conf, "a.yaml"), more("a", "192.0.2.2"))
	w.want("192.0.2.1", "192.0.2.2")
	write(t, filepath.Join(conf, "a.yaml"), more("a", "192.0.2.22"))
	w.want("192.0.2.1", "192.0.2.22")
	write(t, filepath.Join(conf, "b.yaml"), more("b", "192.0.2.3"))
	w.want("192.0.2.1", "192.0.2.22", "192.0.2.3")
	do(t, os.Remove(filepath.Join(conf, "a.yaml")))
	w.want("192.0.2.1", "192.0.2.3")
	do(t, os.RemoveAll(conf))
	w.want("192.0.2.1")
	// The directory itself comes back, and then something is put in it.
	do(t, os.Mkdir(conf, 0o700))
	settled(t, dir)
	write(t, filepath.Join(conf, "c.yaml"), more("c", "192.0.2.4"))
	w.want("192.0.2.1", "192.0.2.4")
}

func TestWatchRemovedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	write(t, path, minimal("192.0.2.1"))
	w := watching(t, load(t, path))
	do(t, os.Remove(path))
	if l := w.next(); l.err == nil || !strings.Contains(l.err.Error(), path) {
		t.Errorf("a removed file: %v", l.err)
	}
	write(t, path, minimal("192.0.2.2"))
	w.want("192.0.2.2")
}

func TestWatchMissingAtLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, below string }{{"file", ""}, {"directory", "x"}, {"directories", "x/y/z"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), filepath.FromSlash(c.below))
			path := filepath.Join(dir, "rhumb.yaml")
			f := NewFile(path, nil)
			if _, err := f.Load(); err == nil {
				t.Fatal("loaded what is not there")
			}
			w := watching(t, f)
			settled(t, t.TempDir())
			if c.below != "" {
				do(t, os.MkdirAll(dir, 0o700))
				settled(t, t.TempDir())
			}
			write(t, path, minimal("192.0.2.1"))
			w.want("192.0.2.1")
		})
	}
}

// An included file that is missing is watched for as well.
func TestWatchMissingInclude(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "rhumb.yaml")
	write(t, path, "include: [more/a.yaml]\n"+minimal("192.0.2.1"))
	f := NewFile(path, nil)
	if _, err := f.Load(); err == nil {
		t.Fatal("a missing include is no error")
	}
	w := watching(t, f)
	settled(t, t.TempDir())
	do(t, os.Mkdir(filepath.Join(dir, "more"), 0o700))
	settled(t, t.TempDir())
	write(t, filepath.Join(dir, "more", "a.yaml"), "pools: {a: {endpoints: [192.0.2.2]}}\n")
	w.want("192.0.2.1", "192.0.2.2")
}

func TestWatchBetweenLoadAndWatch(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	write(t, path, minimal("192.0.2.1"))
	f := load(t, path)
	write(t, path, minimal("192.0.2.22"))
	w := watching(t, f)
	w.want("192.0.2.22")
}

// A change while the files are read, of which there is no earlier fingerprint.
func TestChangeDuringFirstLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, more := filepath.Join(dir, "rhumb.yaml"), filepath.Join(dir, "more.yaml")
	write(t, path, "include: [more.yaml]\n"+minimal("192.0.2.1"))
	write(t, more, "")
	begun := time.Now()
	for _, p := range []string{more, path} {
		do(t, os.Chtimes(p, begun, begun.Add(-time.Minute)))
	}
	do(t, os.Chtimes(dir, begun, begun.Add(-time.Minute)))
	if changedSince([]string{path, more}, begun) {
		t.Error("a change is seen where there was none")
	}
	do(t, os.Chtimes(more, begun, begun.Add(time.Millisecond)))
	if !changedSince([]string{path, more}, begun) {
		t.Error("a file that was written meanwhile is not seen")
	}
	do(t, os.Chtimes(more, begun, begun.Add(-time.Minute)))
	do(t, os.Chtimes(dir, begun, begun.Add(time.Millisecond)))
	if !changedSince([]string{path, more}, begun) {
		t.Error("a directory whose links were turned meanwhile is not seen")
	}
}

// A node whose configuration has just been written does not read it again for that,
// nor for what it puts beside it, its own data among that.
func TestQuietAfterStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "rhumb.yaml")
	write(t, path, "include: [\"more*.yaml\"]\n"+minimal("192.0.2.1"))
	write(t, filepath.Join(dir, "more.yaml"), "log: {level: info}\n")
	w := watching(t, load(t, path))
	do(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	settled(t, dir)
	if n := len(w.loaded); n > 0 {
		t.Errorf("%d reloads without a change", n)
	}
	write(t, filepath.Join(dir, "more2.yaml"), "pools: {b: {endpoints: [192.0.2.2]}}\n")
	w.want("192.0.2.1", "192.0.2.2")
}

func TestWatchIsQuietWithoutChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, other := filepath.Join(dir, "rhumb.yaml"), filepath.Join(dir, "other")
	write(t, path, minimal("192.0.2.1"))
	w := watching(t, load(t, path))
	// Events about other files, and about ours with nothing changed, come to
	// nothing. The change after them is one change: it comes alone, so what comes
	// before it would have come first.
	for range 3 {
		write(t, other, "x")
		now := time.Now()
		st, err := os.Stat(path)
		do(t, err)
		do(t, os.Chtimes(path, now, st.ModTime()))
		settled(t, dir)
	}
	if n := len(w.loaded); n > 0 {
		t.Errorf("%d changes were seen where there was none", n)
	}
	write(t, path, minimal("192.0.2.22"))
	w.want("192.0.2.22")
	settled(t, dir)
	if n := len(w.loaded); n > 0 {
		t.Errorf("%d more changes after one", n)
	}
}

// settled waits until watchers have looked into whatever came before: what a
// watcher of its own sees in dir has then been quiet twice.
func settled(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "beside.yaml")
	write(t, path, minimal("192.0.2.1"))
	w := watching(t, load(t, path))
	for _, e := range []string{"192.0.2.22", "192.0.2.222"} {
		write(t, path, minimal(e))
		w.want(e)
	}
	w.stop()
}

// Something that writes into the same directory without end must not hide a change.
func TestWatchBesideABusyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "rhumb.yaml")
	write(t, path, minimal("192.0.2.1"))
	w := watching(t, load(t, path))
	settled(t, dir)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		busy := time.NewTicker(watch.SettleTime / 20)
		defer busy.Stop()
		for {
			select {
			case <-stop:
				return
			case <-busy.C:
				_ = os.WriteFile(filepath.Join(dir, "log"), []byte("line\n"), 0o600)
			}
		}
	}()
	begun := time.Now()
	write(t, path, minimal("192.0.2.22"))
	w.want("192.0.2.22")
	if took := time.Since(begun); took > watch.PollTime/2 {
		t.Errorf("seen after %v", took)
	}
	close(stop)
	<-stopped
}
