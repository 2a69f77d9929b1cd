package tap

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// A ring is a queue of records in one piece of memory. Any number of goroutines
// put records in, one takes them out, and none ever waits for another: a record
// that does not fit is refused.
//
// A producer claims the place of its record by moving tail, writes the record,
// and publishes it by writing its header. The consumer reads headers from head
// on, stops at one that is not there yet, and leaves zeros behind, so that the
// memory of a place that has been claimed says "not there yet". Records are in
// one piece: what is left before the end of the memory, when it is too little, is
// filled with one that is to be skipped. (Agrona's ManyToOneRingBuffer is the
// model.)
type ring struct {
	words []atomic.Uint64 // the memory as headers, which are aligned
	bytes []byte          // the same memory
	mask  uint64          // len(bytes)-1
	tally *tally          // where drops are counted

	// Producers and consumer write different cache lines.
	_    [64]byte
	tail atomic.Uint64 // bytes claimed since the beginning, and closed
	_    [56]byte
	head atomic.Uint64 // bytes taken
	_    [56]byte
}

// closed is the bit of ring.tail that refuses every record. It is in the same
// word so that after it has been set nothing more comes in.
const closed = 1 << 63

// header is what stands before a record: how many bytes it has, how many it
// takes in the ring with its header, a multiple of 8, and how many frames it is.
// It is never zero.
type header uint64

const headerSize = 8

func makeHeader(size, takes, frames int) header {
	return header(uint64(size) | uint64(takes)<<28 | uint64(frames)<<56)
}

func (h header) size() int   { return int(h & (1<<28 - 1)) }
func (h header) takes() int  { return int(h >> 28 & (1<<28 - 1)) }
func (h header) frames() int { return int(h >> 56) }

// newRing makes a ring of at least size bytes, which is closed.
func newRing(size int, t *tally) *ring {
	n := 1 << bits.Len(uint(size-1)) // a place is then cheap to find
	r := &ring{words: make([]atomic.Uint64, n/headerSize), mask: uint64(n - 1), tally: t}
	r.bytes = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(r.words))), n)
	r.tail.Store(closed)
	return r
}

// place is where a record is to be written.
type place struct {
	at    uint64 // of its header
	takes int
}

// claim finds a place for a record of size bytes. It returns its memory, empty
// and with that capacity, or why there is none. The record is in when publish is
// called, which must follow.
func (r *ring) claim(size int) (mem []byte, p place, why drop) {
	takes := (headerSize + size + headerSize - 1) &^ (headerSize - 1)
	for {
		// In this order head is never beyond tail.
		head := r.head.Load()
		tail := r.tail.Load()
		if tail&closed != 0 {
			return nil, place{}, dropAway
		}
		i, skip := tail&r.mask, uint64(0)
		if left := uint64(len(r.bytes)) - i; left < uint64(takes) {
			skip = left
		}
		if tail+skip+uint64(takes)-head > uint64(len(r.bytes)) {
			if r.head.Load() != head {
				continue // there is more room by now
			}
			return nil, place{}, dropFull
		}
		if !r.tail.CompareAndSwap(tail, tail+skip+uint64(takes)) {
			continue // another producer was faster
		}
		if skip > 0 {
			r.words[i/headerSize].Store(uint64(makeHeader(0, int(skip), 0)))
			i = 0
		}
		begin := int(i) + headerSize
		return r.bytes[begin : begin : begin+size], place{at: i, takes: takes}, noDrop
	}
}

// publish hands the size bytes that were written to p, which are so many frames,
// to the consumer.
func (r *ring) publish(p place, size, frames int) {
	r.words[p.at/headerSize].Store(uint64(makeHeader(size, p.takes, frames)))
}

// take appends to dst, within its capacity, the records that are there. It
// returns how many frames they are. It is for one goroutine at a time, as discard
// is.
func (r *ring) take(dst []byte) (out []byte, frames int) {
	head := r.head.Load()
	begin := head
	tail := r.tail.Load() &^ closed
	for head != tail {
		i := head & r.mask
		h := header(r.words[i/headerSize].Load())
		if h == 0 || len(dst)+h.size() > cap(dst) {
			break
		}
		dst = append(dst, r.bytes[i+headerSize:][:h.size()]...)
		frames += h.frames()
		clear(r.words[i/headerSize:][:h.takes()/headerSize])
		head += uint64(h.takes())
	}
	if head != begin {
		r.head.Store(head)
	}
	return dst, frames
}

// discard takes out the records that are there and counts them as dropped. It is
// true when the ring is empty, which it then stays while it is closed.
func (r *ring) discard(why drop) bool {
	head := r.head.Load()
	tail := r.tail.Load() &^ closed
	for head != tail {
		i := head & r.mask
		h := header(r.words[i/headerSize].Load())
		if h == 0 {
			break
		}
		r.tally[why].Add(uint64(h.frames()))
		clear(r.words[i/headerSize:][:h.takes()/headerSize])
		head += uint64(h.takes())
	}
	r.head.Store(head)
	return head == tail
}

func (r *ring) open()        { r.tail.And(^uint64(closed)) }
func (r *ring) close()       { r.tail.Or(closed) }
func (r *ring) closed() bool { return r.tail.Load()&closed != 0 }
