package steer

// Rotate puts the candidates in turn: answer k of a service begins with
// candidate k modulo their number.
type Rotate struct{}

// Apply implements Filter.
func (Rotate) Apply(q *Query, set []Candidate) []Candidate {
	n := len(set)
	if n < 2 {
		return set
	}
	k := int(q.Seq % uint32(n))
	if q.Want == 1 {
		set[0] = set[k]
		return set[:1]
	}
	reverse(set[:k])
	reverse(set[k:])
	reverse(set)
	return set
}

func reverse(s []Candidate) {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
}

func (Rotate) String() string { return "rotate" }

// Rule implements Filter.
func (Rotate) Rule() string { return "each in turn" }

// Needs implements Filter.
func (Rotate) Needs() Needs { return Chance }
