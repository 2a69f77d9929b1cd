package spec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// tree writes files into a directory of the test and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// loadIn loads main.yaml of dir; the error has base names.
func loadIn(t *testing.T, dir string) (*Spec, []string, string) {
	t.Helper()
	s, watch, err := Load(filepath.Join(dir, "main.yaml"), Options{Env: testEnv})
	for i, w := range watch {
		watch[i] = relative(w, dir)
	}
	if err != nil {
		var all Errors
		if !errors.As(err, &all) || s != nil {
			t.Fatalf("%T, spec %v", err, s)
		}
		return nil, watch, relative(err.Error(), dir)
	}
	return s, watch, ""
}

const (
	onePool = "pools: {eu: {endpoints: [192.0.2.10]}}\n"
	oneZone = "zones: {example.com: {nameservers: {ns1: 192.0.2.53}}}\n"
)

func TestIncludeMerges(t *testing.T) {
	dir := tree(t, map[string]string{
		"main.yaml":     "include: [conf.d/*.yaml, extra.yaml]\ndns: {ttl: 10}\n" + oneZone,
		"conf.d/b.yaml": "zones:\n  example.com:\n    services:\n      b: {pools: [eu]}\n",
		"conf.d/a.yaml": "zones:\n  example.com:\n    services:\n      a: {pools: [eu]}\n    soa: {retry: 7}\n",
		"conf.d/c.txt":  "this is: [not read\n",
		"extra.yaml":    onePool + "include: conf.d/nothing-*.yaml\ndns: {ecs: false}\nzones: {example.com: {soa: {refresh: 9}}}\n",
	})
	when := time.Unix(1_700_000_000, 0)
	for _, f := range []string{"main.yaml", "conf.d/b.yaml", "extra.yaml"} {
		if err := os.Chtimes(filepath.Join(dir, f), when, when); err != nil {
			t.Fatal(err)
		}
	}
	newest := when.Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "conf.d/a.yaml"), newest, newest); err != nil {
		t.Fatal(err)
	}
	s, watch, why := loadIn(t, dir)
	if why != "" {
		t.Fatal(why)
	}
	z := s.Zones[0]
	services := slices.Collect(z.Services.All())
	if len(services) != 2 || services[0].Label != "a" || services[1].Label != "b" || services[0].Policy != services[1].Policy {
		t.Errorf("services %+v", services)
	}
	if s.DNS.TTL != 10 || s.DNS.ECS || z.SOA.Retry != 7 || z.SOA.Refresh != 9 || z.SOA.Minimum != 10 {
		t.Errorf("%+v %+v", s.DNS, z.SOA)
	}
	if !s.Modified.Equal(newest) || z.SOA.Serial != uint32(newest.Unix()) {
		t.Errorf("modified %v, serial %d", s.Modified, z.SOA.Serial)
	}
	for i, want := range []string{"main.yaml", "conf.d/a.yaml", "conf.d/b.yaml", "extra.yaml"} {
		if s.Files[i] != filepath.Join(dir, want) {
			t.Errorf("files %v", s.Files)
		}
	}
	if file := s.Files[services[1].File]; filepath.Base(file) != "b.yaml" || services[1].Line != 4 {
		t.Errorf("service b is said to be at %s:%d", file, services[1].Line)
	}
	if want := []string{"conf.d/*.yaml", "conf.d/a.yaml", "conf.d/b.yaml", "conf.d/nothing-*.yaml", "extra.yaml", "main.yaml"}; !slices.Equal(watch, want) {
		t.Errorf("watch %v", watch)
	}
}

