package rhumb_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what comes out as what is expected")

const module = "github.com/rhumb-dns/rhumb"

// room is one row of the import table: a folder, what happens there, and what
// it may import of this module. The root package is called "rhumb".
type room struct {
	folder  string
	job     string
	imports []string
}

// rooms is the import table. A room that is not there has no work yet.
var rooms = []room{
	{"dnswire", "names, queries, EDNS: parse a query, append an answer, without allocating", nil},
	{"watch", "tells when files may have become others; reads none of them", nil},
	{"geo", "address to place: databases, operator networks, the countries of the world", []string{"geo/packed", "watch"}},
	{"geo/packed", "a country database in few bytes, the form in which one is built in", nil},
	{"geo/makedata", "makes the country database that is built in", []string{"geo/packed"}},
	{"jsonpath", "values in JSON by path (RFC 9535)", nil},
	{"lua", "runs scripts in a sandbox that bounds their time and memory; knows no network", nil},
	{"probe", "one file per check type; a probe runs once and returns a result", []string{"jsonpath", "lua", "probe/loop", "program"}},
	{"program", "runs a program in a process group of its own, within bounds", nil},
	{"probe/loop", "many TCP connections at once in one goroutine; knows no protocol", []string{"yield"}},
	{"yield", "lets go of a processor in the midst of long work; knows nothing", nil},
	{"store", "a small key-value store that survives a crash", nil},
	{"gossip", "membership and messages between nodes and agents; knows no zones", nil},
	{"api", "request and response types of the REST API and its Go client", nil},
	{"chunk", "text files in stretches of lines; tells those that were there before", nil},
	{"spec", "the desired state as people write it: decode, merge, validate", []string{"chunk", "dnswire", "geo", "history", "jsonpath", "lua", "spec/corednsgslb", "spec/document", "spec/near", "zone", "zone/text"}},
	{"spec/near", "the word that was probably meant", nil},
	{"spec/document", "reads YAML into a tree with places, and writes it; knows no DNS", nil},
	{"spec/opengslb", "reads OpenGSLB's dialect into a spec", []string{"dnswire", "spec"}},
	{"spec/corednsgslb", "CoreDNS-GSLB's files in our words, as a tree that spec decodes", []string{"lua", "spec/document", "spec/near"}},
	{"source", "who may state intent; each emits a whole spec", []string{"dnswire", "spec", "gossip", "store", "watch"}},
	{"audit", "who did what to a node, when and why: bounded files, and the last in memory", nil},
	{"history", "what happened to endpoints, pools and the node, in order: in memory, on disk, for who follows", []string{"yield"}},
	{"health", "schedule of probes, rise and fall, operators' words; an immutable view", []string{"audit", "dnswire", "history", "probe", "spec", "yield"}},
	{"hosts", "addresses of host names, resolved in the background; an immutable view", []string{"dnswire"}},
	{"conduct", "how pools and endpoints change without harm: delays, slow start, damping; an immutable view", []string{"health", "history", "spec"}},
	{"zone", "static zone data and its lookup rules", []string{"dnswire", "zone/text"}},
	{"zone/text", "reads zone files, record by record; knows no zone as a whole", []string{"chunk", "dnswire"}},
	{"steer", "pure filters over candidates; a policy is a chain of them", []string{"geo", "health"}},
	{"dnssec", "keys, signatures, denial of existence", []string{"dnswire", "store", "zone"}},
	{"table", "compiles a spec into the immutable lookup table; no I/O", []string{"conduct", "dnswire", "spec", "geo", "health", "steer", "zone", "dnssec"}},
	{"resolve", "(snapshot, query) to answer or explanation; the only place that answers", []string{"conduct", "dnswire", "spec", "geo", "health", "hosts", "steer", "table", "zone", "dnssec"}},
	{"rhumb", "the library, at the root: Engine compiles, judges, swaps the snapshot", []string{"audit", "history", "conduct", "dnswire", "geo", "probe", "store", "gossip", "api", "spec", "source", "health", "hosts", "zone", "zone/text", "steer", "dnssec", "table", "resolve", "yield"}},
	{"server", "sockets: UDP workers, TCP, TLS, the PROXY protocol, counters", []string{"dnswire", "resolve", "server/datagram", "server/limit", "server/meter", "server/tap"}},
	{"server/meter", "histograms, heavy hitters and what a server has counted; knows no DNS", nil},
	{"server/datagram", "datagrams in batches between a socket and memory; knows no DNS", nil},
	{"server/tap", "dnstap: queries and answers to a receiver, without waiting for it; knows no DNS", nil},
	{"server/limit", "who may ask, and how often a client network is answered, in constant memory", nil},
	{"publish", "record managers at DNS providers", []string{"api", "dnswire"}},
	{"publish/route53", "Route 53", []string{"api", "dnswire", "publish"}},
	{"publish/rfc2136", "dynamic update", []string{"api", "dnswire", "publish"}},
	{"publish/rhumb", "a node's own API", []string{"api", "dnswire", "publish"}},
	{"dnslb", "the library for servers that register themselves", []string{"probe", "publish"}},
	{"agent", "local probes, host signals, reports", []string{"gossip", "health", "probe", "spec"}},
	{"controller", "tells edges what the zones of a node answer: records with a hash, by region, and pushes", []string{"api", "dnswire", "geo", "notify", "resolve", "rhumb", "spec", "table", "zone"}},
	{"admin", "the HTTP surface: REST, metrics, the controller protocol, the web page", []string{"rhumb", "api", "audit", "controller", "dnswire", "spec", "health", "history", "notify", "resolve", "server/meter", "table", "store"}},
	{"app", "the process: wires everything, runs it, reloads it, stops it", []string{"rhumb", "audit", "history", "notify", "conduct", "dnswire", "geo", "probe", "store", "gossip", "api", "spec", "source", "health", "hosts", "zone", "zone/text", "steer", "dnssec", "table", "resolve", "server", "server/tap", "publish", "dnslb", "agent", "controller", "edge", "admin"}},
	{"notify", "tells others what happened: webhooks and programs, in order, again where it failed", []string{"api", "history", "program", "spec"}},
	{"edge", "keeps a zone as a controller states it: asks for it, is told, hands its data on", []string{"api", "dnswire", "zone", "zone/text"}},
	{"simulate", "where the traffic of a mix of clients goes, with this and with that; asks snapshots", []string{"api", "conduct", "dnswire", "geo", "health", "hosts", "resolve", "rhumb", "simulate/capture", "spec", "steer", "table"}},
	{"simulate/capture", "takes queries out of files that recorded them: pcap, pcapng, dnstap; knows no DNS", nil},
	{"demo", "the demonstration: three endpoints of its own and a live view", []string{"app", "api", "health", "rhumb", "spec"}},
	{"top", "the live view of what a node is asked, for a terminal", []string{"api"}},
	{"cmd/rhumb", "flags and subcommands only", []string{"app", "api", "demo", "top", "rhumb", "simulate", "spec", "dnslb", "publish"}},
	{"coredns/elchi", "the CoreDNS plugin elchi (module coredns)", []string{"coredns/lane", "coredns/mouth", "dnswire", "edge", "resolve", "rhumb", "spec", "zone"}},
	{"coredns/gslb", "the CoreDNS plugin gslb (module coredns)", []string{"coredns/lane", "coredns/mouth", "dnswire", "health", "probe", "resolve", "rhumb", "source", "spec", "spec/corednsgslb", "store", "table"}},
	{"coredns/cmd/coredns", "a ready CoreDNS with both plugins (module coredns)", []string{"coredns/elchi", "coredns/gslb"}},
	{"coredns/lane", "answers queries by UDP in CoreDNS's stead where the bytes are certain, hands it all others (module coredns)", []string{"coredns/mouth", "dnswire", "server/datagram"}},
	{"coredns/mouth", "lets CoreDNS answer from snapshots; keeps what outlives its reloads (module coredns)", []string{"dnswire", "resolve"}},
}

