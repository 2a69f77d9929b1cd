package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The reference is made from the code; go test ./spec -run TestReference -update writes it.
func TestReference(t *testing.T) {
	golden(t, "../docs/configuration.md", Reference())
}

// snippets are the YAML blocks of a Markdown text.
func snippets(md string) []string {
	var out []string
	for i, part := range strings.Split(md, "```") {
		if yaml, ok := strings.CutPrefix(part, "yaml\n"); ok && i%2 == 1 {
			out = append(out, yaml)
		}
	}
	return out
}

func TestReferenceExamplesLoad(t *testing.T) {
	all := snippets(Reference())
	if len(all) < 8 {
		t.Fatalf("%d examples", len(all))
	}
	for i, s := range all {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("example-%d.yaml", i))
		if err := os.WriteFile(file, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Load(file, Options{Env: testEnv}); err != nil {
			t.Errorf("%v\n%s", err, s)
		}
	}
}

// Every key of the tables is known to the decoder as the tables have it: a
// value of a kind that no key takes is refused at every key, by that key's path.
func TestReferenceKeysAreDecoded(t *testing.T) {
	at := map[*section]string{
		&nodeSection: "node", &dnsSection: "dns", &ecsSection: "dns.ecs", &chaosSection: "dns.chaos", &tcpSection: "dns.tcp", &tlsSection: "dns.tls", &proxySection: "dns.proxy_protocol",
		&dnstapSection:    "dns.dnstap",
		&udpSection:       "dns.udp",
		&rateLimitSection: "dns.rate_limit",
		&accessSection:    "dns.access",
		&adminSection:     "admin", &logSection: "log", &healthSection: "health", &geoSection: "geo", &regionSection: "geo.regions.x", &adminTLSSection: "admin.tls", &tokenSection: "admin.tokens[0]",
		&checkDefaultsSection: "check_defaults", &atLeastSection: "checks.x.at_least", &useSection: "pools.x.checks[0]",
		&checkSection: "checks.x", &basicSection: "checks.x.basic", &poolSection: "pools.x", &placeSection: "pools.x.place",
		&endpointSection: "pools.x.endpoints[0]", &dampingSection: "pools.x.damping",
		&zoneSection: "zones.x", &soaSection: "zones.x.soa", &serviceSection: "zones.x.services.x",
		&memberSection: "zones.x.services.x.pools[0]", &svcbSection: "zones.x.services.x.https", &srvSection: "zones.x.services.x.srv",
		&fenceSection: "policies.x[0].geofence", &nearestSection: "policies.x[0].nearest", &latencySection: "policies.x[0].latency",
		&tierSection: "policies.x[0].tier", &scheduleSection: "policies.x[0].schedule[0]",
	}
	at[&notifySection], at[&webhookSection], at[&notifierSection] = "notify.x", "notify.x.webhook", "notify.x.script"
	at[&sourcesSection], at[&fromControllerSection] = "sources[0]", "sources[0].controller"
	at[&controllerSection], at[&edgeSection] = "controller", "controller.edges[0]"
	types := map[*section]string{&checkSection: "https", &basicSection: "https", &atLeastSection: "calculated"}
	for _, k := range checkKinds {
		at[k.section], types[k.section] = "checks.x", string(k.types[len(k.types)-1])
	}
	for _, s := range sections {
		if s == &includeSection {
			continue // only Load reads files: TestDialectStatement
		}
		for _, f := range s.fields {
			where, path := at[s], at[s]+"."+f.name
			if s == &topSection {
				where, path = "", f.name
			}
			// [[]] is a list whose item is no text: right for nothing.
			doc := f.name + ": [[]]"
			for keys := strings.Split(where, "."); where != "" && len(keys) > 0; keys = keys[:len(keys)-1] {
				key := keys[len(keys)-1]
				if list, ok := strings.CutSuffix(key, "[0]"); ok {
					doc = list + ": [{" + doc + "}]"
				} else {
					doc = key + ": {" + doc + "}"
				}
				if key == "x" && keys[0] == "checks" && f.name != "type" {
					doc = strings.Replace(doc, "x: {", "x: {type: "+types[s]+", ", 1)
				}
			}
			_, err := parse("x.yaml", []byte(doc), testEnv)
			if err == nil || !strings.Contains(err.Error(), ": "+path) {
				t.Errorf("%s: the decoder says %v", doc, err)
			}
		}
	}
}

func TestExamples(t *testing.T) {
	files, _ := filepath.Glob("../examples/*.yaml")
	deeper, _ := filepath.Glob("../examples/*/rhumb.yaml")
	if files = append(files, deeper...); len(files) < 6 || len(deeper) == 0 {
		t.Fatal(files)
	}
	for _, file := range files {
		s, _, err := Load(file, Options{Env: func(string) (string, bool) { return "", false }})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, w := range s.Warnings {
			if w.Path != "node.data_dir" {
				t.Errorf("%v", w)
			}
		}
		// An example must not listen beyond the machine it is tried on.
		for _, l := range s.DNS.Listen {
			if !l.Addr().IsLoopback() {
				t.Errorf("%s listens on %v", file, l)
			}
		}
	}
	full, err := os.ReadFile("../examples/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sections {
		for _, f := range s.fields {
			if !f.later && !strings.Contains(string(full), f.name+":") {
				t.Errorf("examples/full.yaml does not show %s", f.name)
			}
		}
	}
}
