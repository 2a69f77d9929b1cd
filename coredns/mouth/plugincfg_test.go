package mouth

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPluginCfg builds a CoreDNS of somebody else by the words of the README: a copy
// of CoreDNS with few plugins. It takes a while, so it is made when it is asked for.
func TestPluginCfg(t *testing.T) {
	if os.Getenv("RHUMB_COREDNS") == "" {
		t.Skip("builds CoreDNS: RHUMB_COREDNS=1 asks for it")
	}
	ours, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// A release of ours, for "go get": its text comes from the clone that replaces it. All
	// else comes from where modules come from on this machine.
	release := filepath.Join(dir, "proxy", "github.com", "rhumb-dns", "rhumb", "coredns", "@v")
	if err := os.MkdirAll(release, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"list": "v0.0.0\n", "v0.0.0.info": `{"Version": "v0.0.0"}`} {
		if err := os.WriteFile(filepath.Join(release, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := append(os.Environ(), "GOFLAGS=-buildvcs=false")
	run := func(in, program string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = in
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	env = append(env, "GOPROXY=file://"+filepath.Join(dir, "proxy")+","+run(ours, "go", "env", "GOPROXY"))
	clone := filepath.Join(dir, "coredns")
	if err := os.CopyFS(clone, os.DirFS(run(ours, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/coredns/coredns"))); err != nil {
		t.Fatal(err)
	}
	run(dir, "chmod", "-R", "u+w", clone)
	cfg := filepath.Join(clone, "plugin.cfg")
	few := "bind:bind\nprometheus:metrics\nerrors:errors\nlog:log\ncache:cache\nfile:file\n"
	if err := os.WriteFile(cfg, []byte(few), 0o600); err != nil {
		t.Fatal(err)
	}
	// Sums of what our modules need, which their clone has no lines for.
	sums, err := os.ReadFile(filepath.Join(ours, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(filepath.Join(clone, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clone, "go.sum"), append(theirs, sums...), 0o600); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shell := regexp.MustCompile("(?s)~~~ sh\n(.*?)~~~").FindAllSubmatch(readme, -1)
	if len(shell) != 2 {
		t.Fatalf("the README has %d commands", len(shell))
	}
	if err := os.Symlink(filepath.Dir(ours), filepath.Join(dir, "rhumb")); err != nil {
		t.Fatal(err)
	}
	run(clone, "sh", "-ec", string(shell[1][1]))
	run(clone, "sh", "-ec", string(shell[0][1]))
	out := run(clone, "./coredns", "-plugins")
	for _, want := range []string{"gslb", "elchi", "file"} {
		if !slices.Contains(strings.Fields(out), want) {
			t.Errorf("%s is not among the plugins:\n%s", want, out)
		}
	}
	order, err := os.ReadFile(filepath.Join(clone, "core", "dnsserver", "zdirectives.go"))
	if err != nil {
		t.Fatal(err)
	}
	if g, e, f := bytes.Index(order, []byte(`"gslb"`)), bytes.Index(order, []byte(`"elchi"`)), bytes.Index(order, []byte(`"file"`)); g < 0 || g > e || e > f {
		t.Errorf("the order is not that of the README:\n%s", order)
	}
}
