package spec

import "strings"

var smtpKind = &checkKind{
	types: []CheckType{CheckSMTP}, section: &smtpSection,
	ports:  map[CheckType]uint16{CheckSMTP: 25},
	decode: (*decoder).smtpCheck,
}

var smtpSection = section{
	title: "checks: smtp",
	intro: "The endpoint is a mail server that greets, takes EHLO and, where it is asked to, STARTTLS, a sender and a recipient. No mail is sent.",
	example: `checks:
  mx: {type: smtp, starttls: true, host: mx.example.com, hello: probe.example.net}
  submission: {type: smtp, tls: true, host: mail.example.com}
  relay: {type: smtp, port: 2525, mail_from: "<>", rcpt_to: postmaster@example.com}
`,
	fields: append([]field{
		{name: "port", typ: "integer", prose: "25, with `tls` 465", lo: 1, hi: 65535, doc: "Where the endpoint listens."},
		{name: "host", typ: "host name", prose: "the endpoint's own name or address", doc: "The name in the TLS handshake, which the certificate must be for."},
		{name: "hello", typ: "text", def: "localhost", doc: "What the node calls itself in EHLO. Mail servers may refuse what is no whole host name."},
		{name: "starttls", typ: "true or false", def: "false", doc: "Whether the command STARTTLS must be offered and the handshake end with a valid certificate."},
		{name: "tls", typ: "true or false", def: "false", doc: "Whether the connection begins with the handshake."},
		{name: "mail_from", typ: "mail address", prose: "not sent", doc: "A sender that must be taken; `\"<>\"` is the null sender."},
		{name: "rcpt_to", typ: "mail address", prose: "not sent", doc: "A recipient that must be taken. Needs `mail_from`."},
	}, secureFields...),
}

// SMTPCheck is what an smtp check asks.
type SMTPCheck struct {
	Hello    string
	StartTLS bool   // the handshake follows the command, and is not the beginning
	MailFrom string // "": not sent
	RcptTo   string // "": not sent
}

func (d *decoder) smtpCheck(c *Check, o *object) {
	a := &SMTPCheck{Hello: o.text("hello"), StartTLS: o.boolean("starttls"), MailFrom: d.mailbox(o, "mail_from"), RcptTo: d.mailbox(o, "rcpt_to")}
	c.Ask = a
	whole := o.boolean("tls")
	switch {
	case whole && a.StartTLS:
		d.fail(o.get("tls").key, o.path.dot("tls"), "a connection that begins with TLS has no STARTTLS: remove tls or starttls")
	case whole && o.get("port") == nil:
		c.Port = 465
	}
	c.TLS = d.secureWhen(whole || a.StartTLS, "tls: true or starttls: true", o)
	if c.Host = d.checkHost(o); c.TLS == nil && o.get("host") != nil {
		d.fail(o.get("host").key, o.path.dot("host"), "only for checks with tls: true or starttls: true")
	}
	if !oneWord(a.Hello) {
		d.fail(o.get("hello").val(), o.path.dot("hello"), "%q is not a host name, or an address in brackets", a.Hello)
	}
	if e := o.get("rcpt_to"); e != nil && o.get("mail_from") == nil {
		d.fail(e.key, o.path.dot("rcpt_to"), "needs a sender: state mail_from, which may be \"<>\"")
	}
}

// mailbox is the mail address under a key, "" when it is not stated or wrong.
func (d *decoder) mailbox(o *object, name string) string {
	e := o.get(name)
	if e == nil {
		return ""
	}
	s, ok := d.text(e.val(), o.path.dot(name))
	switch {
	case !ok:
	case s == "<>" && name == "mail_from":
		return s
	case !oneWord(s) || !strings.Contains(strings.Trim(s, "@"), "@"):
		d.fail(e.val(), o.path.dot(name), "%q is not a mail address such as postmaster@example.com", s)
	default:
		return s
	}
	return ""
}

// oneWord is what can stand in a command of SMTP as one word, in ASCII.
func oneWord(s string) bool {
	return s != "" && len(s) <= 254 && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '<' || r == '>'
	})
}
