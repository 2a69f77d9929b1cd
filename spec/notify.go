package spec

import (
	"encoding/base64"
	"maps"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// Destination is who is told what happens.
type Destination struct {
	Name    string
	Webhook *Webhook  // nil: Program
	Program *Notifier // nil: Webhook
	// Events are the types of events that it is told of.
	Events []string
	// Pools and Services are whose events those are; both empty: all.
	Pools    []string
	Services []dnswire.Name
	// Hold is how long an endpoint must be what it is before that is told; 0: at once.
	Hold   time.Duration
	Batch  int           // how many events one delivery has at most
	MaxAge time.Duration // events that are older are given up
	// Timeout is how long one delivery may take.
	Timeout time.Duration
}

// Webhook is where events are posted.
type Webhook struct {
	URL     string // http or https; what is in it may be a secret
	Secret  []byte // the key of signatures; nil: not signed
	Headers map[string]string
	TLS     *Secure // nil: plain http
}

// Notifier is a program that is given events. Paths are absolute.
type Notifier struct {
	Command string
	Args    []string
	Environment
	Dir string // empty: where Command is
}

// news are the types of events that a destination is told of that states none.
var news = []string{
	history.Up, history.Degraded, history.Down, history.Unknown, history.PoolGaveWay, history.PoolStands,
	history.NodeSuspect, history.NodeTrusted, history.ReloadRefused,
}

var notifySection = section{
	title: "notify",
	intro: "Who is told what happens: a map under `notify`, by a name of your own. See [Events](events.md#notifications).",
	example: `notify:
  ops:
    webhook: {url: "https://hooks.example.com/rhumb", secret: "${HOOK_SECRET:-}"}
    events: [down, up]
    hold: 30s
`,
	fields: []field{
		{name: "webhook", typ: "map", need: true, unless: "script", doc: "Where events are posted, see [notify: webhook](#notify-webhook)."},
		{name: "script", typ: "map", prose: "`webhook`", doc: "The program that is given them, see [notify: script](#notify-script)."},
		{name: "events", typ: "list of types", prose: "`[up, degraded, down, unknown, pool-gave-way, pool-stands, node-suspect, node-trusted, reload-refused]`", doc: "What is told, by the [types of events](events.md#types)."},
		{name: "pools", typ: "list of pools", prose: "all", doc: "Whose events are told: those of these pools and of their endpoints, or of `services`."},
		{name: "services", typ: "list of names", prose: "all", doc: "The same by service: of the pools and endpoints that it uses, and the words of operators on it."},
		{name: "hold", typ: "duration", def: "0s", lo: 0, hi: int64(time.Hour), doc: "An endpoint that is again what it was within this time is not told. All that is told is told that much later."},
		{name: "batch", typ: "integer", def: "500", lo: 1, hi: 10_000, doc: "How many events one delivery has at most."},
		{name: "max_age", typ: "duration", def: "24h", lo: int64(time.Minute), hi: int64(31 * 24 * time.Hour), doc: "What could not be delivered for so long is given up, and said to have been in the next delivery. More than `hold`."},
		{name: "timeout", typ: "duration", def: "10s", lo: int64(100 * time.Millisecond), hi: int64(10 * time.Minute), doc: "How long one delivery may take."},
	},
}

var webhookSection = section{
	title: "notify: webhook",
	intro: "Each delivery is a POST with a JSON body, signed as [Standard Webhooks](https://www.standardwebhooks.com) has it. Of `http` the keys from `verify` on have no meaning and are refused.",
	fields: slices.Concat(
		[]field{{name: "url", typ: "URL", need: true, unless: "url_file", doc: "`http` or `https`, with a host name or address. Only its host is ever shown."}},
		withFile(field{name: "url", typ: "URL"})[1:],
		withFile(field{name: "secret", typ: "text", prose: "not signed", doc: "The key of the signature: 24 to 64 bytes in base64, with `whsec_` before it or not. `echo whsec_$(openssl rand -base64 32)` makes one."}),
		[]field{{name: "headers", typ: "map of text", def: "{}", doc: "Sent with each delivery."}},
		secureFields,
	),
}

var notifierSection = section{
	title: "notify: script",
	intro: "Each delivery is one run of the program, with the events on its standard input, one a line. It is started without a shell, in a process group of its own, which ends with it.",
	fields: append([]field{
		{name: "command", typ: "executable file", need: true, doc: "Relative to the file that states it. It is refused where everybody can write it or a directory that it is in."},
		{name: "args", typ: "list of text", def: "[]", doc: "Given as they are."},
		{name: "dir", typ: "directory", prose: "that of `command`", doc: "Where it runs; relative to the file that states it."},
	}, environmentFields[1:]...),
}

// destinations decodes the section notify.
func (d *decoder) destinations(p *path, all []*entry) {
	for _, e := range all {
		at := p.dot(e.name)
		if !plainName(e.name) {
			d.fail(e.key, at, "%q is not a name: 1 to %d letters, digits, - _ and . are expected", e.name, maxTokenName)
			continue
		}
		o := d.object(&notifySection, at, e.key, e.vals...)
		n := &Destination{
			Name: e.name, Hold: o.duration("hold"), Batch: int(o.integer("batch")), MaxAge: o.duration("max_age"), Timeout: o.duration("timeout"),
		}
		if age := o.get("max_age"); age != nil && n.MaxAge <= n.Hold {
			d.fail(age.val(), at.dot("max_age"), "what is held for %s would be too old by then: state more than hold", n.Hold)
		}
		web, script := o.get("webhook"), o.get("script")
		switch {
		case web != nil && script != nil:
			d.fail(script.key, at.dot("script"), "webhook is stated as well: remove one of them, or give it a name of its own")
		case web != nil:
			n.Webhook = d.webhook(d.below(o, "webhook", &webhookSection))
		case script != nil:
			n.Program = d.notifier(d.below(o, "script", &notifierSection))
		}
		n.Events = d.eventTypes(o)
		d.whose(n, o)
		d.spec.Notify = append(d.spec.Notify, n)
	}
	slices.SortFunc(d.spec.Notify, func(a, b *Destination) int { return strings.Compare(a.Name, b.Name) })
}

// eventTypes is the list events.
func (d *decoder) eventTypes(o *object) []string {
	e := o.get("events")
	if e == nil {
		return news
	}
	p := o.path.dot("events")
	items := d.list(e.val(), p)
	if items != nil && len(items) == 0 {
		d.fail(e.val(), p, "the list is empty: nothing would be told")
	}
	var out []string
	for i, it := range items {
		s, ok := d.text(it, p.at(i))
		switch {
		case !ok:
		case !history.Known(s):
			d.fail(it, p.at(i), "%s", unknown("type of events", s, history.Names))
		default:
			out = append(out, s)
		}
	}
	return out
}

// whose decodes pools and services.
func (d *decoder) whose(n *Destination, o *object) {
	for i, it := range o.list("pools") {
		s, ok := d.text(it, o.path.dot("pools").at(i))
		switch {
		case !ok:
		case d.spec.Pools[s] == nil:
			d.fail(it, o.path.dot("pools").at(i), "%s", unknown("pool", s, func(yield func(string) bool) {
				for name := range d.spec.Pools {
					if !yield(name) {
						return
					}
				}
			}))
		default:
			n.Pools = append(n.Pools, s)
		}
	}
	for i, it := range o.list("services") {
		p := o.path.dot("services").at(i)
		s, ok := d.text(it, p)
		if !ok {
			continue
		}
		name, err := dnswire.ParseName(s)
		if err != nil {
			d.fail(it, p, "%q is not a name: %s", s, err)
			continue
		}
		if d.zoned && !d.isService(name) {
			d.fail(it, p, "%s", unknown("service", strings.TrimSuffix(name.String(), "."), d.allServices))
			continue
		}
		n.Services = append(n.Services, name)
	}
}

// isService is whether a name is that of a service.
func (d *decoder) isService(name dnswire.Name) bool {
	text := strings.ToLower(name.String())
	for _, z := range d.spec.Zones {
		if !name.Within(z.Name) {
			continue
		}
		label := strings.TrimSuffix(text, "."+strings.ToLower(z.Name.String()))
		if name == z.Name {
			label = "@"
		}
		for s := range z.Services.All() {
			if s.Label == label {
				return true
			}
		}
	}
	return false
}

// allServices yields the names of all services, without the final dot.
func (d *decoder) allServices(yield func(string) bool) {
	for _, z := range d.spec.Zones {
		zone := strings.TrimSuffix(z.Name.String(), ".")
		for s := range z.Services.All() {
			name := s.Label + "." + zone
			if s.Label == "@" {
				name = zone
			}
			if !yield(name) {
				return
			}
		}
	}
}

func (d *decoder) webhook(o *object) *Webhook {
	w := &Webhook{URL: o.secretText("url")}
	at := o.get("url")
	if at == nil {
		at = o.get("url_file")
	}
	secure := true
	// What is wrong with it may not show it: there are those whose path lets in.
	if at != nil && (w.URL != "" || at.name == "url") {
		p := o.path.dot(at.name)
		u, err := url.Parse(w.URL)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
			d.fail(at.val(), p, "a URL such as https://hooks.example.com/rhumb is expected")
		case u.User != nil:
			d.fail(at.val(), p, "no user and password in the URL: state them in headers, as Authorization")
		case u.Fragment != "":
			d.fail(at.val(), p, "a URL without # is expected")
		}
		secure = err != nil || u.Scheme != "http"
	}
	if secure {
		w.TLS = d.secure(o)
	}
	for _, f := range secureFields {
		if e := o.get(f.name); e != nil && !secure {
			d.fail(e.key, o.path.dot(f.name), "only for https")
		}
	}
	if e := o.get("headers"); e != nil {
		w.Headers = d.headers(e, o.path.dot("headers"))
		for _, name := range slices.Sorted(maps.Keys(w.Headers)) {
			if lower := strings.ToLower(name); strings.HasPrefix(lower, "webhook-") || lower == "content-type" || lower == "content-length" {
				d.fail(e.val(), o.path.dot("headers").dot(name), "the node states this header itself: remove it")
			}
		}
	}
	if text := o.secretText("secret"); text != "" {
		key := o.get("secret")
		if key == nil {
			key = o.get("secret_file")
		}
		w.Secret = d.signingKey(text, key.val(), o.path.dot(key.name))
	}
	return w
}

// signingKey is the key that a text is, nil with an error.
func (d *decoder) signingKey(text string, at document.Node, p *path) []byte {
	text = strings.TrimPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		key, err = base64.RawStdEncoding.DecodeString(text)
	}
	if err != nil || len(key) < 24 || len(key) > 64 {
		d.fail(at, p, "24 to 64 bytes in base64 are expected: echo whsec_$(openssl rand -base64 32)")
		return nil
	}
	return key
}

func (d *decoder) notifier(o *object) *Notifier {
	n := &Notifier{Environment: d.environment(o)}
	if e := o.get("command"); e != nil {
		if runtime.GOOS == "windows" {
			d.fail(e.val(), o.path.dot("command"), "scripts cannot be run on this system")
		}
		n.Command = d.program(e.val(), o.path.dot("command"))
	}
	for i, it := range o.list("args") {
		at := o.path.dot("args").at(i)
		if s, ok := d.text(it, at); ok && d.passable(it, at, s) {
			n.Args = append(n.Args, s)
		}
	}
	if e := o.get("dir"); e != nil {
		n.Dir = d.directory(e.val(), o.path.dot("dir"))
	}
	return n
}
