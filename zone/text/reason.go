package text

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// fieldKind is what a field of a record's data is, for the words of an error.
type fieldKind uint8

const (
	aName fieldKind = iota + 1
	anIPv4
	anIPv6
	an8bit
	a16bit
	a32bit
)

// fields are what miekg/dns says is bad ("bad MX Pref"), in our words.
var fields = map[string]struct {
	kind fieldKind
	word string
}{
	"A":                 {anIPv4, "address"},
	"AAAA":              {anIPv6, "address"},
	"Locator":           {anIPv4, "locator"},
	"Ns":                {aName, "name server"},
	"Ptr":               {aName, "name"},
	"Mbox":              {aName, "mailbox"},
	"Mr":                {aName, "name"},
	"Mb":                {aName, "name"},
	"Mg":                {aName, "name"},
	"Mf":                {aName, "name"},
	"Md":                {aName, "name"},
	"Rmail":             {aName, "mailbox"},
	"Email":             {aName, "mailbox"},
	"Mx":                {aName, "exchange"},
	"Host":              {aName, "host"},
	"Hostname":          {aName, "host"},
	"Exchanger":         {aName, "exchanger"},
	"Target":            {aName, "target"},
	"Replacement":       {aName, "replacement"},
	"PreviousName":      {aName, "previous name"},
	"NextName":          {aName, "next name"},
	"NextDomain":        {aName, "next name"},
	"SignerName":        {aName, "signer"},
	"Fqdn":              {aName, "name"},
	"Map822":            {aName, "RFC 822 name"},
	"Mapx400":           {aName, "X.400 name"},
	"RendezvousServers": {aName, "rendezvous server"},
	"Pref":              {a16bit, "preference"},
	"Preference":        {a16bit, "preference"},
	"Priority":          {a16bit, "priority"},
	"Weight":            {a16bit, "weight"},
	"Port":              {a16bit, "port"},
	"Order":             {a16bit, "order"},
	"Subtype":           {a16bit, "subtype"},
	"KeyTag":            {a16bit, "key tag"},
	"Iterations":        {a16bit, "iterations"},
	"flags":             {a16bit, "flags"},
	"Flags":             {a16bit, "flags"},
	"Protocol":          {an8bit, "protocol"},
	"Algorithm":         {an8bit, "algorithm"},
	"DigestType":        {an8bit, "digest type"},
	"Hash":              {an8bit, "hash"},
	"Labels":            {an8bit, "labels"},
	"Usage":             {an8bit, "usage"},
	"Selector":          {an8bit, "selector"},
	"MatchingType":      {an8bit, "matching type"},
	"Scheme":            {an8bit, "scheme"},
	"Serial":            {a32bit, "serial"},
	"serial":            {a32bit, "serial"},
	"OrigTtl":           {a32bit, "original TTL"},
	"Uid":               {a32bit, "user"},
	"Gid":               {a32bit, "group"},
}

// reason says in our words why miekg/dns could not parse data of type t.
func reason(t dnswire.Type, origin string, err error) error {
	what, item := dissect(err)
	bare := func(format string, args ...any) error {
		return fmt.Errorf("%s: "+format, append([]any{t}, args...)...)
	}
	if what == "garbage after rdata" {
		return bare("unexpected %s after the data", cite(item))
	}
	name, known := strings.CutPrefix(what, "bad ")
	if !known {
		name = what
	}
	_, name, _ = strings.Cut(name, " ") // behind the type
	f := fields[name]
	if name == "Txt" && t == 17 { // RP; of other types it is text
		f.kind, f.word = aName, "text name"
	}
	if name == "Flags" && (t == typeNSEC3 || t == dnswire.TypeNSEC3PARAM) {
		f.kind = an8bit
	}
	switch f.kind {
	case aName:
		if _, err := appendName(nil, item, origin); err != nil {
			return bare("%s %s: %w", f.word, cite(item), err)
		}
		return bare("%s %s is not a name", f.word, cite(item))
	case anIPv4:
		return bare("%s is not an IPv4 address", cite(item))
	case anIPv6:
		return bare("%s is not an IPv6 address", cite(item))
	case an8bit:
		return bare("%s %s is not a number from 0 to 255", f.word, cite(item))
	case a16bit:
		return bare("%s %s is not a number from 0 to 65535", f.word, cite(item))
	case a32bit:
		return bare("%s %s is not a number from 0 to 4294967295", f.word, cite(item))
	}
	switch {
	case what == "" && (t == typeIPSECKEY || t == typeAMTRELAY):
		return bare("gateway %s is not of the gateway's type", cite(item))
	case known && name != "":
		return bare("bad %s: %s", strings.ToLower(name), cite(item))
	}
	return bare("%s: %s", cmp.Or(what, "bad data"), cite(item))
}

// brief is s, cut where it is long: a token may have a million bytes.
func brief(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// cite is s in quotes, cut where it is long.
func cite(s string) string { return strconv.Quote(brief(s)) }

// dissect is what err of a dns.ZoneParser says, and of which token: the text is
// `dns: what: "item" at line: 1:2`, where line and column are of the piece that
// was parsed and not of the file.
func dissect(err error) (what, item string) {
	if err == nil {
		return "", ""
	}
	s := strings.TrimPrefix(err.Error(), "dns: ")
	if i := strings.LastIndex(s, " at line: "); i >= 0 {
		s = s[:i]
	}
	if i := strings.Index(s, `: "`); i >= 0 {
		if text, err := strconv.Unquote(s[i+2:]); err == nil {
			return strings.TrimSpace(s[:i]), text
		}
	}
	return strings.TrimSpace(s), ""
}

// messages are what miekg/dns says of data that it cannot pack or unpack, in
// our words.
var messages = []struct{ theirs, ours string }{
	{"domain name exceeded 255 wire-format octets", "a name is longer than 255 bytes"},
	{"bad rdata", "the data are longer than 65535 bytes, or have a bad name"},
	{"buffer size too small", "the data end too early, or are longer than 65535 bytes"},
	{"bad rdlength", "the data have another length than the type"},
	{"overflow unpacking", "the data end too early"},
	{"illegal base64 data", "not base64"},
	{"encoding/hex: ", "not hexadecimal: "},
	{"illegal base32 data", "not base32"},
}

// cleaned is an error of miekg/dns or the standard library in our words, or
// without its prefix.
func cleaned(err error) error {
	s := err.Error()
	if i := strings.LastIndex(s, "dns: "); i >= 0 {
		s = s[i+len("dns: "):]
	}
	for _, m := range messages {
		if i := strings.Index(s, m.theirs); i >= 0 {
			if strings.HasSuffix(m.ours, ": ") {
				return errors.New(m.ours + s[i+len(m.theirs):])
			}
			return errors.New(m.ours)
		}
	}
	return errors.New(s)
}
