package spec

import "iter"

// Service is a steered name in a zone.
type Service struct {
	// Label is the name below the zone as text, lower case: "www", "a.b", "*.x",
	// or "@" for the apex.
	Label  string
	Policy *Policy
	// Line and Col, in Spec.Files[File], are where the name stands.
	File, Line, Col int
}

// Services are the services of a zone in the order in which they are stated:
// stretches of them, of which a million services are a few thousand.
type Services []Stretch

// Stretch is a number of services that stand one behind the other in a file.
// The block is shared with the statement before while the text of the services
// is the same; what their policies mean, and where the text is, may change.
type Stretch struct {
	*Block
	Policies        []*Policy // by their number in the block; many stretches may share a list, with nil for what none of them has
	File, Line, Col int       // of the first service
}

// Block is the names of the services of a stretch. It is immutable and holds
// one pointer for all of them.
type Block struct {
	labels string
	each   []labelled
}

// labelled is a service of a block.
type labelled struct {
	size   uint8 // of its label
	lines  uint8 // from the service before it, 0 for the first
	policy uint16
}

// maxBlock is how many services a block has at most: few enough for their
// policies to be numbered.
const maxBlock = 1 << 12

// Len is how many services a block has.
func (b *Block) Len() int { return len(b.each) }

// Each calls f with every label and the number of its policy until it returns
// false.
func (b *Block) Each(f func(label string, policy int) bool) {
	at := 0
	for _, l := range b.each {
		label := b.labels[at : at+int(l.size)]
		at += int(l.size)
		if !f(label, int(l.policy)) {
			return
		}
	}
}

// Len is the number of services.
func (s Services) Len() int {
	n := 0
	for i := range s {
		n += s[i].Len()
	}
	return n
}

// Policies are the policies in the lists of the stretches, more or less each
// once.
func (s Services) Policies() iter.Seq[*Policy] {
	return func(yield func(*Policy) bool) {
		for i := range s {
			if i > 0 && s[i].Shares(&s[i-1]) {
				continue
			}
			for _, p := range s[i].Policies {
				if p != nil && !yield(p) {
					return
				}
			}
		}
	}
}

// Shares is whether two stretches have one list of policies between them.
func (s *Stretch) Shares(o *Stretch) bool {
	return len(s.Policies) == len(o.Policies) && len(s.Policies) > 0 && &s.Policies[0] == &o.Policies[0]
}

// All are the services.
func (s Services) All() iter.Seq[Service] {
	return func(yield func(Service) bool) {
		for i := range s {
			if !s[i].all(yield) {
				return
			}
		}
	}
}

func (s *Stretch) all(yield func(Service) bool) bool {
	at, line := 0, s.Line
	for _, l := range s.each {
		line += int(l.lines)
		label := s.labels[at : at+int(l.size)]
		at += int(l.size)
		if !yield(Service{Label: label, Policy: s.Policies[l.policy], File: s.File, Line: line, Col: s.Col}) {
			return false
		}
	}
	return true
}

// StateServices divides services into stretches. Labels are at most 255 octets.
func StateServices(all []Service) Services {
	var out Services
	for len(all) > 0 {
		n := stretchOf(all)
		out = append(out, stretch(all[:n]))
		all = all[n:]
	}
	return out
}

// stretchOf is how many of the services, from the first on, make one stretch.
func stretchOf(all []Service) int {
	n := 1
	for n < len(all) && n < maxBlock {
		a, b := &all[n-1], &all[n]
		if a.File != b.File || a.Col != b.Col || b.Line < a.Line || b.Line-a.Line > 255 {
			break
		}
		n++
	}
	return n
}

func stretch(all []Service) Stretch {
	s := Stretch{Block: &Block{each: make([]labelled, len(all))}, File: all[0].File, Line: all[0].Line, Col: all[0].Col}
	numbers := map[*Policy]uint16{}
	var labels []byte
	line := s.Line
	for i := range all {
		svc := &all[i]
		n, known := numbers[svc.Policy]
		if !known {
			n = uint16(len(s.Policies))
			numbers[svc.Policy] = n
			s.Policies = append(s.Policies, svc.Policy)
		}
		labels = append(labels, svc.Label...)
		s.each[i] = labelled{size: uint8(len(svc.Label)), lines: uint8(svc.Line - line), policy: n}
		line = svc.Line
	}
	s.labels = string(labels)
	return s
}
