package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// timed is a query that was answered: when it was due, and how long that took.
type timed struct {
	At   time.Time
	Took time.Duration
}

func writeTrace(path string, start time.Time, trace [][2]int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, t := range trace {
		t[0] += start.UnixNano()
		_ = binary.Write(w, binary.LittleEndian, t[:])
	}
	return errors.Join(w.Flush(), f.Close())
}

func readTrace(path string) ([]timed, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReader(f)
	var all []timed
	for {
		var b [16]byte
		if _, err := io.ReadFull(r, b[:]); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("trace: %w", err)
		}
		all = append(all, timed{
			At:   time.Unix(0, int64(binary.LittleEndian.Uint64(b[:]))),
			Took: time.Duration(binary.LittleEndian.Uint64(b[8:])),
		})
	}
}

// between are the latencies of what was due from one time to another.
func between(trace []timed, from, to time.Time) percentiles {
	var h histogram
	for _, t := range trace {
		if !t.At.Before(from) && t.At.Before(to) {
			h.add(t.Took)
		}
	}
	return h.percentiles()
}
