package probe

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // of the protocol
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const scramMethod = "SCRAM-SHA-256"

// maxIterations bounds the work that a server may ask for: some 30 ms.
// PostgreSQL's default is 4,096.
const maxIterations = 100_000

// scram proves to a server that we know a password, and has it prove the same
// (RFC 5802, with SHA-256: RFC 7677), without channel binding.
type scram struct {
	password string
	nonce    string
	begun    bool
	signed   []byte // what the server has to say at the end
	proven   bool
}

// first is client-first-message. PostgreSQL takes the name from its own protocol.
func (c *scram) first() string {
	if c.nonce == "" {
		c.nonce = rand.Text()
	}
	c.begun = true
	return "n,,n=,r=" + c.nonce
}

var badScram = fail(ClassProtocol, "the login is not SCRAM as it should be")

// next answers server-first-message with client-final-message.
func (c *scram) next(server string) ([]byte, failure) {
	attr := strings.SplitN(server, ",", 4)
	if !c.begun || c.signed != nil || len(attr) < 3 {
		return nil, badScram
	}
	nonce, okNonce := strings.CutPrefix(attr[0], "r=")
	salt64, okSalt := strings.CutPrefix(attr[1], "s=")
	count, okCount := strings.CutPrefix(attr[2], "i=")
	salt, err := base64.StdEncoding.DecodeString(salt64)
	n, errCount := strconv.Atoi(count)
	switch {
	case !okNonce || !okSalt || !okCount || err != nil || errCount != nil || n < 1 || len(salt) == 0:
		return nil, badScram
	case !strings.HasPrefix(nonce, c.nonce) || len(nonce) == len(c.nonce):
		return nil, badScram
	case n > maxIterations:
		return nil, fail(ClassAuth, "the server asks for more than %d rounds of SCRAM", maxIterations)
	}
	salted, err := pbkdf2.Key(sha256.New, saslPrep(c.password), salt, n, sha256.Size)
	if err != nil {
		return nil, badScram
	}
	clientKey := mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	bare := "c=biws,r=" + nonce
	message := "n=,r=" + c.nonce + "," + server + "," + bare
	subtle.XORBytes(clientKey, clientKey, mac(stored[:], message))
	c.signed = mac(mac(salted, "Server Key"), message)
	return []byte(bare + ",p=" + base64.StdEncoding.EncodeToString(clientKey)), failure{}
}

// final judges server-final-message.
func (c *scram) final(server string) failure {
	sig, ok := strings.CutPrefix(server, "v=")
	sig, _, _ = strings.Cut(sig, ",")
	got, err := base64.StdEncoding.DecodeString(sig)
	switch {
	case c.signed == nil || !ok || err != nil:
		return badScram
	case !hmac.Equal(got, c.signed):
		return fail(ClassAuth, "the server does not know the password")
	}
	c.proven = true
	return failure{}
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// md5Proof is "md5" and the digest of (the digest of password and user) and salt.
func md5Proof(user, password string, salt []byte) []byte {
	inner := md5.Sum([]byte(password + user))                                   //nolint:gosec // of the protocol
	outer := md5.Sum(slices.Concat([]byte(hex.EncodeToString(inner[:])), salt)) //nolint:gosec // of the protocol
	return []byte("md5" + hex.EncodeToString(outer[:]))
}

// saslPrep is the form of a password that PostgreSQL stores: SASLprep (RFC 4013),
// or the password as it is where that does not allow it. Text that mixes
// directions is not looked for.
func saslPrep(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x7f && r >= ' ':
			b.WriteRune(r)
		case unicode.Is(unicode.Zs, r) || r == 0x200b:
			b.WriteByte(' ')
		case r == 0xad, r == 0x34f, r == 0x1806, r >= 0x180b && r <= 0x180d, r >= 0x200c && r <= 0x200d,
			r == 0x2060, r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff:
			// commonly mapped to nothing
		case r == unicode.ReplacementChar, unicode.IsControl(r), unicode.Is(unicode.Co, r), unicode.Is(unicode.Cf, r):
			return s
		default:
			b.WriteRune(r)
		}
	}
	if p := norm.NFKC.String(b.String()); p != "" {
		return p
	}
	return s
}
