package probe

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Bytes of the protocol of MySQL: "Client/Server Protocol" in MySQL's internals
// manual, "Clients & Utilities: Protocol" in MariaDB's.
const (
	comQuit  = 0x01
	comQuery = 0x03

	mysqlOK          = 0x00
	mysqlMore        = 0x01 // more of a login
	mysqlLocalInfile = 0xfb // in the place of a result
	mysqlNull        = 0xfb // in a row
	mysqlEOF         = 0xfe // also: log in in another way
	mysqlErr         = 0xff
)

const (
	capLongPassword = 0x1
	capWithDB       = 0x8
	capProtocol41   = 0x200
	capSSL          = 0x800
	capTransactions = 0x2000
	capSecure       = 0x8000
	capPluginAuth   = 0x80000

	neededCaps = capProtocol41 | capSecure
)

// maxColumns is that of MySQL.
const maxColumns = 4096

// utf8mb4 is a collation that servers of every version know: utf8mb4_general_ci.
const utf8mb4 = 45

// mysqlGreeting is the first packet of a server (Protocol::HandshakeV10).
type mysqlGreeting struct {
	mariadb bool
	caps    uint32
	plugin  string
	nonce   []byte
}

func parseMySQLGreeting(b []byte) (g mysqlGreeting, ok bool) {
	if b[0] != 10 {
		return g, false
	}
	version, b, ok := bytes.Cut(b[1:], []byte{0})
	// The id, 8 bytes of the nonce, a zero, capabilities, collation, status,
	// capabilities, the nonce's length, and 10 bytes that are reserved or MariaDB's.
	const fixed = 4 + 8 + 1 + 2
	if !ok || len(b) < fixed {
		return g, false
	}
	g.mariadb = strings.Contains(string(version), "MariaDB")
	g.nonce = append(g.nonce, b[4:12]...)
	g.caps = uint32(binary.LittleEndian.Uint16(b[13:]))
	b = b[fixed:]
	if len(b) < 1+2+2+1+10 {
		return g, len(b) == 0
	}
	g.caps |= uint32(binary.LittleEndian.Uint16(b[3:])) << 16
	n := max(13, int(b[5])-8)
	b = b[16:]
	if g.caps&capSecure != 0 {
		if len(b) < n {
			return g, false
		}
		g.nonce = append(g.nonce, b[:12]...) // the 13th is a zero
		b = b[n:]
	}
	if g.caps&capPluginAuth != 0 {
		name, _, _ := bytes.Cut(b, []byte{0})
		g.plugin = string(name)
	}
	return g, true
}

// lenenc reads a length-encoded integer; ok is false for NULL as well.
func lenenc(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	size := 0
	switch b[0] {
	case 0xfb, 0xff:
		return 0, nil, false
	case 0xfc:
		size = 2
	case 0xfd:
		size = 3
	case 0xfe:
		size = 8
	default:
		return uint64(b[0]), b[1:], true
	}
	b = b[1:]
	if len(b) < size {
		return 0, nil, false
	}
	for i := size - 1; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n, b[size:], true
}

// mysqlText reads a length-encoded string of a row, nil for NULL.
func mysqlText(b []byte) (v, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == mysqlNull {
		return nil, b[1:], true
	}
	n, rest, ok := lenenc(b)
	if !ok || n > uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:n:n], rest[n:], true
}

// columnName is the fifth string of a column's definition, behind catalog, schema
// and the table's two names.
func columnName(b []byte) (string, bool) {
	var v []byte
	var ok bool
	for range 5 {
		if v, b, ok = mysqlText(b); !ok {
			return "", false
		}
	}
	return string(v), true
}

// isEOF tells the end of rows from a row that begins with a very long string.
func isEOF(b []byte) bool { return b[0] == mysqlEOF && len(b) < 9 }

// mysqlCode is the number in an error packet.
func mysqlCode(b []byte) uint16 {
	if len(b) < 3 {
		return 0
	}
	return binary.LittleEndian.Uint16(b[1:])
}
