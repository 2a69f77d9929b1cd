package simulate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/simulate/capture"
)

// packed are the first bytes of files that are to be unpacked first: of gzip, zstd
// and xz.
var packed = []string{"\x1f\x8b", "\x28\xb5\x2f\xfd", "\xfd7zXZ"}

// Clients reads a file that says who asks, of whatever kind it is: see Prefixes
// and Recorded.
func Clients(name string, r io.Reader, seed uint64, worlds ...*World) (*Mix, error) {
	in := bufio.NewReader(r)
	head, err := in.Peek(capture.MagicLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if slices.ContainsFunc(packed, func(p string) bool { return strings.HasPrefix(string(head), p) }) {
		return nil, fmt.Errorf("%s: it is compressed: unpack it first", name)
	}
	if capture.Detect(head) == capture.Unknown {
		return Prefixes(name, in, seed)
	}
	return Recorded(name, in, worlds...)
}

// ParseServices reads names of services.
func ParseServices(texts []string) ([]dnswire.Name, error) {
	var names []dnswire.Name
	for _, text := range texts {
		name, err := dnswire.ParseName(text)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// ParseTypes reads types that services answer from their endpoints; "both" is A
// and AAAA.
func ParseTypes(texts []string) ([]dnswire.Type, error) {
	var types []dnswire.Type
	for _, text := range texts {
		if strings.EqualFold(text, "both") {
			types = append(types, dnswire.TypeA, dnswire.TypeAAAA)
			continue
		}
		t, err := dnswire.ParseType(strings.ToUpper(text))
		if err != nil || !slices.Contains(steered, t) {
			return nil, fmt.Errorf("%q: A, AAAA, both, HTTPS, SVCB or SRV is expected", text)
		}
		types = append(types, t)
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}

// steered are the types that are answered from endpoints.
var steered = []dnswire.Type{dnswire.TypeA, dnswire.TypeAAAA, dnswire.TypeHTTPS, dnswire.TypeSVCB, dnswire.TypeSRV}

// Live is what a node knows of endpoints now. One that is judged in several ways
// counts by its worst state, and by its longest latency.
func Live(all *api.Servers) Facts {
	worst := []string{"up", "unknown", "down"}
	f := Facts{States: map[string]string{}, Latency: map[string]time.Duration{}, Load: map[string]float64{}}
	for _, s := range all.Servers {
		if slices.Index(worst, s.State) >= slices.Index(worst, f.States[s.Address]) {
			f.States[s.Address] = s.State
		}
		if d := time.Duration(s.ConnectMS * float64(time.Millisecond)); d > f.Latency[s.Address] {
			f.Latency[s.Address] = d
		}
		if s.Load != nil {
			f.Load[s.Address] = *s.Load
		}
	}
	return f
}
