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
	typeWKS      dnswire.Type = 11
	typeX25      dnswire.Type = 19
	typeNSAP     dnswire.Type = 22
	typeSIG      dnswire.Type = 24
	typeKEY      dnswire.Type = 25
	typeGPOS     dnswire.Type = 27
	typeLOC      dnswire.Type = 29
	typeNXT      dnswire.Type = 30
	typeNAPTR    dnswire.Type = 35
	typeCERT     dnswire.Type = 37
	typeAPL      dnswire.Type = 42
	typeIPSECKEY dnswire.Type = 45
	typeNSEC     dnswire.Type = 47
	typeNSEC3    dnswire.Type = 50
	typeRKEY     dnswire.Type = 57
	typeCSYNC    dnswire.Type = 62
	typeDSYNC    dnswire.Type = 66
	typeHHIT     dnswire.Type = 67
	typeBRID     dnswire.Type = 68
	typeNID      dnswire.Type = 104
	typeL64      dnswire.Type = 106
	typeURI      dnswire.Type = 256
	typeAMTRELAY dnswire.Type = 260
	typeWALLET   dnswire.Type = 262
	typeTA       dnswire.Type = 32768
	typeDLV      dnswire.Type = 32769
)

// form is what the tokens of a type's data must be before they are read:
// miekg/dns does without some that are missing, and leaves out some that are too
// many.
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
	typeWKS:            {2, 0, nothing},
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
	typeNSAP:           {1, 1, nothing},
	23:                 {1, 1, nothing}, // NSAP-PTR
	typeSIG:            {9, 0, nothing},
	typeKEY:            {3, 0, nothing},
	26:                 {3, 3, nothing}, // PX
	typeGPOS:           {3, 3, everything},
	dnswire.TypeAAAA:   {1, 1, nothing},
	typeNXT:            {1, 0, nothing},
	31:                 {1, 0, nothing}, // EID
	32:                 {1, 0, nothing}, // NIMLOC
	dnswire.TypeSRV:    {4, 4, nothing},
	typeNAPTR:          {6, 6, words{2, 5}},
	36:                 {2, 2, nothing}, // KX
	typeCERT:           {4, 0, nothing},
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
	typeRKEY:           {3, 0, nothing},
	58:                 {2, 2, nothing}, // TALINK
	59:                 {4, 0, nothing}, // CDS
	60:                 {4, 0, nothing}, // CDNSKEY
	61:                 {1, 0, nothing}, // OPENPGPKEY
	typeCSYNC:          {2, 0, nothing},
	63:                 {4, 0, nothing}, // ZONEMD
	dnswire.TypeSVCB:   {2, 0, nothing},
	dnswire.TypeHTTPS:  {2, 0, nothing},
	typeDSYNC:          {4, 4, nothing},
	typeHHIT:           {1, 0, nothing},
	typeBRID:           {1, 0, nothing},
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
	typeWALLET:         {1, 0, everything},
	typeTA:             {4, 0, nothing},
	typeDLV:            {4, 0, nothing},
}

// checkForm judges the tokens of data and gives them as the reader of the type
// wants them.
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
		case text && textLen(tok.text) > 255 && t != dnswire.TypeCAA && t != typeURI:
			return nil, errors.New("a string is longer than 255 bytes: divide it into several")
		}
	}
	tokens, err := withNumbers(t, tokens)
	if err != nil {
		return nil, err
	}
	switch t {
	case dnswire.TypeRRSIG, typeSIG:
		return typeTokens(tokens, 0, 1)
	case typeNSEC, typeNXT:
		return typeTokens(tokens, 1, len(tokens))
	case typeCSYNC:
		return typeTokens(tokens, 2, len(tokens))
	case typeNSEC3:
		if !isBase32(tokens[4].text) {
			return nil, fmt.Errorf("hash %s is not base32 without padding", cite(tokens[4].text))
		}
		return typeTokens(tokens, 5, len(tokens))
	case typeIPSECKEY:
		return tokens, gatewayType(tokens[1].text)
	case typeAMTRELAY:
		return tokens, gatewayType(tokens[2].text)
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
	}
	return tokens, nil
}

// gatewayType judges a type that says what the gateway is written as (RFC 4025
// section 2.3, RFC 8777 section 4.2.3).
func gatewayType(s string) error {
	if n, err := strconv.ParseUint(s, 10, 8); err != nil || n > 3 {
		return fmt.Errorf("gateway type %s is not a number from 0 to 3", cite(s))
	}
	return nil
}

// isBase32 is whether s is whole bytes in base32 with the extended alphabet
// (RFC 4648 section 7), up to 255 and without padding (RFC 5155 section 3.3).
func isBase32(s string) bool {
	for i := range len(s) {
		if c := lower[s[i]]; !isDigit(c) && (c < 'a' || c > 'v') {
			return false
		}
	}
	switch len(s) % 8 {
	case 1, 3, 6:
		return false
	}
	return s != "" && len(s)*5/8 <= 255
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
		rr.HashLength = uint8(len(rr.NextDomain) * 5 / 8) // judged by isBase32
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

// The lengths in bytes of digests by their type.
var (
	digestLens      = map[uint8]int{1: 20, 2: 32, 4: 48} // DS: RFC 4034 appendix A.2, RFC 4509, RFC 6605
	fingerprintLens = map[uint8]int{1: 20, 2: 32}        // SSHFP: RFC 4255 section 3.1.2, RFC 6594
	zoneDigestLens  = map[uint8]int{1: 48, 2: 64}        // ZONEMD: RFC 8976 section 5.3
	ownerHashLens   = map[uint8]int{1: 20}               // NSEC3: RFC 5155 section 11
)

// checkRR refuses what miekg/dns accepts and the RFC of the type does not.
func checkRR(rr dns.RR) error {
	switch rr := rr.(type) {
	case *dns.DS:
		return checkLen("digest type", rr.DigestType, digestLens, len(rr.Digest)/2)
	case *dns.CDS:
		return checkLen("digest type", rr.DigestType, digestLens, len(rr.Digest)/2)
	case *dns.DLV:
		return checkLen("digest type", rr.DigestType, digestLens, len(rr.Digest)/2)
	case *dns.SSHFP:
		return checkLen("fingerprint type", rr.Type, fingerprintLens, len(rr.FingerPrint)/2)
	case *dns.ZONEMD:
		if len(rr.Digest)/2 < 12 {
			return errors.New("the digest is shorter than 12 bytes (RFC 8976 section 2.2.4)")
		}
		return checkLen("hash algorithm", rr.Hash, zoneDigestLens, len(rr.Digest)/2)
	case *dns.NSEC3:
		return checkLen("hash algorithm", rr.Hash, ownerHashLens, int(rr.HashLength))
	}
	return nil
}

// checkLen judges the length of a digest whose type says it.
func checkLen(what string, typ uint8, lens map[uint8]int, got int) error {
	if n, known := lens[typ]; known && n != got {
		return fmt.Errorf("%s %d has %d bytes, and not %d", what, typ, n, got)
	}
	return nil
}
