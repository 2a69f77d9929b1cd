package geo

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// cities is a file as large as those that are sold: 5.2 million networks, 4.2 of
// IPv4 and one of IPv6, at a quarter of a million places.
var cities = sync.OnceValue(func() []byte {
	const (
		places = 250_000
		depth4 = 22 // each /22 is a network
		depth6 = 20 // each /23 of 2000::/3 is one
		nodes  = 96 + (1<<depth4 - 1) + 2 + (1<<depth6 - 1)
	)
	r := rand.New(rand.NewPCG(5, 5))
	data := make([]byte, 0, 64<<20)
	offsets := make([]uint32, places)
	for i := range offsets {
		offsets[i] = uint32(len(data))
		data = encode(data, object{
			"city":         object{"geoname_id": 1_000_000 + i, "names": object{"en": fmt.Sprintf("City of %d", i)}},
			"continent":    object{"code": "EU"},
			"country":      object{"iso_code": "IE", "geoname_id": 2963597},
			"location":     object{"accuracy_radius": uint16(20), "latitude": r.Float64()*180 - 90, "longitude": r.Float64()*360 - 180},
			"subdivisions": []any{object{"iso_code": fmt.Sprint(i % 50)}},
		})
	}
	tree := make([]byte, 0, nodes*8)
	grow := func(left, right uint32) int {
		at := len(tree)
		tree = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(tree, left), right)
		return at / 8
	}
	end := func() uint32 { return nodes + separator + offsets[r.Uint32N(places)] }
	var branch func(depth int) uint32
	branch = func(depth int) uint32 {
		if depth == 0 {
			return end()
		}
		at := grow(0, 0)
		left := branch(depth - 1)
		right := branch(depth - 1)
		binary.BigEndian.PutUint32(tree[at*8:], left)
		binary.BigEndian.PutUint32(tree[at*8+4:], right)
		return uint32(at)
	}
	for i := range uint32(96) {
		grow(i+1, nodes)
	}
	branch(depth4)
	// 2000::/3 is left, left, right of the root: beside node 2 of the chain.
	six := branch(depth6)
	binary.BigEndian.PutUint32(tree[2*8+4:], six)
	grow(nodes, nodes) // what the count has too much
	grow(nodes, nodes)
	file := append(append(tree, make([]byte, separator)...), data...)
	file = append(file, "\xab\xcd\xefMaxMind.com"...)
	return encode(file, object{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(1_780_000_000),
		"database_type": "City", "description": object{"en": "synthetic"}, "ip_version": uint16(6),
		"languages": []any{"en"}, "node_count": nodes, "record_size": uint16(32),
	})
})

var city = sync.OnceValue(func() *View {
	l, _, err := read("cities", cities())
	if err != nil {
		panic(err)
	}
	return finished(l, &Config{})
})

var country1 = sync.OnceValue(func() *View {
	l, _, err := builtIn()
	if err != nil {
		panic(err)
	}
	return finished(l, &Config{})
})

// BenchmarkLoadCity is what loading costs on one core, and what it leaves behind.
func BenchmarkLoadCity(b *testing.B) { benchmarkLoad(b, cities()) }

func benchmarkLoad(b *testing.B, file []byte) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var v *View
	var l *layer
	for b.Loop() {
		v = nil
		var err error
		if l, _, err = read("cities", file); err != nil {
			b.Fatal(err)
		}
		v = finished(l, &Config{})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(len(v.v4.starts)+len(v.v6.starts)), "ranges")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(file)), "memory/file")
	b.ReportMetric(float64(len(file))/1e6, "file-MB")
	runtime.KeepAlive(l)
}

func BenchmarkLoadBuiltIn(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		l, _, err := unpack()
		if err != nil {
			b.Fatal(err)
		}
		finished(l, &Config{})
	}
}

// views are those to ask. The values of addresses4 and addresses6 are spread over
// all networks, so that the processor's cache is of little help.
func views(b *testing.B, run func(b *testing.B, v *View)) {
	b.Run("built-in", func(b *testing.B) { run(b, country1()) })
	b.Run("city", func(b *testing.B) { run(b, city()) })
}

const asked = 1 << 16

func BenchmarkFind4(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	addrs := make([]uint32, asked)
	for i := range addrs {
		addrs[i] = r.Uint32()
	}
	views(b, func(b *testing.B, v *View) {
		b.ReportAllocs()
		var i, sum uint32
		for b.Loop() {
			p, n := v.Find4(addrs[i%asked])
			sum += p + uint32(n)
			i++
		}
		runtime.KeepAlive(sum)
	})
}

func BenchmarkFind6(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	views(b, func(b *testing.B, v *View) {
		addrs := make([]uint64, asked)
		for i := range addrs {
			addrs[i] = v.v6.starts[r.IntN(len(v.v6.starts))] + r.Uint64N(1<<16)
		}
		b.ReportAllocs()
		b.ResetTimer()
		var i, sum uint32
		for b.Loop() {
			p, n := v.Find6(addrs[i%asked], 1)
			sum += p + uint32(n)
			i++
		}
		runtime.KeepAlive(sum)
	})
}

// BenchmarkClasses makes maps of 8 classes by country, as decisions by place are.
func BenchmarkClasses(b *testing.B) {
	views(b, func(b *testing.B, v *View) {
		class := make([]uint32, v.Places())
		for i := range class {
			class[i] = uint32(i*7919) % 8
		}
		b.Run("IPv4", func(b *testing.B) {
			for b.Loop() {
				v.v4.classes(class)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(v.v4.starts)), "ns/range")
		})
		b.Run("both", func(b *testing.B) {
			for b.Loop() {
				v.Classes(class)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(v.v4.starts)+len(v.v6.starts)), "ns/range")
		})
	})
}
