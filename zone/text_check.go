package zone

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
	"github.com/rhumb-dns/rhumb/dnswire"
)

// The types that need a word here and nowhere else.
const (
	typeNULL     dnswire.Type = 10
	typeLOC      dnswire.Type = 29
	typeAPL      dnswire.Type = 42
	typeIPSECKEY dnswire.Type = 45
	typeURI      dnswire.Type = 256
	typeAMTRELAY dnswire.Type = 260
)

// form is what the tokens of a type's data must be before miekg/dns reads them:
// it does without some that are missing, and leaves out some that are too many.
type form struct {
	min, max int // tokens; 0 is any number
	text     words
}

// words is the tokens that are character strings, from and to behind the last.
// No other token may be in quotes.
type words struct{ from, to int }

var (
	nothing    = words{}
	everything = words{0, math.MaxInt}
)

// forms are by type; a type that is missing has no rule.
var forms = map[dnswire.Type]form{
	dnswire.TypeTXT:    {1, 0, everything},
	99:                 {1, 0, everything}, // SPF
	56:                 {1, 0, everything}, // NINFO
	258:                {1, 0, everything}, // AVC
	261:                {1, 0, everything}, // RESINFO
	dnswire.TypeHINFO:  {2, 2, everything},
	19:                 {1, 1, everything},  // X25
	20:                 {1, 2, everything},  // ISDN
	27:                 {3, 3, everything},  // GPOS
	100:                {1, 1, everything},  // UINFO
	35:                 {6, 6, words{2, 5}}, // NAPTR
	dnswire.TypeCAA:    {3, 3, words{2, 3}},
	typeURI:            {3, 3, words{2, 3}},
	24:                 {9, 0, nothing}, // SIG
	dnswire.TypeRRSIG:  {9, 0, nothing},
	37:                 {4, 0, nothing}, // CERT
	dnswire.TypeDS:     {4, 0, nothing},
	59:                 {4, 0, nothing}, // CDS
	32768:              {4, 0, nothing}, // TA
	32769:              {4, 0, nothing}, // DLV
	dnswire.TypeDNSKEY: {4, 0, nothing},
	60:                 {4, 0, nothing}, // CDNSKEY
	44:                 {3, 0, nothing}, // SSHFP
	52:                 {4, 0, nothing}, // TLSA
	53:                 {4, 0, nothing}, // SMIMEA
	63:                 {4, 0, nothing}, // ZONEMD
	55:                 {3, 0, nothing}, // HIP
	51:                 {4, 4, nothing}, // NSEC3PARAM
	50:                 {5, 0, nothing}, // NSEC3
}

// checkForm judges the tokens of data and gives them as miekg/dns wants them.
func checkForm(t dnswire.Type, tokens []token) ([]token, error) {
	f := forms[t]
	if f.max > 0 && len(tokens) > f.max {
		return nil, fmt.Errorf("unexpected %q after the data", tokens[f.max].text)
	}
	if len(tokens) < f.min {
		return nil, fmt.Errorf("the data are incomplete: %d items where %d belong", len(tokens), f.min)
	}
	params := t == dnswire.TypeSVCB || t == dnswire.TypeHTTPS
	for i, tok := range tokens {
		text := f.text.from <= i && i < f.text.to
		switch {
		case tok.mixed && !params:
			return nil, fmt.Errorf(`a " in the middle of %q: put it all into quotes, or \ before the "`, tok.text)
		case tok.quoted && !text:
			return nil, fmt.Errorf("%q: only text is written in quotes", tok.text)
		case text && textLen(tok.text) > 255:
			if t == dnswire.TypeCAA || t == typeURI {
				return nil, errors.New(`a value of more than 255 bytes is written as \#, the length of the data and hexadecimal digits (RFC 3597 section 5)`)
			}
			return nil, errors.New("a string is longer than 255 bytes: divide it into several")
		}
	}
	switch t {
	case 35: // NAPTR
		tokens = slices.Clone(tokens)
		for i := f.text.from; i < f.text.to; i++ {
			tokens[i].quoted = true // miekg/dns insists on it, RFC 3403 does not
		}
	case 19: // X25
		return digitsOnly(tokens)
	case 27: // GPOS
		return decimals(tokens)
	case typeLOC:
		return locTokens(tokens)
	case dnswire.TypeCAA:
		if !isTag(tokens[1].text) {
			return nil, fmt.Errorf("tag %q is not of letters and digits", tokens[1].text)
		}
	}
	return tokens, nil
}

