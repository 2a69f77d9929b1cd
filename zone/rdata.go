package zone

import "github.com/rhumb-dns/rhumb/dnswire"

// form is what the data of a type are made of, as far as something here or in
// resolve reads them: so many octets, so many names, then so many octets, or,
// when open, any number.
type form struct {
	before, names, after int
	open                 bool
}

// formOf is the form of a type's data. Not ok: nobody looks into them.
func formOf(t dnswire.Type) (f form, ok bool) {
	switch t {
	case dnswire.TypeA:
		return form{before: 4}, true
	case dnswire.TypeAAAA:
		return form{before: 16}, true
	case dnswire.TypeDNAME:
		return form{names: 1}, true
	case dnswire.TypeSRV:
		return form{before: 6, names: 1}, true
	case dnswire.TypeSVCB, dnswire.TypeHTTPS:
		return form{before: 2, names: 1, open: true}, true
	case dnswire.TypeDS:
		return form{before: 4, open: true}, true
	case dnswire.TypeRRSIG:
		return form{before: 18, names: 1, open: true}, true
	case dnswire.TypeNSEC:
		return form{names: 1, open: true}, true
	case dnswire.TypeSOA:
		return form{names: 2, after: 20}, true
	}
	offset, count := compressible(t)
	return form{before: offset, names: count}, count > 0
}

// wellFormed is whether the data of a record are what its type has. They may
// come from text that states them as octets (RFC 3597 section 5).
func wellFormed(t dnswire.Type, data []byte) bool {
	switch t {
	case dnswire.TypeHINFO: // two strings
		rest := skipString(skipString(data))
		return rest != nil && len(rest) == 0
	case dnswire.TypeNSEC3PARAM: // RFC 5155 section 4.2: a salt at the end
		return len(data) >= 5 && len(data) == 5+int(data[4])
	case dnswire.TypeNSEC3: // section 3.2: a salt and a hash
		if len(data) < 5 || len(data) <= 5+int(data[4]) {
			return false
		}
		data = data[5+int(data[4]):]
		return len(data) >= 1+int(data[0])
	}
	f, ok := formOf(t)
	if !ok {
		return true
	}
	if len(data) < f.before {
		return false
	}
	data = data[f.before:]
	for range f.names {
		n, ok := nameLen(data)
		if !ok {
			return false
		}
		data = data[n:]
	}
	return f.open || len(data) == f.after
}

// same is whether two records of a type have the same data. Names in them do not
// differ by case (RFC 4343 section 3).
func same(t dnswire.Type, a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	from, to := len(a), 0 // what differs, and by no more than case
	for i := range a {
		if a[i] != b[i] {
			if lowerByte(a[i]) != lowerByte(b[i]) {
				return false
			}
			from, to = min(from, i), i+1
		}
	}
	if from >= to {
		return true
	}
	f, _ := formOf(t)
	end := f.before
	for range f.names {
		n, _ := nameLen(a[end:])
		end += n
	}
	return f.before <= from && to <= end
}

// skipString is what follows a character string; nil when it is cut short.
func skipString(b []byte) []byte {
	if len(b) == 0 || len(b) <= int(b[0]) {
		return nil
	}
	return b[1+int(b[0]):]
}

// nameLen is the length of the uncompressed name that b begins with. Not ok: it
// begins with none.
func nameLen(b []byte) (n int, ok bool) {
	const maxLabel, maxName = 63, 255 // RFC 1035 section 2.3.4
	for n < len(b) && b[n] != 0 {
		if b[n] > maxLabel {
			return 0, false
		}
		n += 1 + int(b[n])
	}
	return n + 1, n < len(b) && n < maxName
}
