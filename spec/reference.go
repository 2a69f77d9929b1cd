package spec

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Reference is the configuration reference in Markdown, made from the table of
// keys that the decoder works by.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	b.WriteString("```yaml\n" + referenceExample + "```\n")
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", s.title, s.intro)
		if len(s.fields) > 0 {
			b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
		}
		for _, f := range s.fields {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.shape(), f.fallback(), f.meaning())
		}
		if s.example != "" {
			b.WriteString("\n```yaml\n" + s.example + "```\n")
		}
	}
	b.WriteString("\n## Steering\n\nSteering is a chain of filters. Each takes the endpoints that the one before it left; the first `answers` of what is left at the end are the answer. A preset is a word for a chain and may stand in one. The chain begins with the healthy endpoints; when nothing is left, with those of which nothing is known; and when nothing is left then, `all_down` answers. [Steering](steering.md) has all of the rules.\n\n")
	b.WriteString("| word | as | meaning |\n|---|---|---|\n")
	for _, s := range steerings {
		as, doc := "filter", s.doc
		switch {
		case s.chain != nil:
			as = "`[" + chainText(s.chain) + "]`"
		}
		if s.then != "" {
			as += "; as the whole chain, `" + s.then + "` behind it"
		}
		word := s.name
		if s.arg != "" {
			word = s.arg
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", word, as, doc)
	}
	b.WriteString(referenceFiles)
	return b.String()
}

// shape is the type of a key and what bounds it.
func (f *field) shape() string {
	s := f.typ
	if len(f.words) > 0 {
		s += ": `" + strings.Join(f.words, "`, `") + "`"
	}
	switch {
	case f.hi == 0 || f.hi > math.MaxInt32 && f.typ != "duration" && f.typ != "integer":
	case f.typ == "duration" && f.lo == 1:
		s += ", more than 0"
	case f.typ == "duration":
		s += fmt.Sprintf(", %s to %s", short(f.lo), short(f.hi))
	case f.name == "min_healthy":
		s += ", 1 or more"
	default:
		s += fmt.Sprintf(", %d to %d", f.lo, f.hi)
	}
	return s
}

