package text

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// algorithms are the mnemonics of DNSSEC algorithms: those of IANA's registry
// (RFC 4034 appendix A.1 and later), and the other spellings that BIND and
// RFC 4034 have.
var algorithms = map[string]uint8{
	"DELETE": 0, "RSAMD5": 1, "DH": 2, "DSA": 3, "ECC": 4, "RSASHA1": 5,
	"DSA-NSEC3-SHA1": 6, "NSEC3DSA": 6, "RSASHA1-NSEC3-SHA1": 7, "NSEC3RSASHA1": 7,
	"RSASHA256": 8, "RSASHA512": 10, "ECC-GOST": 12, "ECCGOST": 12,
	"ECDSAP256SHA256": 13, "ECDSAP384SHA384": 14, "ED25519": 15, "ED448": 16,
	"SM2SM3": 17, "ECC-GOST12": 23,
	"INDIRECT": 252, "PRIVATEDNS": 253, "PRIVATEOID": 254,
}

// certTypes are the mnemonics of RFC 4398 section 2.1.
var certTypes = map[string]uint16{
	"PKIX": 1, "SPKI": 2, "PGP": 3, "IPKIX": 4, "ISPKI": 5, "IPGP": 6, "ACPKIX": 7, "IACPKIX": 8,
	"URI": 253, "OID": 254,
}

// algorithmAt is where the data of a type have a DNSSEC algorithm.
var algorithmAt = map[dnswire.Type]int{
	typeSIG: 1, typeKEY: 2, typeCERT: 2, dnswire.TypeDS: 1, dnswire.TypeRRSIG: 1,
	dnswire.TypeDNSKEY: 2, typeRKEY: 2, dnswire.TypeCDS: 1, dnswire.TypeCDNSKEY: 2, typeTA: 1, typeDLV: 1,
}

// withNumbers is tokens with numbers for the mnemonics of algorithms and of
// certificates, in any letter case, and for times: miekg/dns knows some, and in
// some types.
func withNumbers(t dnswire.Type, tokens []token) ([]token, error) {
	at, ok := algorithmAt[t]
	if !ok {
		return tokens, nil
	}
	tokens = slices.Clone(tokens)
	s := tokens[at].text
	if n, ok := algorithms[strings.ToUpper(s)]; ok {
		tokens[at].text = strconv.Itoa(int(n))
	} else if _, err := strconv.ParseUint(s, 10, 8); err != nil {
		return nil, fmt.Errorf("algorithm %s is not a number from 0 to 255 or a mnemonic such as RSASHA256", cite(s))
	}
	switch t {
	case typeCERT:
		s := tokens[0].text
		if n, ok := certTypes[strings.ToUpper(s)]; ok {
			tokens[0].text = strconv.Itoa(int(n))
		} else if _, err := strconv.ParseUint(s, 10, 16); err != nil {
			return nil, fmt.Errorf("type %s is not a number from 0 to 65535 or a mnemonic such as PKIX", cite(s))
		}
	case dnswire.TypeRRSIG, typeSIG:
		for i := 4; i < 6; i++ {
			seconds, ok := parseTime(tokens[i].text)
			if !ok {
				return nil, fmt.Errorf("%s is not a time such as 20300131235959, nor seconds since 1970 up to 4294967295", cite(tokens[i].text))
			}
			tokens[i].text = strconv.FormatUint(uint64(seconds), 10)
		}
	case dnswire.TypeCDS, dnswire.TypeCDNSKEY:
		return deletion(t, tokens), nil
	}
	return tokens, nil
}

// deletion puts right the request to delete a DS as RFC 8078 section 4 writes
// it: its last 0 stands for a byte, and is neither hexadecimal nor base64.
func deletion(t dnswire.Type, tokens []token) []token {
	const last = 3
	if len(tokens) != last+1 || tokens[last].text != "0" {
		return tokens
	}
	switch {
	case t == dnswire.TypeCDS && tokens[0].text == "0" && tokens[1].text == "0" && tokens[2].text == "0":
		tokens[last].text = "00"
	case t == dnswire.TypeCDNSKEY && tokens[0].text == "0" && tokens[1].text == "3" && tokens[2].text == "0":
		tokens[last].text = "AA=="
	}
	return tokens
}
