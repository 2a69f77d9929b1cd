package text

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
	typeX25      dnswire.Type = 19
	typeSIG      dnswire.Type = 24
	typeGPOS     dnswire.Type = 27
	typeLOC      dnswire.Type = 29
	typeNXT      dnswire.Type = 30
	typeNAPTR    dnswire.Type = 35
	typeAPL      dnswire.Type = 42
	typeIPSECKEY dnswire.Type = 45
	typeNSEC     dnswire.Type = 47
	typeNSEC3    dnswire.Type = 50
	typeCSYNC    dnswire.Type = 62
	typeNID      dnswire.Type = 104
	typeL64      dnswire.Type = 106
	typeURI      dnswire.Type = 256
	typeAMTRELAY dnswire.Type = 260
)

// form is what the tokens of a type's data must be before miekg/dns reads them:
// it does without some that are missing, and leaves out some that are too many.
type form struct {
	min, max int // tokens; 0 is any number
	text     words
}

// words are the tokens that are character strings, from and to behind the last.
// No other token may be in quotes.
type words struct{ from, to int }

var (
	nothing    = words{}
	everything = words{0, math.MaxInt}
)

// forms are by type. APL has none, for it may be empty, and LOC's are counted
// by locTokens.
var forms = map[dnswire.Type]form{
	dnswire.TypeA:      {1, 1, nothing},
	dnswire.TypeNS:     {1, 1, nothing},
	3:                  {1, 1, nothing}, // MD
	4:                  {1, 1, nothing}, // MF
	dnswire.TypeCNAME:  {1, 1, nothing},
	dnswire.TypeSOA:    {7, 7, nothing},
	7:                  {1, 1, nothing}, // MB
	8:                  {1, 1, nothing}, // MG
	9:                  {1, 1, nothing}, // MR
	dnswire.TypePTR:    {1, 1, nothing},
	dnswire.TypeHINFO:  {2, 2, everything},
	14:                 {2, 2, nothing}, // MINFO
	dnswire.TypeMX:     {2, 2, nothing},
	dnswire.TypeTXT:    {1, 0, everything},
	17:                 {2, 2, nothing}, // RP
	18:                 {2, 2, nothing}, // AFSDB
	typeX25:            {1, 1, everything},
	20:                 {1, 2, everything}, // ISDN
	21:                 {2, 2, nothing},    // RT
	23:                 {1, 1, nothing},    // NSAP-PTR
	typeSIG:            {9, 0, nothing},
	25:                 {3, 0, nothing}, // KEY
	26:                 {3, 3, nothing}, // PX
	typeGPOS:           {3, 3, everything},
	dnswire.TypeAAAA:   {1, 1, nothing},
	typeNXT:            {1, 0, nothing},
	31:                 {1, 0, nothing}, // EID
	32:                 {1, 0, nothing}, // NIMLOC
	dnswire.TypeSRV:    {4, 4, nothing},
	typeNAPTR:          {6, 6, words{2, 5}},
	36:                 {2, 2, nothing}, // KX
	37:                 {4, 0, nothing}, // CERT
	39:                 {1, 1, nothing}, // DNAME
	dnswire.TypeDS:     {4, 0, nothing},
	44:                 {3, 0, nothing}, // SSHFP
	typeIPSECKEY:       {4, 0, nothing},
	dnswire.TypeRRSIG:  {9, 0, nothing},
	typeNSEC:           {1, 0, nothing},
	dnswire.TypeDNSKEY: {4, 0, nothing},
	49:                 {1, 0, nothing}, // DHCID
	typeNSEC3:          {5, 0, nothing},
	51:                 {4, 4, nothing},    // NSEC3PARAM
	52:                 {4, 0, nothing},    // TLSA
	53:                 {4, 0, nothing},    // SMIMEA
	55:                 {3, 0, nothing},    // HIP
	56:                 {1, 0, everything}, // NINFO
	57:                 {3, 0, nothing},    // RKEY
	58:                 {2, 2, nothing},    // TALINK
	59:                 {4, 0, nothing},    // CDS
	60:                 {4, 0, nothing},    // CDNSKEY
	61:                 {1, 0, nothing},    // OPENPGPKEY
	typeCSYNC:          {2, 0, nothing},
	63:                 {4, 0, nothing}, // ZONEMD
	dnswire.TypeSVCB:   {2, 0, nothing},
	dnswire.TypeHTTPS:  {2, 0, nothing},
	99:                 {1, 0, everything}, // SPF
	100:                {1, 1, everything}, // UINFO
	101:                {1, 1, nothing},    // UID
	102:                {1, 1, nothing},    // GID
	104:                {2, 2, nothing},    // NID
	105:                {2, 2, nothing},    // L32
	106:                {2, 2, nothing},    // L64
	107:                {2, 2, nothing},    // LP
	108:                {1, 1, nothing},    // EUI48
	109:                {1, 1, nothing},    // EUI64
	typeURI:            {3, 3, words{2, 3}},
	dnswire.TypeCAA:    {3, 3, words{2, 3}},
	258:                {1, 0, everything}, // AVC
	typeAMTRELAY:       {4, 4, nothing},
	261:                {1, 0, everything}, // RESINFO
	32768:              {4, 0, nothing},    // TA
	32769:              {4, 0, nothing},    // DLV
}