// short is a duration as people write it: 24h and not 24h0m0s.
func short(ns int64) string {
	s := time.Duration(ns).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (f *field) fallback() string {
	switch {
	case f.later:
		return ""
	case f.need && f.unless != "":
		return "*required*, or `" + f.unless + "`"
	case f.need:
		return "*required*"
	case f.prose != "":
		return f.prose
	case f.def != "":
		return "`" + f.def + "`"
	}
	return "none"
}

func (f *field) meaning() string {
	if f.later {
		return "Not available in this version. " + f.doc
	}
	return f.doc
}

const referenceIntro = `# Configuration

<!-- Made from the code by: go test ./spec -run TestReference -update -->

A node reads one YAML file, and what that file includes. It is read strictly: an
unknown key, a wrong type or a name that refers to nothing is an error, with the
file, line and column, and all errors are reported at once:

    rhumb.yaml:7:33: zones.example.com.services.www.steer: unknown filter "weigthed"; did you mean "weighted"?

` + "`rhumb check -c FILE`" + ` reads and compiles a file as ` + "`rhumb serve`" + ` does, without
starting anything. A running node takes a changed file over when it has no errors
and otherwise goes on with what it had.

**Variables.** ` + "`${NAME}`" + ` in a value is replaced by the environment variable; that
it is not set is an error. ` + "`${NAME:-default}`" + ` gives a default for one that is unset
or empty, and ` + "`$${`" + ` stands for a literal ` + "`${`" + `. Keys are not expanded.

**Durations** are Go's: ` + "`500ms`, `5s`, `1m30s`" + `. **TTLs** and other DNS times are
whole seconds without a unit.

**Keys of the contract that this version does not do** are in the tables as "Not
available in this version". Stating one is an error and never silently ignored.

A whole file:

`

const referenceExample = `node:
  name: ns1
  data_dir: /var/lib/rhumb

dns:
  listen: [127.0.0.1:5300]
  ttl: 30

checks:
  web: {type: http, port: 8080, path: /healthz, host: www.example.com}

pools:
  eu:
    place: {region: eu-west, continent: EU, country: IE, at: [53.35, -6.26]}
    checks: [web]
    endpoints:
      - 192.0.2.10
      - {address: 192.0.2.11, weight: 200}
  us:
    checks: [web]
    endpoints: [198.51.100.10, "2001:db8::10"]

zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53, ns2: 198.51.100.53}
    services:
      www: {pools: [eu, us], steer: weighted, ttl: 20}
      api: {pools: [eu, us], steer: failover}
`

const referenceFiles = `
## Static records

A zone may hold any records beside its services, from a ` + "`file`" + `, from ` + "`records`" + `, or
from both. The file is RFC 1035 text with ` + "`$ORIGIN`, `$TTL`, `$INCLUDE` (relative to the\nfile that states it) and `$GENERATE`" + `; unknown types are written as RFC 3597 has it. Each
item of ` + "`records`" + ` is one line of such a file, with its name; ` + "`@`" + ` is the zone:

` + "```yaml" + `
zones:
  example.net:
    nameservers: {ns: 192.0.2.53}
    records:
      - "@ MX 10 mail"
      - mail 3600 A 192.0.2.25
` + "```" + `

With ` + "`nameservers`" + `, those make the SOA and NS records. Without them the file or the
records have SOA and NS themselves.

A service and a static record set may share a name when their types differ: a service
answers for A and AAAA and for the records that it is told to make, static records for
all other types. These are errors, each with its file and line: a record outside of the
zone, a CNAME beside other data, several CNAME, DNAME or SOA records of one name, a
zone without SOA or NS, a service where a static record has its answers, a service at or
below a delegation or below a DNAME record, services in a signed zone file. A zone file
with any error is not taken over: the node goes on with the records that it had.

A zone file that is signed is served with its signatures and its NSEC or NSEC3 records to
clients that ask for them. [Zones](zones.md) has all of this.

## Several files

` + "`include`" + ` names files or patterns, relative to the file that states them; they are
read in alphabetical order, a file that is reached twice is read once. A name
without ` + "`*`, `?` or `[`" + ` must exist; a pattern may match nothing. Included files may
hold every key and include further files, 10 deep; files that include each other
are an error.

` + "```yaml" + `
include: [conf.d/*.yaml]
` + "```" + `

An item that is a map names files in the words of another program. What is in them counts
as if it were written here, and its errors are at its places:

` + "```" + `
include:
  - conf.d/*.yaml
  - {path: db.gslb.example.com.yml, dialect: coredns-gslb, zone: gslb.example.com}
  - {path: location_map.yml, dialect: coredns-gslb}
` + "```" + `

Maps merge by key: ` + "`node`, `dns`, `admin`, `log`, `health`, `checks`, `check_defaults`, `pools`, `notify`, `zones`, `sources`" + `, and
in a
zone ` + "`nameservers`, `soa`, `records` and `services`" + `. What is in them is stated once: a value, a
list, a check, a pool or a service in two files is an error that names both places.

## Permissions

A file that everybody can write is refused. So is a file that everybody can read
and that holds a secret: a literal ` + "`dns.cookie_secret`" + `, the ` + "`secret`" + ` of an admin token
(a ` + "`secret_file`" + ` must not be readable by everybody either), a check's password or token, the ` + "`secret`" + ` of a webhook, of ` + "`controller`" + ` or of a source, or a header such as ` + "`Authorization`, `Proxy-Authorization`, `Cookie` or `X-Api-Key`" + `.
Take the value wholly from the environment or take the right to read away. On
Windows permissions are not looked at.

## Limits

A file is at most 1 GiB. What all checks together ask for is at most 20,000 probes
a second: a check without ` + "`host`" + ` probes an endpoint once for every service that uses
it, because each has a host of its own. An answer must fit a DNS message of
64 KiB. Aliases of YAML expand to at most 100,000 values in a file.
`
