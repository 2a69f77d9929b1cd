package lane

import (
	"net/netip"
	"reflect"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
)

// What CoreDNS has in fields that are not exported. Each is looked up by name and taken
// only when it is of the very type that is expected; none is ever written. All of
// them are as they will stay when the server that they belong to begins to serve.

// configsOf are the server blocks of a server, by their zones.
func configsOf(s *dnsserver.Server) (map[string][]*dnsserver.Config, bool) {
	f := reflect.ValueOf(s).Elem().FieldByName("zones")
	if !f.IsValid() || f.Type() != reflect.TypeFor[map[string][]*dnsserver.Config]() {
		return nil, false
	}
	out := make(map[string][]*dnsserver.Config, f.Len())
	for each := f.MapRange(); each.Next(); {
		var all []*dnsserver.Config
		for i := range each.Value().Len() {
			all = append(all, (*dnsserver.Config)(each.Value().Index(i).UnsafePointer()))
		}
		out[each.Key().String()] = all
	}
	return out, true
}

// opcodesOf is how many opcodes a server takes beyond those that all of them take.
func opcodesOf(s *dnsserver.Server) (int, bool) {
	f := reflect.ValueOf(s).Elem().FieldByName("allowedOpcodes")
	if !f.IsValid() || f.Kind() != reflect.Map {
		return 0, false
	}
	return f.Len(), true
}

// instanceOf is the instance that a plugin is being set up for.
func instanceOf(c *caddy.Controller) *caddy.Instance {
	f := reflect.ValueOf(c).Elem().FieldByName("instance")
	if !f.IsValid() || f.Type() != reflect.TypeFor[*caddy.Instance]() {
		return nil
	}
	return (*caddy.Instance)(f.UnsafePointer())
}

// boundOf is where the UDP socket of a server is.
func boundOf(i *caddy.Instance, s *dnsserver.Server) (netip.AddrPort, bool) {
	if i == nil {
		return netip.AddrPort{}, false
	}
	for _, l := range i.Servers() {
		f := reflect.ValueOf(l).FieldByName("server")
		if !f.IsValid() || f.Kind() != reflect.Interface || f.Elem().Kind() != reflect.Pointer || f.Elem().Pointer() != reflect.ValueOf(s).Pointer() {
			continue
		}
		a, ok := l.LocalAddr().(interface{ AddrPort() netip.AddrPort })
		if !ok {
			return netip.AddrPort{}, false
		}
		return a.AddrPort(), true
	}
	return netip.AddrPort{}, false
}