// beside are the folders of Go that are no rooms: nothing may import them, so
// they may import anything.
var beside = []string{"bench", "coredns/rig", "edge/lines", "interop"}

// noGo are the folders at the root without any Go code.
var noGo = []string{"deploy", "docs", "examples"}

// vague are names that say nothing of what happens in a room.
var vague = []string{"pkg", "util", "utils", "common", "types", "helper", "helpers", "manager", "misc", "lib", "internal"}

// outside says which rooms a library must not come near.
var outside = []struct {
	library string
	why     string
	rooms   []string
}{
	{
		"github.com/miekg/dns",
		"the road of a query is our own code; the library is its oracle in tests",
		[]string{"dnswire", "resolve", "server", "server/datagram", "server/tap", "table", "steer"},
	},
	{
		"net",
		"it opens no socket; addresses are netip",
		[]string{"dnswire", "resolve", "table", "steer", "spec"},
	},
	{
		"net/http/httptest",
		"it is for tests",
		nil, // every room
	},
	{
		"testing",
		"nothing in production code exists only for a test",
		nil,
	},
}

// maxLines is the length beyond which a file has two subjects.
const maxLines = 500

// source is one Go file of the repository.
type source struct {
	file  string // slash-separated, from the root
	room  string // its folder; "rhumb" for the root
	lines int
	set   *token.FileSet
	ast   *ast.File
}