func TestIncludeErrors(t *testing.T) {
	chain := map[string]string{"main.yaml": "include: [f1.yaml]\n"}
	for i := 1; i <= 11; i++ {
		chain[fmt.Sprintf("f%d.yaml", i)] = fmt.Sprintf("include: [f%d.yaml]\n", i+1)
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"missing": {map[string]string{"main.yaml": "include: [no.yaml]\n"}, "main.yaml:1:11: include[0]: no.yaml: no such file"},
		"cycle": {map[string]string{
			"main.yaml": "include: [a.yaml]\n", "a.yaml": "include: [b.yaml]\n", "b.yaml": "include: [a.yaml]\n",
		}, "b.yaml:1:11: include[0]: a.yaml: files include each other: a.yaml -> b.yaml -> a.yaml"},
		"itself": {map[string]string{"main.yaml": "include: './*.yaml'\n"}, "main.yaml:1:10: include: main.yaml: files include each other: main.yaml -> main.yaml"},
		"deep":   {chain, "f10.yaml:1:11: include[0]: f11.yaml: files are included more than 10 deep"},
		"directory": {
			map[string]string{"main.yaml": "include: [conf.d]\n", "conf.d/a.yaml": oneZone},
			"main.yaml:1:11: include[0]: conf.d: a directory: name a file, or include conf.d/*.yaml",
		},
		"pattern": {map[string]string{"main.yaml": "include: ['[']\n"}, "main.yaml:1:11: include[0]: [ is not a pattern: a [ without its ]"},
		"type":    {map[string]string{"main.yaml": "include: {a: b}\n"}, "main.yaml:1:10: include: a list is expected, not a map"},
		"empty":   {map[string]string{"main.yaml": "include: [a.yaml]\n", "a.yaml": ""}, "a.yaml:1:1: the file is empty: state at least one key, or remove it"},
		"value twice": {
			map[string]string{"main.yaml": "include: [a.yaml]\ndns: {ttl: 1}\n", "a.yaml": "dns: {ttl: 1}\n"},
			"a.yaml:1:7: dns.ttl: stated twice; first at main.yaml:2:7",
		},
		"list twice": {
			map[string]string{"main.yaml": "include: [a.yaml]\ndns: {listen: ['127.0.0.1:0']}\n", "a.yaml": "dns: {listen: ['127.0.0.1:1']}\n"},
			"a.yaml:1:7: dns.listen: stated twice; first at main.yaml:2:7",
		},
		"pool twice": {
			map[string]string{"main.yaml": "include: [a.yaml]\n" + onePool, "a.yaml": onePool},
			"a.yaml:1:9: pools.eu: stated twice; first at main.yaml:2:9",
		},
		"service twice": {map[string]string{
			"main.yaml": "include: [a.yaml]\n" + onePool + "zones:\n  example.com:\n    nameservers: {ns1: 192.0.2.53}\n    services: {www: {pools: [eu]}}\n",
			"a.yaml":    "zones: {example.com: {services: {WWW: {pools: [eu]}}}}\n",
		}, "a.yaml:1:34: zones.example.com.services.WWW: stated twice; first at main.yaml:6:16"},
		"syntax in two": {
			map[string]string{"main.yaml": "include: [a.yaml]\nnode: x\n", "a.yaml": "a: b: c\n"},
			"a.yaml:1:5: syntax: mapping values are not allowed in this context",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, watch, why := loadIn(t, tree(t, c.files))
			if why != c.want {
				t.Errorf("got  %s\nwant %s", why, c.want)
			}
			if !slices.Contains(watch, "main.yaml") {
				t.Errorf("watch %v", watch)
			}
		})
	}
}

// A diamond is fine: the file at its end is read once.
func TestIncludeDiamond(t *testing.T) {
	s, _, why := loadIn(t, tree(t, map[string]string{
		"main.yaml": "include: [a.yaml, b.yaml]\n", "a.yaml": "include: [c.yaml]\n", "b.yaml": "include: [c.yaml]\n", "c.yaml": onePool + oneZone,
	}))
	if why != "" || len(s.Files) != 4 {
		t.Error(why)
	}
}

