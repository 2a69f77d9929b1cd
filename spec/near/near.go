package near

import (
	"fmt"
	"strings"
)

// Word is the word that was probably meant, or "". A slip is a letter added,
// left out, changed, or swapped with its neighbour; short words bear one,
// longer words two; a word that begins with the other is as near as one slip
// or nearer. Of equally near words the first in the alphabet wins, so
// that a message does not depend on the order of a map.
func Word(word string, known func(yield func(string) bool)) string {
	word = strings.ToLower(word)
	most := 2
	if len(word) < 5 {
		most = 1
	}
	best, bestDist := "", 2*most+1
	for k := range known {
		low := strings.ToLower(k)
		d := 1 // of half slips
		if len(low) < 3 || len(word) < 3 || !strings.HasPrefix(word, low) && !strings.HasPrefix(low, word) {
			if diff := len(k) - len(word); diff > most || diff < -most {
				continue
			}
			d = 2 * slips(word, low)
		}
		if d < bestDist || d == bestDist && d <= 2*most && k < best {
			best, bestDist = k, d
		}
	}
	// A word of one letter is one slip from every other.
	if bestDist >= 2*len(word) {
		return ""
	}
	return best
}

// Unknown is the message for a word that nobody knows, with the near one.
func Unknown(what, word string, known func(yield func(string) bool)) string {
	msg := fmt.Sprintf("unknown %s %q", what, word)
	if n := Word(word, known); n != "" {
		msg += fmt.Sprintf("; did you mean %q?", n)
	}
	return msg
}

// slips is the optimal string alignment distance of a and b.
func slips(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
