package spec

import (
	"crypto/sha256"
	"crypto/subtle"
	"os"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// Role is how much of the admin surface somebody may use. A higher one may do
// all that a lower one may.
type Role uint8

// The roles.
const (
	RoleNone     Role = iota // nobody knows who asks
	RoleViewer               // reads
	RoleOperator             // also changes overrides and maintenance, reports loads and reloads
	RoleAdmin                // also takes profiles of the process
)

var roleWords = []string{RoleViewer: "viewer", RoleOperator: "operator", RoleAdmin: "admin"}

// String is the role as the configuration has it, "none" for RoleNone.
func (r Role) String() string {
	if r == RoleNone || int(r) >= len(roleWords) {
		return "none"
	}
	return roleWords[r]
}

// Token lets whoever states its secret do what its role may.
type Token struct {
	Name   string // for messages
	Secret Secret
	Role   Role
}

// Secret is a secret as its SHA-256: enough to know it again, and nothing that
// a message could give away.
type Secret struct{ sum [sha256.Size]byte }

// SecretOf is the secret whose text this is.
func SecretOf(text string) Secret { return Secret{sha256.Sum256([]byte(text))} }

// Equal is whether two secrets are one. The time it takes says nothing of them.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.sum[:], other.sum[:]) == 1
}

// String says nothing of the secret.
func (Secret) String() string { return "(secret)" }

// GoString says nothing of the secret.
func (s Secret) GoString() string { return s.String() }

const (
	// minSecret and maxSecret are the bounds of a secret in characters. Sixteen
	// hex digits at random are 64 bits: more than anybody guesses over HTTP.
	minSecret = 16
	maxSecret = 512
	// maxSecretFile is a secret and the line ends behind it.
	maxSecretFile = maxSecret + 64
	maxTokenName  = 64
	// maxTokens bounds what a request costs: each token is compared.
	maxTokens = 1000

	secretRemedy = "make one with openssl rand -hex 32"
)

var tokenSection = section{
	title: "admin.tokens",
	intro: "Who may do what. Each item is a map with these keys. With tokens, every request needs the secret of one of them, but `/api/v1/live` and `/api/v1/ready`; see [API](api.md#tokens). Without, everybody in `allowed_networks` reads, overrides and reloads.",
	example: `admin:
  tokens:
    - {name: ops, secret: "${OPS_TOKEN}", role: operator}
`,
	fields: []field{
		{name: "name", typ: "text", need: true, doc: "For messages: letters, digits, `-`, `_` and `.`, at most 64."},
		{name: "secret", typ: "text", prose: "`secret_file`", doc: "16 to 512 visible ASCII characters. Only one of `secret` and `secret_file` is stated."},
		{name: "secret_file", typ: "file", prose: "`secret`", doc: "The file that holds the secret, on one line; relative to the file that states it. One that everybody can read is refused. When it changes, the node reloads."},
		{name: "role", typ: "word", need: true, words: roleWords[RoleViewer:], doc: "A `viewer` reads, an `operator` also changes overrides and maintenance, reports loads and reloads, an `admin` also takes [profiles](operations.md#profiles)."},
	},
}

