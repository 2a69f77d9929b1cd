package spec

var tcpKind = &checkKind{types: []CheckType{CheckTCP}, section: &tcpCheckSection}

var tcpCheckSection = section{
	title: "checks: tcp",
	intro: "The port accepts a connection.",
	example: `checks:
  db: {type: tcp, port: 5432}
`,
	fields: []field{
		{name: "port", typ: "integer", need: true, lo: 1, hi: 65535, doc: "Where the endpoint listens."},
	},
}

var tlsKind = &checkKind{
	types: []CheckType{CheckTLS}, section: &tlsCheckSection, named: true,
	ports:  map[CheckType]uint16{CheckTLS: 443},
	decode: (*decoder).tlsCheck,
}

var tlsCheckSection = section{
	title: "checks: tls",
	intro: "The port accepts a connection, and the TLS handshake ends with a valid certificate.",
	example: `checks:
  mail: {type: tls, port: 993, host: mail.example.com}
`,
	fields: append([]field{
		{name: "port", typ: "integer", def: "443", lo: 1, hi: 65535, doc: "Where the endpoint listens."},
		hostField,
	}, secureFields...),
}

func (d *decoder) tlsCheck(c *Check, o *object) {
	c.TLS = d.secure(o)
}