func TestLoadMissing(t *testing.T) {
	dir := t.TempDir()
	if _, watch, why := loadIn(t, dir); why != "main.yaml: no such file" || len(watch) != 1 {
		t.Error(why, watch)
	}
	if err := os.Mkdir(filepath.Join(dir, "main.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, why := loadIn(t, dir); why != "main.yaml: a directory: name a file, or include main.yaml/*.yaml" {
		t.Error(why)
	}
}

// The errors of all files come at once, sorted, and what is wrong in one place
// does not hide what is wrong in another.
func TestErrorsAtOnce(t *testing.T) {
	dir := tree(t, map[string]string{
		"main.yaml": "include: [b.yaml, a.yaml]\nlog: {level: loud, format: xml}\ndns: {ttl: -1, ttlx: 3}\n",
		"a.yaml":    "checks:\n  web: {type: http, path: x, port: 0}\npools:\n  eu: {checks: [web, wbe], endpoints: [1.2.3, 192.0.2.1, 192.0.2.1]}\n",
		"b.yaml":    "zones:\n  example.com:\n    services:\n      www: {pools: [eu, ue], steer: weigthed, answers: -1}\n",
	})
	_, _, why := loadIn(t, dir)
	want := strings.TrimSpace(`
a.yaml:2:27: checks.web.path: must begin with /: write /x
a.yaml:2:36: checks.web.port: 0 is out of range: 1 to 65535
a.yaml:4:22: pools.eu.checks[1]: unknown check "wbe"; did you mean "web"?
a.yaml:4:40: pools.eu.endpoints[0]: "1.2.3" is neither an IP address nor a host name
a.yaml:4:58: pools.eu.endpoints[2]: 192.0.2.1 is stated twice; first at a.yaml:4:47
b.yaml:2:3: zones.example.com: the key "nameservers" is missing: state it, or a file that has SOA and NS
b.yaml:4:25: zones.example.com.services.www.pools[1]: unknown pool "ue"; did you mean "eu"?
b.yaml:4:37: zones.example.com.services.www.steer: unknown filter "weigthed"; did you mean "weighted"?
b.yaml:4:56: zones.example.com.services.www.answers: -1 is out of range: 0 to 65535
main.yaml:2:14: log.level: "loud" is not one of debug, info, warn, error
main.yaml:2:28: log.format: "xml" is not one of text, json
main.yaml:3:12: dns.ttl: -1 is out of range: 0 to 604800
main.yaml:3:16: dns.ttlx: unknown key "ttlx"; did you mean "ttl"?`)
	if why != want {
		t.Errorf("got\n%s\nwant\n%s", why, want)
	}
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no permission bits")
	}
	const token = "admin: {tokens: [{name: a, secret: %s, role: viewer}]}\n"
	const secret = "checks:\n  web: {type: http, headers: {%s: %s}}\n"
	for _, c := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{oneZone, 0o644, ""},
		{oneZone, 0o600, ""},
		{oneZone, 0o646, "main.yaml: everybody can write this file: chmod o-w main.yaml"},
		{oneZone + "log: {level: loud}\n", 0o602, "main.yaml: everybody can write this file: chmod o-w main.yaml\n" +
			`main.yaml:2:14: log.level: "loud" is not one of debug, info, warn, error`},
		{fmt.Sprintf(secret, "Authorization", "Bearer x"), 0o644, "main.yaml:2:46: checks.web.headers.Authorization: a secret in a file that everybody can read: chmod o-r main.yaml, or take it from the environment: ${VAR}"},
		{fmt.Sprintf(secret, "x-api-KEY", "x"), 0o644, "main.yaml:2:42: checks.web.headers.x-api-KEY: a secret in a file that everybody can read: chmod o-r main.yaml, or take it from the environment: ${VAR}"},
		{fmt.Sprintf(secret, "Cookie", "${OPS_TOKEN:-x}"), 0o644, "main.yaml:2:39: checks.web.headers.Cookie: a secret in a file that everybody can read: chmod o-r main.yaml, or take it from the environment: ${VAR}"},
		{fmt.Sprintf(secret, "Authorization", "Bearer x"), 0o640, ""},
		{fmt.Sprintf(secret, "Authorization", "${OPS_TOKEN}"), 0o644, ""},
		{fmt.Sprintf(secret, "Authorization", "${UNSET:-}"), 0o644, ""},
		{fmt.Sprintf(secret, "Accept", "x"), 0o644, ""},
		{"dns: {cookie_secret: 00112233445566778899aabbccddeeff}\n", 0o644, "main.yaml:1:22: dns.cookie_secret: a secret in a file that everybody can read: chmod o-r main.yaml, or take it from the environment: ${VAR}"},
		{"dns: {cookie_secret: [\"${TEST_SECRET}\", e5e973e5a6b2a43f48e7dc849e37bfcf]}\n", 0o644, "main.yaml:1:41: dns.cookie_secret[1]: a secret in a file that everybody can read: chmod o-r main.yaml, or take it from the environment: ${VAR}"},
		{"dns: {cookie_secret: [\"${TEST_SECRET}\", e5e973e5a6b2a43f48e7dc849e37bfcf]}\n", 0o640, ""},
		{fmt.Sprintf(token, "0123456789abcdef"), 0o644, "main.yaml:1:36: admin.tokens[0].secret: a secret in a file that everybody can read: chmod o-r main.yaml, or take it from the environment: ${VAR}"},
		{fmt.Sprintf(token, "0123456789abcdef"), 0o640, ""},
		{fmt.Sprintf(token, "'${OPS_TOKEN}'"), 0o644, ""},
	} {
		dir := tree(t, map[string]string{"main.yaml": c.text})
		if err := os.Chmod(filepath.Join(dir, "main.yaml"), c.mode); err != nil {
			t.Fatal(err)
		}
		if _, _, why := loadIn(t, dir); why != c.want {
			t.Errorf("%v %q:\ngot  %s\nwant %s", c.mode, c.text, why, c.want)
		}
	}
}
