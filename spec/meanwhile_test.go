package spec

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestChangesMeanwhile loads a large file again and again while somebody writes
// to it in place: each time it is the one or the other, or it is refused, since the
// system shows zeros behind the new end of a file that is being cut short, to read(2)
// as well. In the end it is what it is.
func TestChangesMeanwhile(t *testing.T) {
	const services = 100_000
	text := million(services, oneLine)
	more := []byte("      more: {pools: [eu]}\n")
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	kept, beside := &Kept{}, 0
	loadOr := func(refused string) int {
		t.Helper()
		s, _, err := Load(path, Options{Kept: kept, Beside: func(f func()) { beside++; go f() }})
		if err != nil && refused != "" && strings.Contains(err.Error(), refused) {
			return services
		}
		if err != nil {
			t.Fatal(err)
		}
		return s.Zones[0].Services.Len()
	}
	load := func() int { t.Helper(); return loadOr("") }
	if n := load(); n != services {
		t.Fatalf("%d services", n)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			_, err := f.WriteAt(more, int64(len(text)))
			if err == nil {
				err = f.Truncate(int64(len(text)))
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 40 {
		if n := loadOr("control characters are not allowed (value: 0)"); n != services && n != services+1 {
			t.Errorf("%d services", n)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	at := int64(bytes.Index(text, []byte("n0050000")))
	if _, err := f.WriteAt([]byte("m"), at); err != nil {
		t.Fatal(err)
	}
	if n := load(); n != services {
		t.Errorf("%d services in the end", n)
	}
	s, _, err := Load(path, Options{Kept: kept})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for svc := range s.Zones[0].Services.All() {
		if svc.Label == "n0050000" {
			t.Error("a service that is gone is there")
		}
		found = found || svc.Label == "m0050000"
	}
	if !found || beside == 0 && runtime.GOOS == "linux" {
		t.Errorf("the new service is there: %t; %d times two looked", found, beside)
	}
}
