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