// checkForm judges the tokens of data and gives them as miekg/dns wants them.
func checkForm(t dnswire.Type, tokens []token) ([]token, error) {
	f := forms[t]
	if f.max > 0 && len(tokens) > f.max {
		return nil, fmt.Errorf("unexpected %s after the data", cite(tokens[f.max].text))
	}
	if len(tokens) < f.min {
		return nil, fmt.Errorf("the data are incomplete: %d of %d items", len(tokens), f.min)
	}
	params := t == dnswire.TypeSVCB || t == dnswire.TypeHTTPS
	for i, tok := range tokens {
		text := f.text.from <= i && i < f.text.to
		switch {
		case tok.mixed && !params:
			return nil, fmt.Errorf(`a " in the middle of %s: put it all into quotes, or \ before the "`, cite(tok.text))
		case tok.quoted && !text:
			return nil, fmt.Errorf("%s: only text is written in quotes", cite(tok.text))
		case text && textLen(tok.text) > 255:
			if t == dnswire.TypeCAA || t == typeURI {
				return nil, errors.New(`a value of more than 255 bytes is written as \#, the length of the data and hexadecimal digits (RFC 3597 section 5)`)
			}
			return nil, errors.New("a string is longer than 255 bytes: divide it into several")
		}
	}
	switch t {
	case dnswire.TypeRRSIG, typeSIG:
		for _, tok := range tokens[4:6] {
			_, ok := parseTime(tok.text)
			if _, err := strconv.ParseUint(tok.text, 10, 32); err != nil && !ok {
				return nil, fmt.Errorf("%s is not a time such as 20300131235959, up to 2106", cite(tok.text))
			}
		}
		return typeTokens(tokens, 0, 1)
	case typeNSEC, typeNXT:
		return typeTokens(tokens, 1, len(tokens))
	case typeCSYNC:
		return typeTokens(tokens, 2, len(tokens))
	case typeNSEC3:
		return typeTokens(tokens, 5, len(tokens))
	case typeNAPTR:
		tokens = slices.Clone(tokens)
		for i := f.text.from; i < f.text.to; i++ {
			tokens[i].quoted = true // miekg/dns insists on it, RFC 3403 does not
		}
	case typeX25:
		return digitsOnly(tokens)
	case typeGPOS:
		return decimals(tokens)
	case typeLOC:
		return locTokens(tokens)
	case typeNID, typeL64:
		return nodeTokens(tokens)
	case dnswire.TypeCAA:
		if !isTag(tokens[1].text) {
			return nil, fmt.Errorf("tag %s is not of letters and digits", cite(tokens[1].text))
		}
	}
	return tokens, nil
}

// typeTokens is tokens with the types from and to behind the last as numbers:
// miekg/dns does not know all, and takes other words for types.
func typeTokens(tokens []token, from, to int) ([]token, error) {
	out := slices.Clone(tokens)
	for i := from; i < to; i++ {
		t, err := dnswire.ParseType(tokens[i].text)
		if err != nil {
			return nil, fmt.Errorf("no record type %s", cite(tokens[i].text))
		}
		out[i] = token{text: "TYPE" + strconv.Itoa(int(t))}
	}
	return out, nil
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
		return nil, fmt.Errorf("address %s is not of digits", cite(t.text))
	}
	return []token{{text: t.text}}, nil
}