// tokens is admin.tokens. No message may show a secret, nor what stands where
// one was meant.
func (d *decoder) tokens(r document.Node, p *path) []Token {
	if r.Kind() != document.Sequence {
		d.fail(r, p, "a list of maps is expected: [{name: ..., secret: ..., role: ...}]")
		return nil
	}
	items := d.list(r, p)
	switch {
	case len(items) == 0:
		d.fail(r, p, "the list is empty: state a token, or remove the key")
	case len(items) > maxTokens:
		d.fail(r, p, "%d tokens are too many: at most %d", len(items), maxTokens)
		return nil
	}
	var out []Token
	names, secrets := map[string]document.Node{}, map[Secret]document.Node{}
	for i, it := range items {
		at := p.at(i)
		if it.Kind() != document.Mapping {
			d.fail(it, at, "a map is expected: {name: ..., secret: ..., role: ...}")
			continue
		}
		o := d.object(&tokenSection, at, it, it)
		// What is no role is an error already, and found at 0: nothing.
		t := Token{Name: d.tokenName(o), Role: Role(max(0, slices.Index(roleWords, o.word("role"))))}
		if first, twice := names[t.Name]; twice && t.Name != "" {
			d.fail(o.get("name").val(), at.dot("name"), "stated twice; first at %s", where(first))
		} else if t.Name != "" {
			names[t.Name] = o.get("name").val()
		}
		if secret, from, ok := d.tokenSecret(o, it); ok {
			t.Secret = SecretOf(secret)
			if first, twice := secrets[t.Secret]; twice {
				d.fail(from.val(), at.dot(from.name), "the secret of two tokens; first at %s: make another", where(first))
			} else {
				secrets[t.Secret] = from.val()
			}
		}
		out = append(out, t)
	}
	return out
}

// tokenName is the name of a token, "" when it is missing or wrong.
func (d *decoder) tokenName(o *object) string {
	e := o.get("name")
	if e == nil {
		return ""
	}
	name, ok := d.text(e.val(), o.path.dot("name"))
	if !ok {
		return ""
	}
	if !plainName(name) {
		d.fail(e.val(), o.path.dot("name"), "1 to %d letters, digits, - _ and . are expected", maxTokenName)
		return ""
	}
	return name
}

// plainName is whether a name goes into messages, paths and metrics as it is.
func plainName(name string) bool {
	return name != "" && len(name) <= maxTokenName && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	})
}

// tokenSecret is the secret of a token and the key that it is from.
func (d *decoder) tokenSecret(o *object, at document.Node) (secret string, from *entry, ok bool) {
	here, file := o.get("secret"), o.get("secret_file")
	switch {
	case here != nil && file != nil:
		d.fail(file.key, o.path.dot("secret_file"), "secret is stated as well: remove one of them")
		return "", nil, false
	case here != nil:
		from = here
		secret, ok = d.text(here.val(), o.path.dot("secret"))
	case file != nil:
		from = file
		secret, ok = d.secretFile(file.val(), o.path.dot("secret_file"))
	case !slices.Contains(o.meant, "secret") && !slices.Contains(o.meant, "secret_file"):
		d.fail(at, o.path, `the key "secret" is missing: state it, or secret_file`)
	}
	if !ok {
		return "", nil, false
	}
	visible := !strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' })
	switch {
	case !visible:
		d.fail(from.val(), o.path.dot(from.name), "only visible ASCII characters can be in a secret: %s", secretRemedy)
	case len(secret) < minSecret || len(secret) > maxSecret:
		d.fail(from.val(), o.path.dot(from.name), "%d to %d characters are expected, not %d: %s", minSecret, maxSecret, len(secret), secretRemedy)
	default:
		return secret, from, true
	}
	return "", nil, false
}

// secretFile is what a file holds, without the line end.
func (d *decoder) secretFile(r document.Node, p *path) (string, bool) {
	name, ok := d.text(r, p)
	if !ok {
		return "", false
	}
	if name == "" {
		d.fail(r, p, "a value is missing")
		return "", false
	}
	abs := beside(r, name)
	d.looked = append(d.looked, abs)
	st, err := os.Stat(abs)
	var b []byte
	switch {
	case err != nil:
	case !st.Mode().IsRegular() || st.Size() > maxSecretFile:
		d.fail(r, p, "%s is not a file with a secret on one line", name)
		return "", false
	case everybody(st, 0o004):
		d.fail(r, p, "everybody can read the secret: chmod o-r %s", name)
		return "", false
	default:
		b, err = os.ReadFile(abs)
	}
	if err != nil {
		d.fail(r, p, "%s: %s", name, reason(err))
		return "", false
	}
	return strings.TrimRight(string(b), "\r\n"), true
}
