package controller_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/controller"
)

// TestAskReload: who waits for what a reload takes away is told so at once, with the
// reason.
func TestAskReload(t *testing.T) {
	const (
		pools = "pools:\n  a: {place: {region: r0}, endpoints: [192.0.2.1]}\n"
		zones = "zones:\n  gslb.test: {nameservers: {ns1.example.net.: []}, services: {x: {pools: [a]}}}\n  b.test: {nameservers: {ns1.example.net.: []}}\n"
	)
	for what, c := range map[string]struct {
		config string
		want   error
	}{
		"the section": {pools + zones, controller.ErrNoZone},
		"the zone":    {pools + zones + "controller: {secret: shared-with-edges, zones: [b.test]}\n", controller.ErrNoZone},
		"the region":  {"pools: {a: {endpoints: [192.0.2.1]}}\n" + zones + "controller: {secret: shared-with-edges, zones: [gslb.test]}\n", controller.ErrNoRegion},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine, err := rhumb.New(rhumb.Options{})
				if err != nil {
					t.Fatal(err)
				}
				n := &node{t: t, engine: engine, Controller: controller.New(controller.Options{Engine: engine})}
				n.configure(pools + zones + "controller: {secret: shared-with-edges, zones: [gslb.test, b.test]}\n")
				answered := make(chan error, 1)
				go func() {
					_, err := n.Ask(t.Context(), name(t, "gslb.test"), []string{"r0"})
					answered <- err
				}()
				synctest.Wait() // nobody computes anything here
				n.configure(c.config)
				select {
				case err := <-answered:
					if !errors.Is(err, c.want) {
						t.Errorf("%v, want %v", err, c.want)
					}
				case <-time.After(time.Minute):
					t.Error("it waits on")
				}
			})
		})
	}
}