// decimals is tokens without their quotes, where they are decimal numbers.
func decimals(tokens []token) ([]token, error) {
	out := make([]token, len(tokens))
	for i, t := range tokens {
		if !isDecimal(t.text) {
			return nil, fmt.Errorf("%s is not a decimal number", cite(t.text))
		}
		out[i].text = t.text
	}
	return out, nil
}

// nodeTokens is the data of NID and L64 with all the zeros that miekg/dns wants
// in the four groups, as in an IPv6 address (RFC 6742 section 2.1.2).
func nodeTokens(tokens []token) ([]token, error) {
	groups := strings.Split(tokens[1].text, ":")
	ok := len(groups) == 4
	for i, g := range groups {
		_, err := strconv.ParseUint(g, 16, 16)
		ok = ok && err == nil && len(g) <= 4
		groups[i] = strings.Repeat("0", max(4-len(g), 0)) + g
	}
	if !ok {
		return nil, fmt.Errorf("%s is not four groups of hexadecimal digits", cite(tokens[1].text))
	}
	return []token{tokens[0], {text: strings.Join(groups, ":")}}, nil
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
		if _, err := angle(out[len(out)-4:], 90+90*uint64(len(out)/8)); err != nil {
			return nil, err
		}
	}
	sizes := tokens[i:]
	if len(sizes) < 1 || len(sizes) > 4 {
		return nil, errors.New("not an altitude and up to three sizes after the position")
	}
	for _, t := range sizes {
		metres := strings.TrimRight(t.text, "mM")
		if len(t.text)-len(metres) > 1 || !isDecimal(metres) {
			return nil, fmt.Errorf("%s is not metres", cite(t.text))
		}
	}
	altitude, _ := strconv.ParseFloat(strings.TrimRight(sizes[0].text, "mM"), 64)
	if altitude < -100_000 || altitude > 42_849_672.95 {
		return nil, fmt.Errorf("altitude %s is not from -100000 to 42849672.95 metres", sizes[0].text)
	}
	return append(out, sizes...), nil
}

// angle is the whole thousandths of a second of degrees, minutes and seconds,
// up to a limit in degrees.
func angle(t []token, limit uint64) (ms uint64, err error) {
	degrees, err := strconv.ParseUint(t[0].text, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%s is not whole degrees up to %d", cite(t[0].text), limit)
	}
	minutes, err := strconv.ParseUint(t[1].text, 10, 8)
	if err != nil || minutes > 59 {
		return 0, fmt.Errorf("%s is not whole minutes up to 59", cite(t[1].text))
	}
	whole, part, _ := strings.Cut(t[2].text, ".")
	ms, err = strconv.ParseUint(whole+(part + "000")[:3], 10, 32)
	if err != nil || len(part) > 3 || ms >= 60_000 {
		return 0, fmt.Errorf("%s is not seconds below 60 with up to three decimals", cite(t[2].text))
	}
	ms += degrees*3_600_000 + minutes*60_000
	if ms > limit*3_600_000 {
		return 0, fmt.Errorf("a position beyond %d degrees", limit)
	}
	return ms, nil
}

// mend puts right what miekg/dns reads wrongly from tokens, those of checkForm.
func mend(rr dns.RR, tokens []token) {
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
		// By floating point some positions come out one short.
		rr.Latitude = position(tokens[:4], 90)
		rr.Longitude = position(tokens[4:8], 180)
	}
}

// position is an angle and its direction as LOC has them (RFC 1876 section 2).
func position(t []token, limit uint64) uint32 {
	ms, _ := angle(t, limit) // judged by locTokens
	if c := t[3].text; strings.EqualFold(c, "S") || strings.EqualFold(c, "W") {
		return dns.LOC_EQUATOR - uint32(ms)
	}
	return dns.LOC_EQUATOR + uint32(ms)
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
