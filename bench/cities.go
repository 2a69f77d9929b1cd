package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/rhumb-dns/rhumb/geo"
)

// atlasLoad is what loading a database took, in a process that does nothing else.
type atlasLoad struct {
	Took, CPU        time.Duration
	Heap, Most, Rest int
}

// benchCities measures a city database of as many networks as the large ones that
// are sold have: loading it alone, on one core, and in a whole server.
func benchCities(ctx context.Context, s *settings) ([]table, error) {
	networks := 5 * s.many
	s.progress("cities: %d networks are made", networks)
	file, made, err := citiesFile(s, networks)
	if err != nil {
		return nil, err
	}
	size := float64(file.Size())
	path := filepath.Join(s.dir, file.Name())
	t := table{
		Title: fmt.Sprintf("A city database of %d networks, %.0f MB: loading it on one core", made, size/1e6),
		Head:  []string{"what", "seconds", "CPU seconds", "MB at rest", "÷ file", "most MB", "÷ file"},
		Notes: []string{"Alone: a process that loads it, without the process as it was before. The server: from start to first answer, with a service that goes by the nearest of 8 places; memory beyond that of the same server with the country database that is built in. A file that is being read is in memory as well, until it is taken apart."},
	}
	var took, cpu, rest, most []float64
	for round := range s.rounds {
		s.progress("cities: round %d of %d, alone", round+1, s.rounds)
		l, err := s.atlasProcess(ctx, path)
		if err != nil {
			return nil, err
		}
		took, cpu = append(took, l.Took.Seconds()), append(cpu, l.CPU.Seconds())
		rest, most = append(rest, float64(l.Rest)), append(most, float64(l.Most))
	}
	over := func(v []float64, by float64, format string) string {
		w := make([]float64, len(v))
		for i := range v {
			w[i] = v[i] / by
		}
		return spreadOf(w).text(format)
	}
	t.Rows = append(t.Rows, []string{
		"alone", spreadOf(took).text("%.2f"), spreadOf(cpu).text("%.2f"),
		over(rest, 1e6, "%.0f"), over(rest, size, "%.2f"), over(most, 1e6, "%.0f"), over(most, size, "%.2f"),
	})
	row, err := s.citiesServed(ctx, path, size)
	if err != nil {
		return nil, err
	}
	t.Rows = append(t.Rows, row)
	s.progress("")
	return []table{t}, nil
}

// citiesServed is a server with the database beside one without.
func (s *settings) citiesServed(ctx context.Context, path string, size float64) ([]string, error) {
	var rest, most [2]float64
	var took, cpu float64
	for i, with := range []string{"", path} {
		p, err := startRhumb(ctx, s, wants{names: 1, steer: steerPlace, cores: s.serverCores, world: &world{path: with}})
		if err != nil {
			return nil, err
		}
		rest[i], most[i] = float64(s.settledSize(p.pid())), float64(peak(p.pid()))
		took, cpu = p.first.Seconds(), used(family(p.pid())).Total.Seconds()
		p.end()
	}
	return []string{
		"the server", fmt.Sprintf("%.2f", took), fmt.Sprintf("%.2f", cpu),
		fmt.Sprintf("%.0f", (rest[1]-rest[0])/1e6), fmt.Sprintf("%.2f", (rest[1]-rest[0])/size),
		fmt.Sprintf("%.0f", (most[1]-rest[0])/1e6), fmt.Sprintf("%.2f", (most[1]-rest[0])/size),
	}, nil
}

// atlasProcess loads a database in a process of its own, on one core.
func (s *settings) atlasProcess(ctx context.Context, path string) (*atlasLoad, error) {
	cmd := pinned(ctx, s.serverCores[:1], s.self, "atlas", path)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("atlas: %w", err)
	}
	l := &atlasLoad{}
	return l, json.Unmarshal(out, l)
}

// atlasCommand loads a database and prints what that took, as JSON.
func atlasCommand(path string) error {
	me := []int{os.Getpid()}
	// As a node does that loads.
	debug.SetGCPercent(50)
	before, base := used(me), resident(me[0])
	begin := time.Now()
	atlas := geo.New(geo.Options{})
	change, err := atlas.Prepare(geo.Config{Databases: []string{path}})
	if err != nil {
		return err
	}
	atlas.Apply(change)
	l := atlasLoad{Took: time.Since(begin), CPU: used(me).minus(before).Total, Most: peak(me[0]) - base}
	change = nil
	l.Heap = heap()
	debug.FreeOSMemory()
	l.Rest = resident(me[0]) - base
	runtime.KeepAlive(atlas)
	return json.NewEncoder(os.Stdout).Encode(l)
}

// citiesFile makes a database like those that are sold: of IPv4 mostly a /22 each,
// one in eight divided, and a fifth of IPv6, at a twentieth as many places.
func citiesFile(s *settings, networks int) (file os.FileInfo, made int, err error) {
	path := filepath.Join(s.dir, "cities.mmdb")
	r := rand.New(rand.NewPCG(5, 5))
	tree := newNetworkTree()
	places := make([]uint32, max(1, networks/20))
	countries := []string{"IE", "DE", "FR", "US", "BR", "ZA", "IN", "JP"}
	for i := range places {
		country := countries[i%len(countries)]
		places[i] = tree.value(map[string]any{
			"city":         map[string]any{"geoname_id": uint32(1_000_000 + i), "names": map[string]any{"en": fmt.Sprintf("City of %d", i)}},
			"continent":    map[string]any{"code": geo.Countries[country].Continent},
			"country":      map[string]any{"iso_code": country, "geoname_id": uint32(2963597)},
			"location":     map[string]any{"accuracy_radius": uint16(20), "latitude": r.Float64()*180 - 90, "longitude": r.Float64()*360 - 180},
			"subdivisions": []any{map[string]any{"iso_code": fmt.Sprint(i % 50)}},
		})
	}
	any4 := func() uint32 { return places[r.IntN(len(places))] }
	six := networks / 5
	for i := 0; tree.count < networks-six && i < 1<<22; i++ {
		a := netip.AddrFrom4([4]byte{byte(i >> 14), byte(i >> 6), byte(i << 2)})
		if i%8 > 0 {
			tree.put(netip.PrefixFrom(a, 22), any4())
			continue
		}
		half := a.As4()
		half[2] |= 2
		tree.put(netip.PrefixFrom(a, 23), any4())
		tree.put(netip.PrefixFrom(netip.AddrFrom4(half), 23), any4())
	}
	for i := 0; tree.count < networks; i++ {
		a := [16]byte{0x24, byte(i >> 20), byte(i >> 12), byte(i >> 4), byte(i << 4)}
		tree.put(netip.PrefixFrom(netip.AddrFrom16(a), 36), any4())
	}
	if err := os.WriteFile(path, tree.file("GeoIP2-City"), 0o600); err != nil {
		return nil, 0, err
	}
	file, err = os.Stat(path)
	return file, tree.count, err
}