func (s *source) test() bool { return strings.HasSuffix(s.file, "_test.go") }

// imports yields the imports of s.
func (s *source) imports(yield func(string) bool) {
	for _, spec := range s.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil && !yield(p) {
			return
		}
	}
}

// sources parses every Go file of the repository, whatever system it is for.
func sources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != "." && (name[0] == '.' || name[0] == '_' || name == "testdata" || file == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		s := &source{file: filepath.ToSlash(file), set: token.NewFileSet(), lines: strings.Count(string(text), "\n")}
		s.room = path.Dir(s.file)
		if s.room == "." {
			s.room = "rhumb"
		}
		s.ast, err = parser.ParseFile(s.set, s.file, text, parser.ParseComments)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go file was found")
	}
	return all
}

func roomNamed(folder string) *room {
	for i := range rooms {
		if rooms[i].folder == folder {
			return &rooms[i]
		}
	}
	return nil
}

// list is "a, b and c", or "nothing".
func list(words []string) string {
	switch len(words) {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// TestImports holds the import table.
func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || slices.Contains(beside, s.room) {
			continue
		}
		r := roomNamed(s.room)
		if r == nil {
			continue // TestRooms reports it
		}
		for p := range s.imports {
			into, ours := strings.CutPrefix(p, module+"/")
			if p == module {
				into, ours = "rhumb", true
			}
			if ours && !slices.Contains(r.imports, into) {
				t.Errorf("%s may import %s of this module; it imports %s (%s). Move the code to a room that may, or change the table in arch_test.go and, with it, CONTRIBUTING.md (make docs)",
					r.folder, list(r.imports), into, s.file)
			}
			for _, o := range outside {
				if (o.rooms == nil || slices.Contains(o.rooms, r.folder)) && (p == o.library || strings.HasPrefix(p, o.library+"/") && o.library != "net") {
					t.Errorf("%s must not import %s: %s (%s)", r.folder, p, o.why, s.file)
				}
			}
		}
	}
}

