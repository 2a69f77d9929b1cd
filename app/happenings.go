package app

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/rhumb-dns/rhumb/controller"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/notify"
	"github.com/rhumb-dns/rhumb/spec"
)

// openHistory opens what happened, in memory alone without a data directory.
func (a *App) openHistory(dir string) error {
	log, err := history.Open(history.Options{Dir: dir, Logger: a.log, Registerer: a.registry})
	if err != nil {
		return fmt.Errorf("node.data_dir: %w", err)
	}
	a.history = log
	return nil
}

// newNotifier makes who tells others, and tells nobody yet.
func (a *App) newNotifier() error {
	o := notify.Options{History: a.history, Logger: a.log, Registerer: a.registry, Concerns: a.concerns}
	if a.store != nil {
		o.Keeper = keeper{a.store}
	}
	var err error
	a.notifier, err = notify.New(o)
	return err
}

func (a *App) concerns(service string) func(*history.Event) bool {
	name, err := dnswire.ParseName(service)
	if err != nil {
		return func(*history.Event) bool { return false }
	}
	return a.engine.Concerns(name)
}

// record takes down what happens until the function that is returned is called, which
// waits for the end of it.
func (a *App) record(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var recording sync.WaitGroup
	recording.Go(func() {
		if err := a.history.Run(ctx); err != nil {
			a.log.Error("history ended", "error", err)
		}
	})
	return func() {
		cancel()
		recording.Wait()
	}
}

// telling is who is told what, and who tells the node of its zones, ready to be put in force.
type telling struct {
	others *notify.Change
	edges  *controller.Change
	feeds  []*fed
}

// prepareTelling makes ready who is told what. It changes nothing.
func (a *App) prepareTelling(s *spec.Spec) (t telling, err error) {
	if t.others, err = a.notifier.Prepare(s.Notify, s.Node.Name); err != nil {
		return t, err
	}
	if t.edges, err = a.edges.Prepare(s); err != nil {
		return t, err
	}
	t.feeds, err = a.feeds.prepare(s)
	return t, err
}

// tellStart puts the first destinations in force and says that the node has started.
func (a *App) tellStart(told telling) {
	a.notifier.Apply(told.others)
	a.edges.Apply(told.edges)
	a.feeds.apply(told.feeds)
	a.history.Tell(history.Event{Type: history.NodeStarted, Reason: "version " + a.version})
}

// tellOthers puts destinations in force. Who follows, and may no longer, is let go of.
func (a *App) tellOthers(told telling, before, now *spec.Spec) {
	a.notifier.Apply(told.others)
	a.edges.Apply(told.edges)
	a.feeds.apply(told.feeds)
	if !reflect.DeepEqual(before.Admin, now.Admin) || secretOf(before) != secretOf(now) {
		a.admin.ending()
	}
}

// secretOf is what edges state; empty when none is told.
func secretOf(s *spec.Spec) string {
	if s.Controller == nil {
		return ""
	}
	return s.Controller.Secret
}

// tellReload says how a reload went.
func (a *App) tellReload(by string, err error) {
	e := history.Event{Type: history.Reloaded, Who: by}
	if err != nil {
		e.Type = history.ReloadRefused
		first, others, several := strings.Cut(err.Error(), "\n")
		e.Reason = first
		if several {
			e.Reason += fmt.Sprintf(" (and %d more)", 1+strings.Count(others, "\n"))
		}
	}
	a.history.Tell(e)
}
