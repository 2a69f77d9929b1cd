package spec

import (
	"runtime"
	"strings"
)

// secretHeaders are those whose values let somebody in.
var secretHeaders = map[string]bool{
	"authorization": true, "proxy-authorization": true, "cookie": true, "x-api-key": true, "api-key": true,
	"x-auth-token": true, "x-access-token": true, "x-auth-key": true, "x-vault-token": true, "private-token": true,
}

// secrets refuses a document that holds a secret and that everybody can read.
func (d *decoder) secrets(doc *document) {
	if runtime.GOOS == "windows" || len(doc.nodes) == 0 || doc.mode&0o004 == 0 {
		return
	}
	found := func(v ref, p *path) {
		if v.kind() == scalar && !v.null() && !fromEnvironment(v.raw()) {
			d.fail(v, p, "a secret in a file that everybody can read: chmod o-r %s, or take it from the environment: ${VAR}", doc.name)
		}
	}
	top := ref{doc, 0}
	for _, v := range under(top, "dns", "cookie_secret") {
		found(v.ref, v.path)
	}
	for _, v := range under(top, "admin", "tokens", "*", "secret") {
		found(v.ref, v.path)
	}
	for _, v := range under(top, "checks", "*", "headers", "*") {
		if secretHeaders[strings.ToLower(v.path.key)] {
			found(v.ref, v.path)
		}
	}
}

type placed struct {
	ref  ref
	path *path
}

// under finds the values at a path of keys, in which * is any key or item.
func under(r ref, keys ...string) []placed {
	at := []placed{{ref: r}}
	for _, key := range keys {
		var next []placed
		for _, v := range at {
			switch v.ref.kind() {
			case mapping:
				for k, val := range v.ref.pairs() {
					if name := string(k.raw()); key == "*" || name == key {
						next = append(next, placed{val, v.path.dot(name)})
					}
				}
			case sequence:
				i := 0
				for val := range v.ref.children() {
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
