package probe

import "strings"

// minHidden is the shortest secret that is hidden in details: a shorter one is in
// half of all words.
const minHidden = 4

// redact hides secrets in what a script says. cut says that the end of s is
// missing, with which a part of a secret may have gone.
func redact(s string, secrets []string, cut bool) string {
	for _, secret := range secrets {
		if len(secret) < minHidden {
			continue
		}
		s = strings.ReplaceAll(s, secret, "***")
		for n := min(len(secret)-1, len(s)); cut && n > 0; n-- {
			if strings.HasSuffix(s, secret[:n]) {
				s = s[:len(s)-n]
				break
			}
		}
	}
	return s
}

// traces is how long a piece of a secret is that says too much of it.
const traces = 12

// blot hides in s, which holds names that a peer has chosen, whatever there is of the
// secrets that were told to it: also in pieces, since names are cut and divided into
// labels, and in letters of another case. What the name that the check itself is aimed at
// has as well says nothing of them: a header such as Origin has it, too.
func blot(s string, secrets []string, own string) string {
	low := strings.ToLower(s)
	own = strings.ToLower(own)
	if len(low) != len(s) {
		return s // not ASCII: nothing that names are shown in
	}
	hidden := make([]bool, len(s))
	found := false
	for _, secret := range secrets {
		if len(secret) < minHidden {
			continue
		}
		secret = strings.ToLower(secret)
		n := min(len(secret), traces)
		for i := range len(secret) - n + 1 {
			piece := secret[i : i+n]
			if strings.Contains(own, piece) {
				continue
			}
			for from := 0; ; {
				at := strings.Index(low[from:], piece)
				if at < 0 {
					break
				}
				for k := range n {
					hidden[from+at+k] = true
				}
				found = true
				from += at + 1
			}
		}
	}
	if !found {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		switch {
		case !hidden[i]:
			b.WriteByte(s[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString("***")
		}
	}
	return b.String()
}