// TestRooms checks that the folders are those of the table, and each is whole.
func TestRooms(t *testing.T) {
	for i := range rooms {
		for _, in := range rooms[i].imports {
			if roomNamed(in) == nil {
				t.Errorf("the import table lets %s import %s, which is no room", rooms[i].folder, in)
			}
		}
	}
	files := map[string][]*source{}
	for _, s := range sources(t) {
		if !s.test() {
			files[s.room] = append(files[s.room], s)
		} else if files[s.room] == nil {
			files[s.room] = []*source{}
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(files)) {
		known := roomNamed(folder) != nil
		for _, b := range beside {
			known = known || folder == b || strings.HasPrefix(folder, b+"/")
		}
		if !known {
			t.Errorf("%s is not in the import table: put its code into a room that is, or give it a row in arch_test.go with its one job", folder)
		}
		names := append(strings.Split(folder, "/"), packages(files[folder])...)
		slices.Sort(names)
		for _, part := range slices.Compact(names) {
			if slices.Contains(vague, part) {
				t.Errorf("%s: %q says nothing of what happens there: name the room after its job", folder, part)
			}
		}
		if known && len(files[folder]) == 0 && !slices.Contains(beside, folder) {
			t.Errorf("%s is empty but for tests: a room is built when there is work for it", folder)
		}
		if len(files[folder]) > 0 {
			documented(t, folder, files[folder])
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		n := e.Name()
		if !e.IsDir() || n[0] == '.' || n == "bin" || slices.Contains(noGo, n) || slices.Contains(beside, n) {
			continue
		}
		found := false
		for folder := range files {
			found = found || folder == n || strings.HasPrefix(folder, n+"/")
		}
		if !found {
			t.Errorf("%s is empty: a room is built when there is work for it", n)
		}
	}
}

// packages are the names of the packages of files.
func packages(files []*source) []string {
	var names []string
	for _, s := range files {
		if !slices.Contains(names, s.ast.Name.Name) {
			names = append(names, s.ast.Name.Name)
		}
	}
	return names
}

// documented checks that a folder has its doc.go, and no other package comment.
func documented(t *testing.T, folder string, files []*source) {
	t.Helper()
	found := false
	for _, s := range files {
		if path.Base(s.file) == "doc.go" {
			found = s.ast.Doc != nil
		} else if s.ast.Doc != nil {
			t.Errorf("%s has a package comment: it belongs into doc.go", s.file)
		}
	}
	if !found {
		t.Errorf("%s has no doc.go with a package comment: say what it is, what it guarantees and what it never does", folder)
	}
}

// TestFiles checks the length of files and that no test sleeps.
func TestFiles(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test() {
			if s.lines > maxLines {
				t.Errorf("%s has %d lines, more than %d: divide it by subject", s.file, s.lines, maxLines)
			}
			continue
		}
		for _, at := range sleeps(s) {
			t.Errorf("%s: a test that sleeps is slow or flaky: wait for the event, or use testing/synctest", at)
		}
	}
}

// sleeps are the places where s calls time.Sleep on the real clock. A file that
// uses testing/synctest is trusted to do so within a bubble, whose clock is not.
func sleeps(s *source) []token.Position {
	for p := range s.imports {
		if p == "testing/synctest" {
			return nil
		}
	}
	var at []token.Position
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				at = append(at, s.set.Position(sel.Pos()))
			}
		}
		return true
	})
	return at
}

// The marks of the import table in CONTRIBUTING.md.
const (
	tableBegin = "<!-- import table: made by make docs -->\n"
	tableEnd   = "<!-- end of import table -->\n"
)

// TestImportTable checks that CONTRIBUTING.md has the table of this file;
// with -update it writes it there.
func TestImportTable(t *testing.T) {
	const file = "CONTRIBUTING.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no import table between its two marks", file)
	}
	var b strings.Builder
	b.WriteString("| room | what happens there | may import, of this module |\n|---|---|---|\n")
	for _, r := range rooms {
		may := "nothing"
		if len(r.imports) > 0 {
			may = strings.Join(r.imports, ", ")
		}
		if r.folder == "app" {
			may = "everything above"
		}
		if r.folder == "rhumb" {
			may = "everything above"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.folder, r.job, may)
	}
	want := before + tableBegin + b.String() + tableEnd + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("the import table in %s is not the one in arch_test.go: make docs", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
