package dnswire

// Type is a DNS record type.
type Type uint16

// The record types that Rhumb itself needs to know.
const (
	TypeA          Type = 1
	TypeNS         Type = 2
	TypeCNAME      Type = 5
	TypeSOA        Type = 6
	TypePTR        Type = 12
	TypeHINFO      Type = 13
	TypeMX         Type = 15
	TypeTXT        Type = 16
	TypeAFSDB      Type = 18
	TypeRT         Type = 21
	TypeAAAA       Type = 28
	TypeSRV        Type = 33
	TypeNAPTR      Type = 35
	TypeKX         Type = 36
	TypeDNAME      Type = 39
	TypeOPT        Type = 41
	TypeDS         Type = 43
	TypeRRSIG      Type = 46
	TypeNSEC       Type = 47
	TypeDNSKEY     Type = 48
	TypeNSEC3      Type = 50
	TypeNSEC3PARAM Type = 51
	TypeCDS        Type = 59
	TypeCDNSKEY    Type = 60
	TypeZONEMD     Type = 63
	TypeSVCB       Type = 64
	TypeHTTPS      Type = 65
	TypeNXNAME     Type = 128
	TypeTKEY       Type = 249
	TypeTSIG       Type = 250
	TypeIXFR       Type = 251
	TypeAXFR       Type = 252
	TypeMAILB      Type = 253
	TypeMAILA      Type = 254
	TypeANY        Type = 255
	TypeCAA        Type = 257
)

// Class is a DNS class.
type Class uint16

// The classes.
const (
	ClassIN   Class = 1
	ClassCH   Class = 3
	ClassNONE Class = 254
	ClassANY  Class = 255
)

// RCode is a response code; above 15 its upper bits travel in the OPT record.
type RCode uint16

// The response codes that Rhumb gives.
const (
	NoError   RCode = 0
	FormErr   RCode = 1
	ServFail  RCode = 2
	NXDomain  RCode = 3
	NotImp    RCode = 4
	Refused   RCode = 5
	YXDomain  RCode = 6 // RFC 6672 section 2.2: a DNAME makes the name too long
	NotAuth   RCode = 9
	BadVers   RCode = 16
	BadCookie RCode = 23 // RFC 7873 section 8
)

// Header bits of the second 16-bit word (RFC 1035 section 4.1.1, RFC 4035).
const (
	FlagQR uint16 = 1 << 15
	FlagAA uint16 = 1 << 10
	FlagTC uint16 = 1 << 9
	FlagRD uint16 = 1 << 8
	FlagRA uint16 = 1 << 7
	FlagAD uint16 = 1 << 5
	FlagCD uint16 = 1 << 4

	opcodeMask uint16 = 0xf << 11
)

// MaxUDP is the largest UDP answer we send, and the size we advertise
// (RFC 9715 section 3.1: avoid fragmentation).
const MaxUDP = 1232

// minUDP is what every client takes over UDP (RFC 1035 section 4.2.1).
const minUDP = 512

// MaxTCP is the largest DNS message.
const MaxTCP = 65535

// HeaderLen is the length of a message header.
const HeaderLen = 12
