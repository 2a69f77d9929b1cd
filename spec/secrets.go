package spec

import (
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
	for _, v := range under(top, "checks", "*", "headers", "*") {
		if secretHeaders[strings.ToLower(v.path.key)] {
			found(v.node, v.path)
		}
	}
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
