package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/app"
)

// victim is the variable with which the test binary is a node that is killed.
const victim = "RHUMB_TEST_VICTIM"

// TestVictim is the node of TestHistoryOverKill, and no test.
func TestVictim(t *testing.T) {
	config := os.Getenv(victim)
	if config == "" {
		t.Skip("of another test")
	}
	a, err := app.New(app.Options{Config: config, LogWriter: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-a.Started()
		fmt.Println("admin " + a.AdminAddr().String())
	}()
	if err := a.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A webhook is told what the endpoints of a node do, over the death of the node,
// and the history has it all.
func TestHistoryOverKill(t *testing.T) {
	endpoint, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close()
	told := make(chan api.Event, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var b struct{ Data struct{ Events []api.Event } }
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		for _, e := range b.Data.Events {
			told <- e
		}
	}))
	defer hook.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "rhumb.yaml")
	write(t, file, fmt.Sprintf(`node: {data_dir: %q}
dns: {listen: [127.0.0.1:0]}
admin: {listen: 127.0.0.1:0}
checks: {web: {type: tcp, port: %d, interval: 200ms, timeout: 100ms, confirm: 50ms, rise: 1, fall: 2}}
pools: {eu: {checks: [web], endpoints: [127.0.0.1]}}
zones: {a.example: {nameservers: {ns: 192.0.2.53}, services: {www: {pools: [eu]}}}}
notify: {ops: {webhook: {url: %q}, services: [www.a.example], events: [down, up, override-set]}}
`, filepath.Join(dir, "data"), endpoint.Addr().(*net.TCPAddr).Port, hook.URL))

	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$", "-test.v")
	cmd.Env = append(os.Environ(), victim+"="+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	var admin string
	for admin == "" {
		var word, value string
		if _, err := fmt.Fscanln(out, &word, &value); errors.Is(err, io.EOF) {
			t.Fatal("the node ended")
		}
		if word == "admin" {
			admin = value
		}
	}
	c, err := api.New(admin, api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	after := func(kind string) api.Event {
		t.Helper()
	again:
		select {
		case e := <-told:
			// What was on its way when the node died is delivered again.
			if seen[e.ID] {
				goto again
			}
			seen[e.ID] = true
			if e.Type != kind || e.Endpoint != "127.0.0.1" || !slices.Equal(e.Pools, []string{"eu"}) {
				t.Fatalf("%+v", e)
			}
			return e
		case <-time.After(30 * time.Second):
			t.Fatalf("nobody told of %s", kind)
			return api.Event{}
		}
	}
	addr := endpoint.Addr().String()
	if err := endpoint.Close(); err != nil {
		t.Fatal(err)
	}
	down := after("down")
	if down.Check != "web" || down.Class != "refused" || down.Was != "up" || down.Lasted == "" {
		t.Errorf("%+v", down)
	}
	no := false
	if _, err := c.SetOverride(t.Context(), "www.a.example", "127.0.0.1", api.OverrideRequest{Healthy: &no, Reason: "disk"}); err != nil {
		t.Fatal(err)
	}
	after("override-set")
	all, err := c.History(t.Context(), api.HistoryQuery{})
	if err != nil || len(all.Events) < 3 || all.Events[0].Type != "node-started" {
		t.Fatalf("%v %+v", err, all)
	}
	// On disk is what is in memory, soon.
	last := fmt.Sprintf(`{"id":%d,`, all.Events[len(all.Events)-1].ID)
	for end := time.Now().Add(30 * time.Second); ; {
		b, err := os.ReadFile(filepath.Join(dir, "data", "history.jsonl"))
		if strings.Contains(string(b), last) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v: %s", err, b)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := start(t, file)
	up := after("up")
	if up.Was != "down" || up.ID <= down.ID {
		t.Errorf("%+v after %+v", up, down)
	}
	c, err = api.New(n.AdminAddr().String(), api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.History(t.Context(), api.HistoryQuery{})
	if err != nil || len(again.Events) < len(all.Events)+2 || fmt.Sprint(again.Events[:len(all.Events)]) != fmt.Sprint(all.Events) {
		t.Fatalf("%v\n%+v\n%+v", err, all.Events, again)
	}
	if again.Events[len(all.Events)].Type != "node-started" {
		t.Errorf("%+v", again.Events[len(all.Events)])
	}
	write(t, file, "zones: 7\n")
	if n.Reload(t.Context()) == nil {
		t.Error("no error")
	}
	if bad, err := c.History(t.Context(), api.HistoryQuery{Type: "reload-refused"}); err != nil || len(bad.Events) != 1 || bad.Events[0].Reason == "" {
		t.Errorf("%v %+v", err, bad)
	}
	select {
	case e := <-told:
		if !seen[e.ID] {
			t.Errorf("told of %+v", e)
		}
	default:
	}
}
