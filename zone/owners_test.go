package zone

import (
	"math/rand/v2"
	"testing"
)

// ownersAgree adds to owners and a Go map alike and compares them.
func ownersAgree(t *testing.T, presize int, added, asked [][]byte) {
	t.Helper()
	var n owners
	if presize > 0 {
		n.resize(presize)
	}
	oracle := map[string]int{}
	for _, b := range added {
		want, there := oracle[string(b)]
		i, made := n.add(b)
		if !there {
			want = len(oracle)
			oracle[string(b)] = want
		}
		if i != want || made == there {
			t.Fatalf("add %q: %d, made %t; want %d, made %t", b, i, made, want, !there)
		}
	}
	if n.len() != len(oracle) {
		t.Fatalf("%d nodes, want %d", n.len(), len(oracle))
	}
	for _, b := range append(asked, added...) {
		want, there := oracle[string(b)]
		if !there {
			want = -1
		}
		if i := n.find(b); i != want {
			t.Fatalf("find %q: %d, want %d", b, i, want)
		}
	}
	for text, i := range oracle {
		if got := string(n.text(i)); got != text {
			t.Fatalf("node %d is %q, want %q", i, got, text)
		}
	}
	if 2*n.len() > len(n.slots) && n.len() > 0 {
		t.Fatalf("%d names in %d slots: more than half full", n.len(), len(n.slots))
	}
}

// wireNames is count names of random labels over few letters, so that many are
// alike or near to each other.
func wireNames(r *rand.Rand, count int) [][]byte {
	out := make([][]byte, count)
	for i := range out {
		for range r.IntN(5) {
			l := 1 + r.IntN(3)
			if r.IntN(20) == 0 {
				l = 1 + r.IntN(40)
			}
			out[i] = append(out[i], byte(l))
			for range l {
				out[i] = append(out[i], byte('a'+r.IntN(4)))
			}
		}
		out[i] = append(out[i], 0)
	}
	return out
}

func TestOwners(t *testing.T) {
	ownersAgree(t, 0, nil, [][]byte{{0}, {1, 'a', 0}})
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		ownersAgree(t, r.IntN(3)*r.IntN(2000), wireNames(r, r.IntN(3000)), wireNames(r, 500))
	}
}

func FuzzOwners(f *testing.F) {
	f.Add([]byte{1, 'a', 0, 1, 'b', 0, 1, 'a', 0, 0}, 0)
	f.Add([]byte("\x03www\x01x\x04test\x00\x03wwx\x01x\x04test\x00"), 9)
	f.Fuzz(func(t *testing.T, b []byte, presize int) {
		// Zero octets end the names; the map does not mind what else is in them.
		var parts [][]byte
		for start, i := 0, 0; i < len(b); i++ {
			if b[i] == 0 || i-start == 254 {
				parts = append(parts, b[start:i+1])
				start = i + 1
			}
		}
		ownersAgree(t, min(max(presize, 0), 1000), parts[:len(parts)/2], parts[len(parts)/2:])
	})
}

// TestHash sees to it that names that differ in one octet, at any place, have
// hashes that differ in both of the halves that are used.
func TestHash(t *testing.T) {
	for size := 1; size < 40; size++ {
		b := make([]byte, size)
		low, high := map[uint32]bool{}, map[uint32]bool{}
		n := 0
		for i := range b {
			for c := range 26 {
				b[i] = byte('a' + c)
				h := hash(b)
				low[uint32(h)], high[uint32(h>>32)] = true, true
				n++
			}
			b[i] = 'm'
		}
		// Each octet but the first passes through its value of the one before once.
		if want := n - (size - 1); len(low) < want || len(high) < want {
			t.Errorf("%d octets: %d names, %d and %d hashes", size, n, len(low), len(high))
		}
	}
}

// TestHashSpread counts how far from their places the names of a large zone lie.
func TestHashSpread(t *testing.T) {
	var n owners
	const count = 100_000
	n.resize(count)
	for i := range count {
		b := []byte("\x08n0000000\x04gslb\x07example\x03com\x00")
		for at, v := 8, i; v > 0; at, v = at-1, v/10 {
			b[at] = byte('0' + v%10)
		}
		n.add(b)
	}
	steps := 0
	for i := range n.len() {
		for at := n.home(hash(n.text(i))); n.slots[at].node != uint32(i+1); at = n.next(at) {
			steps++
		}
	}
	// It is (1/(1-a) - 1) / 2 on average when the share a of the slots is taken
	// (Knuth, volume 3, section 6.4), and here a half is.
	if mean := float64(steps) / count; mean > 0.52 {
		t.Errorf("names lie %.2f slots from their place on average", mean)
	}
}
