//go:build unix

package edge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// BenchmarkSnapshot takes a million records. How long encoding/json needs for the same
// text, token by token and record by record, and without making anything of it, is
// beside it.
func BenchmarkSnapshot(b *testing.B) {
	text := many(1_000_000)
	for _, way := range []struct {
		name string
		do   func() error
	}{
		{"take", func() error { _, err := gather(bytes.NewReader(text), gatherWith("gslb.example")); return err }},
		{"decode", func() error {
			d := newDecoder(bytes.NewReader(text))
			d.record = func(*item) error { return nil }
			_, err := d.decode()
			return err
		}},
		{"encoding-json-records", func() error { return byRecords(text) }},
		{"encoding-json-tokens", func() error { return byTokens(text) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			before := spent(b)
			for b.Loop() {
				if err := way.do(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((spent(b)-before).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}

// spent is how much of a processor the process has had.
func spent(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func byRecords(text []byte) error {
	d := json.NewDecoder(bufio.NewReader(bytes.NewReader(text)))
	for range 7 { // up to the list of records
		if _, err := d.Token(); err != nil {
			return err
		}
	}
	for d.More() {
		var r api.Record
		if err := d.Decode(&r); err != nil {
			return err
		}
	}
	return nil
}

func byTokens(text []byte) error {
	d := json.NewDecoder(bufio.NewReader(bytes.NewReader(text)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// BenchmarkChange changes one record of a million.
func BenchmarkChange(b *testing.B) {
	t, err := gather(bytes.NewReader(many(1_000_000)), gatherWith("gslb.example"))
	if err != nil {
		b.Fatal(err)
	}
	t.st.data.Owned(name("gslb.example"))
	i := byte(0)
	for b.Loop() {
		i++
		c, err := t.st.change([]op{{name: name("service-0500000.gslb.example"), kind: kindA, record: record{form: addressed, ttl: 60, data: []byte{192, 0, 2, i}}}}, DefaultMaxRecords)
		if err != nil || c.updated != 1 {
			b.Fatal(c, err)
		}
		c.done()
	}
	runtime.KeepAlive(t)
}
