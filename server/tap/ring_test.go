package tap

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
)

// put puts a record in that says who wrote it and which one it is, and fills it
// with a byte of that.
func put(r *ring, who, nth uint32, size int) drop {
	b, p, why := r.claim(size)
	if why != noDrop {
		return why
	}
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = binary.BigEndian.AppendUint32(b, who)
	b = binary.BigEndian.AppendUint32(b, nth)
	for len(b) < size {
		b = append(b, byte(nth))
	}
	r.publish(p, len(b), 1)
	return noDrop
}

// reader checks records: whole, and of each producer in order.
type reader struct {
	last map[uint32]uint32
	n    int
}

func (c *reader) read(t *testing.T, b []byte, frames int) {
	t.Helper()
	for ; len(b) > 0; frames-- {
		size, who, nth := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
		for _, v := range b[12:size] {
			if v != byte(nth) {
				t.Fatalf("record %d of %d has a byte %d", nth, who, v)
			}
		}
		if last, ok := c.last[who]; ok && nth <= last {
			t.Fatalf("record %d of %d behind %d", nth, who, last)
		}
		c.last[who] = nth
		c.n++
		b = b[size:]
	}
	if frames != 0 {
		t.Fatalf("%d frames too many", frames)
	}
}

func TestRingProducers(t *testing.T) {
	const producers, each = 4, 5000
	var count tally
	r := newRing(MinBuffer, &count)
	r.open()
	var all sync.WaitGroup
	for who := range uint32(producers) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(who)))
			for nth := range uint32(each) {
				size := 12 + random.IntN(300)
				if random.IntN(100) == 0 {
					size = 12 + random.IntN(130_000)
				}
				if why := put(r, who, nth, size); why != noDrop {
					count[why].Add(1)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	seen := reader{last: map[uint32]uint32{}}
	out := make([]byte, 0, bundle)
	for ended := false; ; {
		select {
		case <-done:
			ended = true
		default:
		}
		b, frames := r.take(out)
		seen.read(t, b, frames)
		if ended && len(b) == 0 {
			break
		}
	}
	if full := int(count[dropFull].Load()); seen.n+full != producers*each || seen.n == 0 {
		t.Errorf("%d records came and %d were dropped, of %d", seen.n, full, producers*each)
	}
}

// TestRingLargest puts records of the largest size in at every place.
func TestRingLargest(t *testing.T) {
	x := ordinary()
	x.Query, x.Answer = make([]byte, 65535), make([]byte, 65535)
	about := aboutNode(string(make([]byte, 255)), string(make([]byte, 255)))
	largest := frameOf(x, false).whole(about) + frameOf(x, true).whole(about)
	if largest > bundle {
		t.Fatalf("%d bytes do not fit into a bundle", largest)
	}
	r := newRing(MinBuffer, &tally{})
	r.open()
	seen := reader{last: map[uint32]uint32{}}
	out := make([]byte, 0, bundle)
	nth := uint32(0)
	for at := range 600 {
		for _, size := range []int{12 + at, largest, largest} {
			nth++
			if why := put(r, 0, nth, size); why != noDrop {
				t.Fatalf("a record of %d bytes was refused by a ring that is nearly empty: %d", size, why)
			}
		}
		for n := 1; n > 0; {
			var b []byte
			b, n = r.take(out)
			seen.read(t, b, n)
		}
	}
	if seen.n != int(nth) {
		t.Errorf("%d records of %d", seen.n, nth)
	}
}

func TestRingCloses(t *testing.T) {
	var count tally
	r := newRing(MinBuffer, &count)
	if why := put(r, 0, 0, 20); why != dropAway {
		t.Errorf("a new ring: %d", why)
	}
	r.open()
	for nth := range uint32(10) {
		if why := put(r, 0, nth, 20); why != noDrop {
			t.Fatal(why)
		}
	}
	_, p, _ := r.claim(8) // by a producer that has not written yet
	r.close()
	if why := put(r, 0, 10, 20); why != dropAway {
		t.Errorf("a closed ring: %d", why)
	}
	if r.discard(dropAway) {
		t.Error("empty, although a record is being written")
	}
	r.publish(p, 8, 1)
	if !r.discard(dropAway) || count[dropAway].Load() != 11 {
		t.Errorf("%d dropped, want 11", count[dropAway].Load())
	}
	r.open()
	seen := reader{last: map[uint32]uint32{}}
	for nth := range uint32(50_000) { // many rounds, over what discard left
		if why := put(r, 0, nth, 20); why != noDrop {
			t.Fatal(why)
		}
		b, n := r.take(make([]byte, 0, 64))
		seen.read(t, b, n)
	}
}
