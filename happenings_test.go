package rhumb_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/history"
)

// An address in several pools, by checks of their own: an event is of the pools in
// which the endpoint has the checks that it is about, or of those of the service that
// it is about, and of no others.
func TestPoolsOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, err := history.Open(history.Options{})
		if err != nil {
			t.Fatal(err)
		}
		e := newEngine(t, rhumb.Options{History: log})
		commit(t, e, parse(t, `checks:
  web: {type: external}
  mail: {type: external}
pools:
  web: {checks: [web], endpoints: [192.0.2.1, 192.0.2.2]}
  also: {checks: [web], endpoints: [192.0.2.1]}
  mail: {checks: [mail], endpoints: [192.0.2.1]}
  free: {endpoints: [192.0.2.1]}
zones:
  example.com:
    nameservers: {ns: 192.0.2.53}
    services:
      www: {pools: [web]}
      all: {pools: [also, free]}
      mx: {pools: [mail]}
`))
		defer run(t, e)()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- log.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		for _, check := range []string{"web", "mail"} {
			if _, err := e.Report(health.Report{Check: check, Endpoint: "192.0.2.1", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		name, err := dnswire.ParseName("mx.example.com")
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Override(health.Overriding{Service: "mx.example.com.", Endpoint: "192.0.2.1", Reason: "disk"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // of the bubble: events are gathered
		synctest.Wait()
		all, _ := log.Read(history.Query{}, 0)
		var got []string
		for _, ev := range all {
			got = append(got, ev.Type+" by "+ev.Check+" of "+strings.Join(ev.Pools, " "))
		}
		slices.Sort(got)
		want := []string{"down by mail of mail", "down by web of also web", "override-set by  of mail"}
		if !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
		mx := e.Concerns(name)
		for _, ev := range all {
			if want := ev.Check != "web"; mx(&ev) != want {
				t.Errorf("%s by %q concerns mx: %t", ev.Type, ev.Check, !want)
			}
		}
		// The pool that it was in is gone: the address says what it is about.
		if !mx(&history.Event{Type: history.Down, Endpoint: "192.0.2.1", Pools: []string{"gone"}}) {
			t.Error("an event of a pool that is gone concerns nobody")
		}
		before := weak.Make(e.Spec())
		commit(t, e, parse(t, "pools:\n  web: {endpoints: [192.0.2.1]}\n"))
		synctest.Wait()
		runtime.GC()
		if before.Value() != nil {
			t.Error("the statement before is held on to")
		}
	})
}
