package spec

import (
	"strconv"
	"strings"
)

var tcpKind = &checkKind{types: []CheckType{CheckTCP}, section: &tcpCheckSection, decode: (*decoder).tcpCheck}

var tcpCheckSection = section{
	title: "checks: tcp",
	intro: "The port accepts a connection and, where something is to be sent or expected, a short conversation goes as it should.",
	example: `checks:
  db: {type: tcp, port: 5432}
  cache: {type: tcp, port: 11211, send: 'version\r\n', expect: '^VERSION 1\.'}
`,
	fields: append([]field{
		{name: "port", typ: "integer", need: true, lo: 1, hi: 65535, doc: "Where the endpoint listens."},
	}, talkFields...),
}

// talkFields are the keys of a conversation, which talk decodes.
var talkFields = []field{
	{name: "send", typ: "text", prose: "nothing is sent", doc: "Sent once the connection is made, at most 4 KiB. In it `\\r`, `\\n`, `\\t`, `\\0`, `\\\\` and `\\x` with two hex digits stand for one byte each; a line end is sent only where it is written."},
	{name: "expect", typ: "regular expression", prose: "nothing is read", doc: "Must be found in the first 64 KiB of what comes back. The probe succeeds as soon as it is."},
}

// maxSend bounds what a check sends.
const maxSend = 4 << 10

// Talk is what a check sends over its connection and what must come back.
type Talk struct {
	Send   []byte // nil: nothing
	Expect string // regular expression; "": nothing is read
}

func (t Talk) empty() bool { return len(t.Send) == 0 && t.Expect == "" }

// TLSCheck is what a tls check asks besides the handshake.
type TLSCheck struct {
	Talk
	MinDays  int // for which the certificate must still be valid; 0: until now
	WarnDays int // or else the endpoint is degraded; 0: no such limit
}

func (d *decoder) tcpCheck(c *Check, o *object) {
	if t := d.talk(o); !t.empty() {
		c.Ask = &t
	}
}

func (d *decoder) talk(o *object) Talk {
	t := Talk{Expect: o.expression("expect")}
	e := o.get("send")
	if e == nil {
		return t
	}
	p := o.path.dot("send")
	s, ok := d.text(e.val(), p)
	if !ok {
		return t
	}
	sent, why := unescape(s)
	switch {
	case why != "":
		d.fail(e.val(), p, "%s", why)
	case len(sent) > maxSend:
		d.fail(e.val(), p, "%d bytes are too many: at most %d", len(sent), maxSend)
	case len(sent) == 0:
		d.fail(e.val(), p, "there is nothing to send: remove the key")
	default:
		t.Send = sent
	}
	return t
}

// unescape puts bytes in place of what is written with a backslash.
func unescape(s string) (out []byte, why string) {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		c := byte(0)
		if i < len(s) {
			c = s[i]
		}
		switch c {
		case 'r':
			out = append(out, '\r')
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case '0':
			out = append(out, 0)
		case '\\':
			out = append(out, '\\')
		case 'x':
			v, err := strconv.ParseUint(s[min(i+1, len(s)):min(i+3, len(s))], 16, 8)
			if err != nil || i+3 > len(s) {
				return nil, `\x wants two hex digits behind it, such as \x0a`
			}
			out = append(out, byte(v))
			i += 2
		default:
			what := "a backslash at the end"
			if i < len(s) {
				what = strings.Trim(strconv.Quote(s[i:i+1]), `"`)
				what = `\` + what
			}
			return nil, what + ` stands for nothing: write \\ for a backslash, or one of \r \n \t \0 \xHH`
		}
	}
	return out, ""
}

var tlsKind = &checkKind{
	types: []CheckType{CheckTLS}, section: &tlsCheckSection, named: true,
	ports:  map[CheckType]uint16{CheckTLS: 443},
	decode: (*decoder).tlsCheck,
}

var tlsCheckSection = section{
	title: "checks: tls",
	intro: "The port accepts a connection, and the TLS handshake ends with a valid certificate, that stays so for a while. The conversation of a `tcp` check may follow, over TLS.",
	example: `checks:
  mail: {type: tls, port: 993, host: mail.example.com, min_days: 2, warn_days: 14, expect: '^\* OK'}
`,
	fields: append(append([]field{
		{name: "port", typ: "integer", def: "443", lo: 1, hi: 65535, doc: "Where the endpoint listens."},
		hostField,
		{name: "min_days", typ: "integer", def: "0", lo: 0, hi: 3650, doc: "For how many days the certificate, and those that it hangs on, must still be valid. Without `verify` the certificate alone counts."},
		{name: "warn_days", typ: "integer", def: "0", lo: 0, hi: 3650, doc: "The endpoint is degraded when they end sooner; 0 is never. More than `min_days`."},
	}, talkFields...), secureFields...),
}

func (d *decoder) tlsCheck(c *Check, o *object) {
	c.TLS = d.secure(o)
	a := TLSCheck{Talk: d.talk(o), MinDays: int(o.integer("min_days")), WarnDays: int(o.integer("warn_days"))}
	if a.WarnDays > 0 && a.WarnDays <= a.MinDays {
		d.fail(o.get("warn_days").val(), o.path.dot("warn_days"), "must be more than min_days (%d): below that the endpoint is down", a.MinDays)
	}
	if !a.empty() || a.MinDays > 0 || a.WarnDays > 0 {
		c.Ask = &a
	}
}
