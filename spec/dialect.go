package spec

import (
	"errors"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/corednsgslb"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// foreign is a file in the words of another program.
type foreign struct {
	origin
	name, real string
	zone       dnswire.Name // empty: none
	debugTXT   bool
}

// dialect reads the files of an item of include that is a map.
func (l *loader) dialect(it document.Node, p *path, chain []link) {
	before := len(l.d.errs)
	o := l.d.object(&includeSection, p, it, it)
	o.word("dialect") // there is one
	as := foreign{debugTXT: o.boolean("debug_txt")}
	if k := o.get("zone"); k != nil {
		zp := p.dot("zone")
		s, ok := l.d.text(k.val(), zp)
		name, why := domain(s)
		if ok && why != "" {
			l.d.fail(k.val(), zp, "%s", why)
		}
		as.zone = name
	}
	k := o.get("path")
	if k == nil || len(l.d.errs) > before {
		l.d.incomplete = true
		return
	}
	for _, name := range l.matches(k.val(), p.dot("path")) {
		l.takeAs(name, k.val(), p.dot("path"), chain, as)
	}
}

// takeAs reads a foreign file. One that was read already must have been read as the same.
func (l *loader) takeAs(name string, at document.Node, p *path, chain []link, as foreign) {
	doc, here, ok := l.take(name, at, p, chain, textOf)
	if ok {
		as.origin, as.name, as.real = doc, name, here.real
		l.foreign = append(l.foreign, as)
		return
	}
	if here.real == "" || l.d.incomplete {
		return
	}
	for _, f := range l.foreign {
		if f.real == here.real && f.zone == as.zone && f.debugTXT == as.debugTXT {
			return
		}
	}
	l.d.incomplete = true
	l.d.fail(at, p, "%s: it is included already, as something else", name)
}

// translate puts what foreign files say in our words among the documents.
func (l *loader) translate(o Options) {
	if len(l.foreign) == 0 || l.d.incomplete {
		return
	}
	spelled := l.zoneKeys()
	sources := make([]corednsgslb.Source, len(l.foreign))
	for i, f := range l.foreign {
		s := corednsgslb.Source{Top: f.top, DebugTXT: f.debugTXT, Public: f.public}
		if f.zone != "" {
			s.Zone, s.Key = f.zone.String(), spelled[f.zone]
		}
		sources[i] = s
	}
	r := corednsgslb.Read(sources, corednsgslb.Options{Enabled: o.Enabled})
	for _, f := range r.Faults {
		l.d.incomplete = true
		l.d.errs = append(l.d.errs, Error(f))
	}
	for _, f := range r.Warnings {
		l.d.spec.Warnings = append(l.d.spec.Warnings, Error(f))
	}
	l.d.spec.Records = r.Records
	l.d.common = map[string]bool{}
	for i, f := range l.foreign {
		// Zones are spread over instances that all include the file of global profiles: what
		// one of them does not use is not forgotten.
		l.d.common[f.name] = f.zone == ""
		// What is secret in it has been warned of: such files have always been readable.
		l.docs = append(l.docs, origin{top: document.Make(f.name, f.top.File(), r.Documents[i])})
	}
	l.translated = r
}

// zoneKeys are the zones that our own documents state, as they spell them.
func (l *loader) zoneKeys() map[dnswire.Name]string {
	out := map[dnswire.Name]string{}
	for _, doc := range l.docs {
		for _, zones := range under(doc.top, "zones") {
			if zones.node.Kind() != document.Mapping {
				continue
			}
			for k := range zones.node.Pairs() {
				if name, why := domain(string(k.Raw())); why == "" && out[name] == "" {
					out[name] = string(k.Raw())
				}
			}
		}
	}
	return out
}

// retrace gives errors and warnings about foreign files the paths that the keys have there.
func (l *loader) retrace(err *error) {
	fix := func(all []Error) {
		for k := range all {
			for i, f := range l.foreign {
				if f.name != all[k].File {
					continue
				}
				if p := l.translated.Path(i, all[k].Line, all[k].Col); p != "" {
					all[k].Path = p
				}
			}
		}
	}
	var errs Errors
	if errors.As(*err, &errs) {
		fix(errs)
	}
	fix(l.d.spec.Warnings)
}
