package health

import "github.com/rhumb-dns/rhumb/dnswire"

// Overridden yields the services that have an override on some target, by their
// name in lower-case wire form, in no order.
func (v *View) Overridden(yield func(service dnswire.Name) bool) {
	for name := range v.overrides {
		if !yield(name) {
			return
		}
	}
}

// HasWord is whether a service has an override on some target.
func (v *View) HasWord(service dnswire.Name) bool { return len(v.overrides[service]) > 0 }
