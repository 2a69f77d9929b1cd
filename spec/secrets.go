package spec

import (
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// secretHeaders are those whose values let somebody in.
var secretHeaders = map[string]bool{
	"authorization": true, "proxy-authorization": true, "cookie": true, "x-api-key": true, "api-key": true,
	"x-auth-token": true, "x-access-token": true, "x-auth-key": true, "x-vault-token": true, "private-token": true,
}

// secrets refuses a document that everybody can read for the secrets in it.
func (d *decoder) secrets(top document.Node) {
	found := func(v document.Node, p *path) {
		if v.Kind() == document.Scalar && !v.Null() && !v.FromEnvironment() {
			d.fail(v, p, "a secret in a file that everybody can read: chmod o-r %s, or take it from the environment: ${VAR}", top.Name())
		}
	}
	for _, v := range under(top, "dns", "cookie_secret") {
		found(v.node, v.path)
	}
	for _, v := range under(top, "dns", "cookie_secret", "*") {
		found(v.node, v.path)
	}
	for _, v := range under(top, "admin", "tokens", "*", "secret") {
		found(v.node, v.path)
	}
	for _, v := range under(top, "notify", "*", "webhook", "secret") {
		found(v.node, v.path)
	}
	for _, v := range under(top, "sources", "*", "controller", "secret") {
		found(v.node, v.path)
	}
	for _, v := range under(top, "controller", "secret") {
		found(v.node, v.path)
	}
	for _, v := range under(top, "controller", "edges", "*", "secret") {
		found(v.node, v.path)
	}
	for _, v := range under(top, "notify", "*", "webhook", "headers", "*") {
		if secretHeaders[strings.ToLower(v.path.key)] {
			found(v.node, v.path)
		}
	}
	for _, v := range under(top, "notify", "*", "script", "env", "*") {
		if secretName.MatchString(v.path.key) {
			found(v.node, v.path)
		}
	}
	for _, k := range checkKinds {
		for _, f := range k.section.fields {
			if !f.secret {
				continue
			}
			for _, at := range statedChecks {
				for _, v := range under(top, append(slices.Clone(at), f.name)...) {
					found(v.node, v.path)
				}
			}
		}
	}
	for _, at := range statedChecks {
		for _, v := range under(top, append(slices.Clone(at), "headers", "*")...) {
			if secretHeaders[strings.ToLower(v.path.key)] {
				found(v.node, v.path)
			}
		}
		for _, v := range under(top, append(slices.Clone(at), "basic", "password")...) {
			found(v.node, v.path)
		}
		for _, v := range under(top, append(slices.Clone(at), "env", "*")...) {
			if secretName.MatchString(v.path.key) {
				found(v.node, v.path)
			}
		}
	}
}

// statedChecks are where keys of checks may stand.
var statedChecks = [][]string{
	{"checks", "*"}, {"pools", "*", "checks", "*"}, {"pools", "*", "endpoints", "*", "checks", "*"},
}

// withFile is a field that holds a secret, and the one that names a file with it.
func withFile(f field) []field {
	f.secret = true
	return []field{f, {
		name: f.name + "_file", typ: "file", prose: "`" + f.name + "`",
		doc: "The file that holds `" + f.name + "`, on one line; relative to the file that states it. One that everybody can read is refused. When it changes, the node reloads.",
	}}
}

// secretText is the value of a key that withFile declared, "" when it is not stated
// or wrong. No message shows it.
func (o *object) secretText(name string) string {
	here, file := o.get(name), o.get(name+"_file")
	switch {
	case here != nil && file != nil:
		o.d.fail(file.key, o.path.dot(file.name), "%s is stated as well: remove one of them", name)
	case here != nil:
		s, _ := o.d.text(here.val(), o.path.dot(name))
		return s
	case file != nil:
		s, _ := o.d.secretFile(file.val(), o.path.dot(file.name))
		return s
	}
	return ""
}

type placed struct {
	node document.Node
	path *path
}

// under finds the values at a path of keys, in which * is any key or item.
func under(r document.Node, keys ...string) []placed {
	at := []placed{{node: r}}
	for _, key := range keys {
		var next []placed
		for _, v := range at {
			switch v.node.Kind() {
			case document.Mapping:
				for k, val := range v.node.Pairs() {
					if name := string(k.Raw()); key == "*" || name == key {
						next = append(next, placed{val, v.path.dot(name)})
					}
				}
			case document.Sequence:
				i := 0
				for val := range v.node.Children() {
					if key == "*" {
						next = append(next, placed{val, v.path.at(i)})
					}
					i++
				}
			}
		}
		at = next
	}
	return at
}
