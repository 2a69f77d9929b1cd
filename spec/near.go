package spec

import nearby "github.com/rhumb-dns/rhumb/spec/near"

// near is the word that was probably meant, or "".
func near(word string, known func(yield func(string) bool)) string { return nearby.Word(word, known) }

// unknown is the message for a word that nobody knows, with the near one.
func unknown(what, word string, known func(yield func(string) bool)) string {
	return nearby.Unknown(what, word, known)
}
