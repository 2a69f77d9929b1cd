package mouth

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
)

// TestLife has a block take two things, of which the second leans on the first: it goes
// first, comes back last, and both go when the block cannot begin.
func TestLife(t *testing.T) {
	var said []string
	s := Shared[string, string]{Apply: func(thing string, wants []string) error {
		said = append(said, thing+" for "+wants[0])
		return nil
	}}
	live := func(want string, failing error) (*Life, error) {
		l := new(Life)
		begin := func() error {
			for _, thing := range []string{"site", "door"} {
				if _, err := s.Live(l, thing, want, func() (string, func(), error) {
					return thing, func() { said = append(said, "end of "+thing) }, nil
				}); err != nil {
					return err
				}
			}
			return failing
		}
		l.Attach(caddy.NewTestController("dns", ""), "x", begin)
		return l, l.start("x", begin)
	}
	now := func(want ...string) {
		t.Helper()
		if !slices.Equal(said, want) {
			t.Errorf("%q, want %q", said, want)
		}
		said = nil
	}
	old, err := live("old", nil)
	if err != nil {
		t.Fatal(err)
	}
	now("site for old", "door for old")
	if _, err := live("new", nil); err != nil {
		t.Fatal(err)
	}
	now("site for new", "door for new")
	if err := old.Reclaim(); err != nil {
		t.Error(err)
	}
	now("site for old", "door for old")
	if _, err := live("bad", errors.New("no port")); err == nil || !strings.Contains(err.Error(), "plugin/x: no port") {
		t.Error(err)
	}
	now("site for bad", "door for bad", "door for old", "site for old")
	for range 2 {
		if err := old.End(); err != nil {
			t.Error(err)
		}
	}
	now("end of door", "end of site")
}
