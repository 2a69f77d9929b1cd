package probe

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// fieldSection is the header of a response of HTTP/2 or HTTP/3 while it is decoded:
// RFC 9113 section 8.3 and RFC 9114 section 4.3.
type fieldSection struct {
	header http.Header
	status int
	// left is how much room there is for fields, each counted with 32 bytes more than
	// it has, as peers do it (RFC 9113 section 6.5.2).
	left    int
	regular bool // one without a colon has come
	bad     bool // malformed
	over    bool // more than there is room for
}

func newFieldSection() *fieldSection { return &fieldSection{header: http.Header{}, left: maxHeader} }

// add takes one field in, and says whether more may come.
func (s *fieldSection) add(name, value string) bool {
	if s.left -= len(name) + len(value) + 32; s.left < 0 {
		s.over = true
		return false
	}
	if strings.HasPrefix(name, ":") {
		n, err := strconv.ParseUint(value, 10, 16)
		s.bad = name != ":status" || s.status != 0 || s.regular || err != nil || len(value) != 3 || n < 100
		s.status = int(n)
		return !s.bad
	}
	s.regular = true
	switch {
	case !validToken(name) || name != strings.ToLower(name) || !validValue(value):
		s.bad = true
	case name == "connection" || name == "transfer-encoding" || name == "upgrade" || name == "keep-alive" || name == "proxy-connection":
		// They are of HTTP/1 (RFC 9113 section 8.2.2), and clients refuse them.
		s.bad = true
	default:
		name = textproto.CanonicalMIMEHeaderKey(name)
		s.header[name] = append(s.header[name], value)
	}
	return !s.bad
}

// failure is what is wrong with all of it.
func (s *fieldSection) failure() failure {
	switch {
	case s.over:
		return oversizeHeader()
	case s.bad || s.status == 0:
		return fail(ClassProtocol, "the response's header is malformed")
	}
	return failure{}
}

// interim says that another header comes behind this one.
func (s *fieldSection) interim() bool {
	return s.status < 200 && s.status != http.StatusSwitchingProtocols
}
