package controller_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/controller"
)

// TestManyZones: an edge is told of all zones, and they can be asked for, however many
// there are.
func TestManyZones(t *testing.T) {
	const zones = 70
	w := newWebhook(t, "shared-with-edges")
	var b strings.Builder
	b.WriteString("pools:\n  a: {place: {region: r0}, endpoints: [192.0.2.1]}\nzones:\n")
	var names []string
	for i := range zones {
		names = append(names, fmt.Sprintf("z%d.test", i))
		fmt.Fprintf(&b, "  %s:\n    nameservers: {ns1.example.net.: []}\n    services: {x: {pools: [a]}}\n", names[i])
	}
	fmt.Fprintf(&b, "controller:\n  secret: shared-with-edges\n  zones: [%s]\n  edges: [{url: %q}]\n", strings.Join(names, ", "), w.URL)
	n := start(t, b.String())
	w.until("all zones", func() bool { return len(w.has) == zones })
	for _, z := range names[zones-4:] {
		if _, err := n.Ask(t.Context(), name(t, z), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Ask(t.Context(), name(t, z), []string{"r0"}); err != nil {
			t.Fatal(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.has[api.Key{Name: "x.z69.test", Type: "A"}]; line(got) != "x.z69.test A 30 192.0.2.1" {
		t.Errorf("told %s", line(got))
	}
}

// TestManyLists: so many lists of regions of a zone are in use at once and no more; who
// asks without any is not hindered, nor is who asks for another zone.
func TestManyLists(t *testing.T) {
	const regions = 8
	var b strings.Builder
	b.WriteString("pools:\n")
	for i := range regions {
		fmt.Fprintf(&b, "  p%d: {place: {region: r%d}, endpoints: [192.0.2.%d]}\n", i, i, i+1)
	}
	b.WriteString(`zones:
  gslb.test: {nameservers: {ns1.example.net.: []}, services: {x: {pools: [p0]}}}
  other.test: {nameservers: {ns1.example.net.: []}, services: {x: {pools: [p0]}}}
controller: {secret: shared-with-edges, zones: [gslb.test, other.test]}
`)
	n := start(t, b.String())
	zone := name(t, "gslb.test")
	var open []*controller.Follower
	for i := range regions {
		for j := range regions { // 64
			list := []string{fmt.Sprintf("r%d", i), fmt.Sprintf("r%d", j)}
			if i == j {
				list = list[:1]
			}
			f, err := n.Follow(zone, list)
			if err != nil {
				t.Fatalf("%v: %v", list, err)
			}
			open = append(open, f)
		}
	}
	another := []string{"r0", "r1", "r2"}
	if _, err := n.Ask(t.Context(), zone, another); !errors.Is(err, controller.ErrBusy) {
		t.Errorf("one more list: %v", err)
	}
	for what, ask := range map[string]func() (*controller.State, error){
		"a list that there is": func() (*controller.State, error) { return n.Ask(t.Context(), zone, []string{"r0", "r1"}) },
		"none":                 func() (*controller.State, error) { return n.Ask(t.Context(), zone, nil) },
		"another zone":         func() (*controller.State, error) { return n.Ask(t.Context(), name(t, "other.test"), another) },
	} {
		if _, err := ask(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, f := range open {
		f.Close()
	}
	if _, err := n.Ask(t.Context(), zone, another); err != nil {
		t.Errorf("once there is room: %v", err)
	}
}

// TestAskAlone: what is there is not computed again because somebody asks for another list
// of regions.
func TestAskAlone(t *testing.T) {
	n := start(t, fmt.Sprintf(pushed, ""))
	f, err := n.Follow(name(t, "gslb.test"), []string{"r0"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n.now("r0")
	before, _, _, _ := f.Since("")
	n.now("r1")
	if now, _, _, _ := f.Since(""); now != before {
		t.Error("another state is there of the same snapshot")
	}
}
