package spec

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
)

// byParts has zone files of any size read by parts.
func byParts(t *testing.T, from int64) {
	t.Helper()
	was := byPartsFrom
	byPartsFrom = from
	t.Cleanup(func() { byPartsFrom = was })
}

// recordsOf are all names of a zone with their record sets.
func recordsOf(d *zone.Data) string {
	var out []string
	tree := zone.NewTree([]*zone.Data{d}, 0)
	tree.Each(func(n *zone.Node) bool {
		m := tree.Match(n)
		line := dnswire.Name(tree.Text(n)).String()
		m.Each(func(s zone.Set) bool {
			line += fmt.Sprintf(" %s %x", s.Type, s.Append(nil, 0, zone.Place{Offset: dnswire.HeaderLen, Len: len(tree.Text(n))}))
			return true
		})
		out = append(out, line)
		return true
	})
	slices.Sort(out)
	return fmt.Sprintln(d.Name, d.Records, d.Serial) + strings.Join(out, "\n")
}

// TestByParts reads a zone file by parts and as a whole while it changes at
// random, with and without mistakes, and compares what comes of it.
func TestByParts(t *testing.T) {
	dir := t.TempDir()
	main, file := filepath.Join(dir, "rhumb.yaml"), filepath.Join(dir, "x.zone")
	joined, shared, told := 0, 0, 0
	for seed := range rounds(uint64(40)) {
		r := rand.New(rand.NewPCG(seed, 11))
		kept := &Kept{}
		config := "node: {data_dir: /tmp}\nzones:\n  x.test:\n    file: x.zone\n    records: [\"extra A 192.0.2.7\", \"@ TXT extra\"]\n"
		soa := "@ SOA ns h 1 2 3 4 5\n"
		if seed%2 == 0 {
			config += "    nameservers: {ns: 192.0.2.53}\n"
			soa = ""
		}
		if err := os.WriteFile(main, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		lines := []string{}
		for i := range 2000 {
			lines = append(lines, fmt.Sprintf("n%04d 60 A 192.0.2.%d", i, i%250))
		}
		for range 12 {
			for range 1 + r.IntN(3) {
				at := r.IntN(len(lines))
				switch r.IntN(12) {
				case 0:
					lines = slices.Delete(lines, at, at+1)
				case 1:
					lines = slices.Insert(lines, at, fmt.Sprintf("w%d.n%04d TXT more", r.IntN(1000), r.IntN(3000)))
				case 2:
					lines[at] = fmt.Sprintf("@ TXT apex%d", at)
				case 3:
					if r.IntN(4) == 0 {
						lines[at] = "n0007 NS"
					}
				case 4:
					lines[at] = fmt.Sprintf("n%04d A 192.0.2.%d", r.IntN(2000), at%250)
				default:
					lines[at] = fmt.Sprintf("n%04d 60 A 198.51.100.%d", 5000+r.IntN(2000), r.IntN(250))
				}
			}
			text := soa + "@ NS ns.elsewhere.example.\n" + strings.Join(lines, "\n") + "\n"
			if seed%2 == 0 {
				text = strings.Replace(text, "@ NS ns.elsewhere.example.\n", "", 1)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			byPartsFrom = 1 << 40
			want, _, wantErr := Load(main, Options{})
			byParts(t, 1000)
			got, _, gotErr := Load(main, Options{Kept: kept})
			if gotErr == nil && len(zone.NewTree([]*zone.Data{got.Zones[0].Data}, 0).Twice()) > 0 {
				// As the table finds it, and the source is told.
				kept.Whole(got.Zones[0].Name)
				told++
				got, _, gotErr = Load(main, Options{Kept: kept})
			}
			if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Fatalf("seed %d: %v\nwant %v", seed, gotErr, wantErr)
			}
			if wantErr != nil {
				for i, l := range lines {
					if l == "n0007 NS" {
						lines[i] = fmt.Sprintf("mended%d A 192.0.2.1", i)
					}
				}
				continue
			}
			a, b := got.Zones[0].Data, want.Zones[0].Data
			if recordsOf(a) != recordsOf(b) {
				t.Fatalf("seed %d: %s\nwant %s", seed, recordsOf(a), recordsOf(b))
			}
			if x, y := Errors(got.Warnings).Error(), Errors(want.Warnings).Error(); x != y {
				t.Fatalf("seed %d: warnings\n%s\nwant\n%s", seed, x, y)
			}
			if a.Joined() {
				joined++
			}
			if f := kept.parts[a.Name]; len(f.parts) > 2 {
				shared++
			}
		}
	}
	if !raced && (joined < 100 || shared < 50 || told < 5) {
		t.Errorf("%d were read by parts, %d in several, %d were found to be scattered", joined, shared, told)
	}
}

// TestByPartsAgain: a file is read as a whole while records of a name stand in
// several places, and by parts from the next reading on when they do not.
func TestByPartsAgain(t *testing.T) {
	byParts(t, 1000)
	dir := t.TempDir()
	main, file := filepath.Join(dir, "rhumb.yaml"), filepath.Join(dir, "x.zone")
	if err := os.WriteFile(main, []byte("node: {data_dir: /tmp}\nzones:\n  x.test:\n    file: x.zone\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "@ SOA ns h 1 2 3 4 5\n@ NS ns.elsewhere.example.\n"
	for i := range 3000 {
		text += fmt.Sprintf("n%d A 192.0.2.1\n", i)
	}
	kept := &Kept{}
	for i, c := range []struct {
		more   string
		joined bool
	}{
		{"", true},
		{"more A 192.0.2.1\n", true},
		{"n7 A 192.0.2.2\n@ TXT t\n", false}, // the table finds it
		{"n7 A 192.0.2.3\n@ TXT t\n", false},
		{"@ TXT t\n", false}, // and here it is seen to be good again
		{"@ TXT u\n", true},
	} {
		if err := os.WriteFile(file, []byte(text+c.more), 0o600); err != nil {
			t.Fatal(err)
		}
		s, _, err := Load(main, Options{Kept: kept})
		if err == nil && len(zone.NewTree([]*zone.Data{s.Zones[0].Data}, 0).Twice()) > 0 {
			kept.Whole(s.Zones[0].Name)
			s, _, err = Load(main, Options{Kept: kept})
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Zones[0].Data.Joined(); got != c.joined {
			t.Errorf("%d: read by parts is %t, want %t", i, got, c.joined)
		}
	}
}
