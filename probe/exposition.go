package probe

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// sample is a line of the text formats in which metrics are exposed: Prometheus
// "Exposition formats", text-based format, and OpenMetrics 1.0. A name in quotes
// within the braces is that of Prometheus 3.
type sample struct {
	name    []byte
	matches bool // has all labels that are wanted
	value   float64
}

// parseSample reads a line that is no comment, without its end. What stands
// behind the value, a timestamp or an exemplar, is not looked at.
func parseSample(line []byte, wanted []label) (s sample, ok bool) {
	line = bytes.TrimLeft(line, " \t")
	n := 0
	for n < len(line) && nameByte(line[n], n > 0) {
		n++
	}
	s.name, line = line[:n], bytes.TrimLeft(line[n:], " \t")
	var have uint32 // bits of wanted that the series has
	var differ bool
	if len(line) > 0 && line[0] == '{' {
		if line, ok = s.labels(line[1:], wanted, &have, &differ); !ok {
			return s, false
		}
	} else if n < 1 {
		return s, false
	}
	if len(s.name) == 0 {
		return s, false
	}
	s.matches = !differ
	for i, w := range wanted {
		if have&(1<<i) == 0 && w.value != "" {
			s.matches = false
		}
	}
	line = bytes.TrimLeft(line, " \t")
	if end := bytes.IndexAny(line, " \t"); end >= 0 {
		line = line[:end]
	}
	v, err := strconv.ParseFloat(string(line), 64)
	// A number that is too large for 64 bits is infinite, as elsewhere.
	if err != nil && !math.IsInf(v, 0) {
		return s, false
	}
	s.value = v
	return s, true
}

// labels reads what stands between the braces, and the closing one.
func (s *sample) labels(b []byte, wanted []label, have *uint32, differ *bool) (rest []byte, ok bool) {
	for {
		b = bytes.TrimLeft(b, " \t")
		if len(b) == 0 {
			return nil, false
		}
		if b[0] == '}' {
			return b[1:], true
		}
		var name []byte
		quoted := b[0] == '"'
		if quoted {
			if name, b, ok = quotedText(b); !ok {
				return nil, false
			}
		} else {
			n := 0
			for n < len(b) && nameByte(b[n], n > 0) {
				n++
			}
			if name, b = b[:n], b[n:]; n == 0 {
				return nil, false
			}
		}
		b = bytes.TrimLeft(b, " \t")
		switch {
		case len(b) > 0 && b[0] == '=':
			var value []byte
			if value, b, ok = quotedText(bytes.TrimLeft(b[1:], " \t")); !ok {
				return nil, false
			}
			for i, w := range wanted {
				if string(name) == w.name {
					*have |= 1 << i
					*differ = *differ || string(value) != w.value
				}
			}
		case quoted && len(s.name) == 0:
			s.name = name
		default:
			return nil, false
		}
		b = bytes.TrimLeft(b, " \t")
		switch {
		case len(b) > 0 && b[0] == ',':
			b = b[1:]
		case len(b) > 0 && b[0] == '}':
		default:
			return nil, false
		}
	}
}

// quotedText reads a text in quotes, in which a backslash stands before a quote, a
// backslash or the n of a line feed.
func quotedText(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	b = b[1:]
	end := bytes.IndexAny(b, `"\`)
	if end < 0 {
		return nil, nil, false
	}
	if b[end] == '"' {
		return b[:end], b[end+1:], utf8.Valid(b[:end])
	}
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return text, b[i+1:], utf8.Valid(text)
		case c != '\\':
			text = append(text, c)
		case i+1 == len(b):
			return nil, nil, false
		default:
			i++
			switch b[i] {
			case 'n':
				text = append(text, '\n')
			case '"', '\\':
				text = append(text, b[i])
			default:
				text = append(text, '\\', b[i])
			}
		}
	}
	return nil, nil, false
}

// nameByte is whether c may be in the name of a metric or label; later, whether it
// may be so after the first byte.
func nameByte(c byte, later bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || later && c >= '0' && c <= '9'
}
