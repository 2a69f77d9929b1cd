package spec

var grpcKind = &checkKind{
	types: []CheckType{CheckGRPC}, section: &grpcSection, named: true,
	decode: (*decoder).grpcCheck,
}

var grpcSection = section{
	title: "checks: grpc",
	intro: "One call of `grpc.health.v1.Health/Check`, whose answer must be SERVING.",
	example: `checks:
  orders: {type: grpc, port: 50051, service: shop.Orders, host: orders.example.com}
  secure: {type: grpc, port: 443, tls: true, host: orders.example.com}
`,
	fields: append([]field{
		{name: "port", typ: "integer", need: true, lo: 1, hi: 65535, doc: "Where the endpoint listens."},
		{name: "service", typ: "text", prose: "the server as a whole", doc: "Whose health is asked for, as the server calls it."},
		{name: "host", typ: "host name", prose: "the service's host name", doc: "The name that is asked for, as `:authority` and in the TLS handshake. State it when many services share a pool, so that they share its probes."},
		{name: "tls", typ: "true or false", def: "false", doc: "Whether the server speaks TLS. Otherwise it is HTTP/2 in plain text, without an upgrade."},
	}, secureFields...),
}

// GRPCCheck is what a grpc check asks.
type GRPCCheck struct {
	Service string // "": the server as a whole
}

func (d *decoder) grpcCheck(c *Check, o *object) {
	c.TLS = d.secureWhen(o.boolean("tls"), "tls: true", o)
	a := &GRPCCheck{Service: o.text("service")}
	if len(a.Service) > 255 {
		d.fail(o.get("service").val(), o.path.dot("service"), "at most 255 bytes")
	}
	c.Ask = a
}
