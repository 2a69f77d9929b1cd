package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/audit"
)

// What operators said, and what is written of it, is there after a restart.
func TestWordsOverRestart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rhumb.yaml")
	config := `node: {data_dir: ` + filepath.Join(dir, "data") + `}
dns: {listen: [127.0.0.1:0]}
admin: {listen: 127.0.0.1:0}
pools: {eu: {endpoints: [192.0.2.1, 192.0.2.2]}}
zones: {a.example: {nameservers: {ns: 192.0.2.53}, services: {www: {pools: [eu]}}}}
`
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := func(do func(c *api.Client)) {
		t.Helper()
		a, err := New(Options{Config: file, LogWriter: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		case <-a.Started():
		}
		c, err := api.New(a.AdminAddr().String(), api.Options{})
		if err != nil {
			t.Fatal(err)
		}
		do(c)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	down := false
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	var id string
	serve(func(c *api.Client) {
		if _, err := c.SetOverride(t.Context(), "www.a.example", "192.0.2.1", api.OverrideRequest{Healthy: &down, Reason: "disk", Until: until.Format(time.RFC3339)}); err != nil {
			t.Fatal(err)
		}
		m, err := c.AddMaintenance(t.Context(), api.MaintenanceRequest{Select: api.Selection{Endpoints: []string{"192.0.2.2"}}, For: "1h", Reason: "power"})
		if err != nil {
			t.Fatal(err)
		}
		id = m.ID
	})
	serve(func(c *api.Client) {
		all, err := c.Servers(t.Context(), api.ServersQuery{Service: "www.a.example", State: "down"})
		if err != nil || all.Total != 2 || !all.Servers[0].Overrides[0].Until.Equal(until) || all.Servers[1].Authority != "maintenance" {
			t.Errorf("%v: %+v", err, all)
		}
		if err := c.CancelMaintenance(t.Context(), id, api.Because{Reason: "done"}); err != nil {
			t.Error(err)
		}
		log, err := c.Audit(t.Context(), api.AuditQuery{})
		if err != nil || log.Entries[0].What != audit.OverrideSet || log.Entries[0].ID != 1 || log.Entries[len(log.Entries)-1].Why != "done" {
			t.Errorf("%v: %+v", err, log)
		}
	})
	b, err := os.ReadFile(filepath.Join(dir, "data", audit.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var e audit.Entry
		if err := json.Unmarshal(line, &e); err != nil || e.Who == "" || e.What == "" {
			t.Errorf("%v: %s", err, line)
		}
	}
	if n := strings.Count(string(b), "maintenance began"); n != 1 {
		t.Errorf("it began %d times:\n%s", n, b)
	}

	// Of a store that is damaged the rest is there: the node answers, and says so.
	if err := os.Truncate(filepath.Join(dir, "data", "rhumb.db"), 20_000); err != nil {
		t.Fatal(err)
	}
	serve(func(c *api.Client) {
		st, err := c.Status(t.Context())
		if err != nil || len(st.Warnings) == 0 || !strings.HasPrefix(st.Warnings[0], "node.data_dir: the store was damaged (") {
			t.Errorf("%v: warnings %q", err, st.Warnings)
		}
		if log, err := c.Audit(t.Context(), api.AuditQuery{}); err != nil || len(log.Entries) == 0 || log.Entries[0].ID != 1 {
			t.Errorf("%v: the audit log is %+v", err, log)
		}
	})
	if _, err := os.Stat(filepath.Join(dir, "data", "rhumb.db.damaged")); err != nil {
		t.Error(err)
	}
}
