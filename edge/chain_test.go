package edge

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/controller"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
)

// told is a handler that asks a controller, as the paths of its node do.
func told(t *testing.T, c *controller.Controller, zone dnswire.Name) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st, err := c.Ask(r.Context(), zone, nil)
		switch {
		case r.URL.Path == api.EventsPath:
			http.NotFound(w, r)
		case err != nil:
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		case r.URL.Path == api.ChangesPath && r.URL.Query().Get("since") == st.Hash:
			_, _ = w.Write([]byte(`{"unchanged":true}`))
		default:
			if err := st.WriteJSON(w, r.URL.Path == api.ChangesPath); err != nil {
				t.Error(err)
			}
		}
	})
}

// tells runs a controller of an engine's zone, and the engine, until the test ends.
func tells(t *testing.T, e *rhumb.Engine, zone dnswire.Name) *controller.Controller {
	t.Helper()
	c := controller.New(controller.Options{Engine: e})
	ch, err := c.Prepare(&spec.Spec{Controller: &spec.Controller{Secret: "my-shared-secret", Zones: []dnswire.Name{zone}}})
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(ch)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- e.Run(ctx) }()
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return c
}

// chainNames are the names that records have; those that are asked for besides are below.
var chainNames = []string{
	"a", "b", "b.a", "c.b.a", "x.y.z", "z", "*", "*.w", "w", "v.w", "*.v.w", "u.*.w", "*.z", `dot\.ted`, `sp\032ace`, `quo\"te`, `back\\slash`, "UPPER", "_srv._tcp", "xn--dmin-moa0i", "ns1", "@",
}

var chainAsked = []string{"none", "none.a", "none.w", "deep.none.w", "none.v.w", "y.z", "u.w", "none.none.z"}

// chained is a name of the zone.
func chained(label string) string {
	if label == "@" {
		return "gslb.elchi"
	}
	return label + ".gslb.elchi"
}

// someRecord is a record as somebody may state it.
func someRecord(r *rand.Rand) string {
	label := chainNames[r.IntN(len(chainNames))]
	kind := []string{"A", "A", "AAAA", "AAAA", "CNAME"}[r.IntN(5)]
	var ips []string
	for range r.IntN(4) {
		if kind == "A" {
			ips = append(ips, fmt.Sprintf(`"192.0.2.%d"`, r.IntN(9)))
		} else {
			ips = append(ips, fmt.Sprintf(`"2001:db8::%d"`, r.IntN(9)))
		}
	}
	b := fmt.Sprintf(`{"name":%q,"type":%q,"ttl":%d,"ips":[%s]`, chained(label), kind, r.IntN(4)*20, strings.Join(ips, ","))
	if r.IntN(3) == 0 {
		b += `,"enabled":false`
	}
	if r.IntN(3) == 0 || kind == "CNAME" {
		b += fmt.Sprintf(`,"failover":%q`, []string{"b.gslb.elchi", "elsewhere.test", "none.gslb.elchi", `o\.dd.test`, "q.w.gslb.elchi"}[r.IntN(5)])
	}
	return b + "}"
}

// packetOf is what an engine answers, octet by octet.
func packetOf(t *testing.T, e *rhumb.Engine, s *resolve.Scratch, question string, kind dnswire.Type) []byte {
	t.Helper()
	q := dnswire.Query{Transport: dnswire.TCP, Client: netip.MustParseAddrPort("192.0.2.77:5353")}
	q.Parse(dnswire.AppendQuery(nil, name(question), kind, netip.Prefix{}))
	return e.Snapshot().Append(nil, &q, s)
}

// An edge behind an edge answers what that one does, octet by octet, whatever the records
// are and however they came: as a snapshot, as changes or as events.
func TestChain(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chain(t, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

func chain(t *testing.T, r *rand.Rand) {
	first, o1 := fed(t, "gslb.elchi")
	second, o2 := fed(t, "gslb.elchi")
	c := tells(t, first, o1.Zone)
	text := ""
	version := 0
	state := func() {
		version++
		records := make([]string, r.IntN(30))
		for i := range records {
			records[i] = someRecord(r)
		}
		text = snapshot(fmt.Sprint(version), records...)
	}
	e1 := start(t, o1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { says(text)(w, r) }))
	e2 := start(t, o2, told(t, c, o1.Zone))
	scratch := resolve.NewScratch(1, 2)
	for round := range 40 {
		switch {
		case round == 0 || r.IntN(8) == 0:
			state()
			if err := e1.sync(t.Context()); err != nil {
				t.Logf("round %d: %v", round, err) // none of its records can be taken
				if round == 0 {
					return
				}
			}
		default:
			var records, deletes []string
			for range r.IntN(5) {
				records = append(records, someRecord(r))
			}
			for range r.IntN(4) {
				deletes = append(deletes, fmt.Sprintf(`{"name":%q,"type":%q}`, chained(chainNames[r.IntN(len(chainNames))]), []string{"A", "AAAA", "CNAME"}[r.IntN(3)]))
			}
			body := `{"records":[` + strings.Join(records, ",") + `],"deletes":[` + strings.Join(deletes, ",") + `]}`
			if w := (call{method: http.MethodPost, path: "/notify", body: body}).do(e1.Handler()); w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		pass(t, r, c, o1.Zone, e2)
		for _, label := range append(chainNames, chainAsked...) {
			for _, kind := range []dnswire.Type{dnswire.TypeA, dnswire.TypeAAAA, dnswire.TypeCNAME, dnswire.TypeTXT} {
				one, two := packetOf(t, first, scratch, chained(label), kind), packetOf(t, second, scratch, chained(label), kind)
				if !bytes.Equal(one, two) {
					t.Fatalf("round %d: %s %s: the first says\n%s\nthe second\n%s\nthe first has\n%s\nthe second\n%s", round, chained(label), kind,
						ask(t, first, chained(label)+" "+kind.String()), ask(t, second, chained(label)+" "+kind.String()),
						strings.Join(lists(e1.st), "\n"), strings.Join(lists(e2.st), "\n"))
				}
			}
		}
	}
}

// pass has an edge take what a controller says now: by events, or by a question.
func pass(t *testing.T, r *rand.Rand, c *controller.Controller, zone dnswire.Name, e *Edge) {
	t.Helper()
	st, err := c.Ask(t.Context(), zone, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Follow(zone, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, steps, ok, _ := f.Since(e.version()); ok && r.IntN(2) == 0 {
		for _, s := range steps {
			if err := e.event(api.EventChange, s.JSON()); err != nil {
				t.Fatal(err)
			}
		}
	} else if err := e.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e.version() != st.Hash {
		t.Fatalf("the version is %s, and %s is told", e.version(), st.Hash)
	}
}
