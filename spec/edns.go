package spec

import (
	"encoding/hex"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
)

const (
	// maxChaos is what one string of a TXT record holds (RFC 1035 section 3.3).
	maxChaos = 255
	// reportLabels is the length of what stands before the agent domain in the
	// shortest name of a report, _er.1.7._er for the root's own name (RFC 9567
	// section 6.1.1).
	reportLabels = 4 + 2 + 2 + 4
	maxName      = 255 // RFC 1035 section 2.3.4
)

// edns decodes the keys of dns that say what goes along with answers.
func (d *decoder) edns(dns *DNS, o *object) {
	dns.NSID = o.text("nsid")
	if len(dns.NSID) > 128 {
		d.fail(o.get("nsid").val(), o.path.dot("nsid"), "%d bytes are too long: at most 128", len(dns.NSID))
	}
	if e := o.get("cookie_secret"); e != nil {
		dns.CookieSecrets = d.cookieSecrets(e.val(), o.path.dot("cookie_secret"))
	}
	dns.RequireCookie = o.boolean("require_cookie")
	if e := o.get("chaos"); e != nil {
		dns.Chaos = d.chaos(d.object(&chaosSection, o.path.dot("chaos"), e.key, e.val()))
	}
	if e := o.get("report_channel"); e != nil {
		dns.ReportChannel = d.agentDomain(e.val(), o.path.dot("report_channel"))
	}
}

// cookieSecrets is one secret or a list of them. No message may show any.
func (d *decoder) cookieSecrets(r document.Node, p *path) [][16]byte {
	if r.Kind() != document.Sequence {
		if secret, ok := d.cookieSecret(r, p); ok {
			return [][16]byte{secret}
		}
		return nil
	}
	items := d.list(r, p)
	if len(items) == 0 {
		d.fail(r, p, "the list is empty: state a secret, or remove the key for a random one")
	}
	var out [][16]byte
	first := map[[16]byte]document.Node{}
	for i, it := range items {
		secret, ok := d.cookieSecret(it, p.at(i))
		if !ok {
			continue
		}
		if at, twice := first[secret]; twice {
			d.fail(it, p.at(i), "stated twice; first at %s", where(at))
			continue
		}
		first[secret] = it
		out = append(out, secret)
	}
	return out
}

func (d *decoder) cookieSecret(r document.Node, p *path) (secret [16]byte, ok bool) {
	const remedy = "make some with openssl rand -hex 16"
	s, ok := d.text(r, p)
	if !ok {
		return secret, false
	}
	if len(s) != hex.EncodedLen(len(secret)) {
		d.fail(r, p, "32 hex digits are expected, not %d characters: %s", len([]rune(s)), remedy)
		return secret, false
	}
	if _, err := hex.Decode(secret[:], []byte(s)); err != nil {
		d.fail(r, p, "32 hex digits are expected, and not all of these are: %s", remedy)
		return secret, false
	}
	return secret, true
}

func (d *decoder) chaos(o *object) Chaos {
	text := func(name string) string {
		s := o.text(name)
		if len(s) > maxChaos {
			d.fail(o.get(name).val(), o.path.dot(name), "%d bytes are too long: at most %d", len(s), maxChaos)
		}
		return s
	}
	return Chaos{Version: text("version"), ID: text("id")}
}

func (d *decoder) agentDomain(r document.Node, p *path) dnswire.Name {
	s, ok := d.text(r, p)
	if !ok {
		return ""
	}
	name, why := dnswire.Root, ""
	if s != "." {
		name, why = within(dnswire.Root, s)
	}
	switch {
	case s == "":
		d.fail(r, p, "a value is missing")
	case why != "":
		d.fail(r, p, "%s", why)
	case name == dnswire.Root:
		d.fail(r, p, "the root takes no reports: state a name of your own, such as report.example.com")
	case reportLabels+len(name) > maxName:
		d.fail(r, p, "%d characters are too long: no name of a report fits before them; at most %d",
			len(strings.TrimSuffix(s, ".")), maxName-reportLabels-2)
	default:
		return name
	}
	return ""
}