// isTag is whether s is a CAA tag (RFC 8659 section 4.1).
func isTag(s string) bool {
	for i := range len(s) {
		if c := lower[s[i]]; !isDigit(c) && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// digitsOnly is the PSDN address of RFC 1183 section 3.1, without its quotes.
func digitsOnly(tokens []token) ([]token, error) {
	t := tokens[0]
	if t.text == "" || strings.Trim(t.text, "0123456789") != "" {
		return nil, fmt.Errorf("address %q is not of digits", t.text)
	}
	return []token{{text: t.text}}, nil
}

// decimals is tokens without their quotes, where they are decimal numbers.
func decimals(tokens []token) ([]token, error) {
	out := make([]token, len(tokens))
	for i, t := range tokens {
		if !isDecimal(t.text) {
			return nil, fmt.Errorf("%q is not a decimal number", t.text)
		}
		out[i].text = t.text
	}
	return out, nil
}

// isDecimal is whether s is a number with perhaps a sign and a fraction. Go's
// parser of floats takes NaN, infinity and hexadecimal besides.
func isDecimal(s string) bool {
	s = strings.TrimLeft(s, "+-")
	whole, part, _ := strings.Cut(s, ".")
	return whole+part != "" && strings.Trim(whole+part, "0123456789") == "" && len(s) < 20
}

// locTokens is the data of LOC with the minutes and seconds that may be left
// out (RFC 1876 section 3): two of degrees, minutes, seconds and direction, an
// altitude, and up to three sizes.
func locTokens(tokens []token) ([]token, error) {
	out := make([]token, 0, 12)
	i := 0
	for _, ways := range []string{"NS", "EW"} {
		n := 0
		for ; i < len(tokens) && n < 3 && isDecimal(tokens[i].text); n++ {
			out = append(out, tokens[i])
			i++
		}
		if n == 0 || i == len(tokens) || len(tokens[i].text) != 1 || !strings.Contains(ways, strings.ToUpper(tokens[i].text)) {
			return nil, fmt.Errorf("not degrees, minutes, seconds and one of %s and %s", ways[:1], ways[1:])
		}
		for ; n < 3; n++ {
			out = append(out, token{text: "0"})
		}
		out = append(out, tokens[i])
		i++
	}
	sizes := tokens[i:]
	if len(sizes) < 1 || len(sizes) > 4 {
		return nil, errors.New("not an altitude and up to three sizes after the position")
	}
	for _, t := range sizes {
		metres := strings.TrimRight(t.text, "mM")
		if len(t.text)-len(metres) > 1 || !isDecimal(metres) {
			return nil, fmt.Errorf("%q is not metres", t.text)
		}
	}
	altitude, _ := strconv.ParseFloat(strings.TrimRight(sizes[0].text, "mM"), 64)
	if altitude < -100_000 || altitude > 42_849_672.95 {
		return nil, fmt.Errorf("altitude %s is not from -100000 to 42849672.95 metres", sizes[0].text)
	}
	return append(out, sizes...), nil
}

// mend puts right what miekg/dns reads wrongly from tokens, those of checkForm.
func mend(rr dns.RR, tokens []token) error {
	switch rr := rr.(type) {
	case *dns.NSEC:
		rr.TypeBitMap = sorted(rr.TypeBitMap)
	case *dns.NSEC3:
		rr.TypeBitMap = sorted(rr.TypeBitMap)
	case *dns.CSYNC:
		rr.TypeBitMap = sorted(rr.TypeBitMap)
	case *dns.NXT:
		rr.TypeBitMap = sorted(rr.TypeBitMap)
	case *dns.LOC:
		return mendLOC(rr, tokens)
	}
	return nil
}

// sorted is a type bitmap's types in the order that it has them; text may have
// another, and miekg/dns wants this one.
func sorted(types []uint16) []uint16 {
	slices.Sort(types)
	return slices.Compact(types)
}

// mendLOC computes the position in whole thousandths of a second: by floating
// point some come out one short.
func mendLOC(rr *dns.LOC, tokens []token) error {
	for i, at := range []*uint32{&rr.Latitude, &rr.Longitude} {
		var ms uint64
		t := tokens[4*i : 4*i+4]
		for j, unit := range []uint64{3_600_000, 60_000} {
			n, err := strconv.ParseUint(t[j].text, 10, 8)
			if err != nil {
				return fmt.Errorf("%q is not a whole number", t[j].text)
			}
			ms += n * unit
		}
		whole, part, _ := strings.Cut(t[2].text, ".")
		n, err := strconv.ParseUint(whole+(part + "000")[:3], 10, 32)
		if err != nil || len(part) > 3 {
			return fmt.Errorf("%q is not seconds and up to three decimals", t[2].text)
		}
		ms += n
		if limit := uint64(90+90*i) * 3_600_000; ms > limit {
			return fmt.Errorf("a position beyond %d degrees", 90+90*i)
		}
		*at = dns.LOC_EQUATOR + uint32(ms)
		if c := t[3].text; strings.EqualFold(c, "S") || strings.EqualFold(c, "W") {
			*at = dns.LOC_EQUATOR - uint32(ms)
		}
	}
	return nil
}

// digestLens are the lengths in bytes of the digests of DS (RFC 4034 appendix
// A.2, RFC 4509, RFC 6605).
var digestLens = map[uint8]int{1: 20, 2: 32, 4: 48}

// checkRR refuses what miekg/dns accepts and the RFC of the type does not.
func checkRR(rr dns.RR) error {
	switch rr := rr.(type) {
	case *dns.DS:
		return checkDS(rr)
	case *dns.CDS:
		return checkDS(&rr.DS)
	case *dns.DLV:
		return checkDS(&rr.DS)
	case *dns.SVCB:
		return checkSVCB(rr)
	case *dns.HTTPS:
		return checkSVCB(&rr.SVCB)
	}
	return nil
}

func checkDS(rr *dns.DS) error {
	if n, known := digestLens[rr.DigestType]; known && len(rr.Digest) != 2*n {
		return fmt.Errorf("digest type %d has %d bytes, and not %d", rr.DigestType, n, len(rr.Digest)/2)
	}
	return nil
}

// checkSVCB is RFC 9460 sections 2.4.3, 7 and 8. That parameters are repeated or
// out of order is found elsewhere. Parameters in AliasMode are useless, but
// clients ignore them and no rule forbids them (section 2.4.2).
func checkSVCB(rr *dns.SVCB) error {
	present := func(key dns.SVCBKey) bool {
		return slices.ContainsFunc(rr.Value, func(p dns.SVCBKeyValue) bool { return p.Key() == key })
	}
	for _, p := range rr.Value {
		switch p := p.(type) {
		case *dns.SVCBMandatory:
			if len(p.Code) == 0 {
				return errors.New("mandatory: lists no key")
			}
			for i, key := range p.Code {
				switch {
				case key == dns.SVCB_MANDATORY:
					return errors.New("mandatory: lists itself")
				case key == 65535:
					return errors.New("mandatory: lists what is not a key")
				case i > 0 && key <= p.Code[i-1]:
					return fmt.Errorf("mandatory: lists %s twice", key)
				case !present(key):
					return fmt.Errorf("mandatory: lists %s, which is absent", key)
				}
			}
		case *dns.SVCBAlpn:
			if len(p.Alpn) == 0 {
				return errors.New("alpn: is empty")
			}
		case *dns.SVCBNoDefaultAlpn:
			if !present(dns.SVCB_ALPN) {
				return errors.New("no-default-alpn: alpn is absent")
			}
		case *dns.SVCBIPv4Hint:
			if len(p.Hint) == 0 {
				return errors.New("ipv4hint: is empty")
			}
		case *dns.SVCBIPv6Hint:
			if len(p.Hint) == 0 {
				return errors.New("ipv6hint: is empty")
			}
		case *dns.SVCBECHConfig:
			if len(p.ECH) == 0 {
				return errors.New("ech: is empty")
			}
		}
	}
	return nil
}
