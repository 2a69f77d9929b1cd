package probe

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // of the protocol
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"slices"
)

// The methods of a login, as servers call them.
const (
	nativePassword  = "mysql_native_password"
	cachingPassword = "caching_sha2_password"
	sha256Password  = "sha256_password"
	clearPassword   = "mysql_clear_password"
)

// otherMethods are those that a Detail may name; anything else is the peer's words.
var otherMethods = []string{
	"mysql_old_password", "client_ed25519", "ed25519", "parsec", "auth_gssapi_client", "dialog",
	"authentication_ldap_sasl_client", "authentication_kerberos_client", "authentication_webauthn_client",
}

// maxLoginTurns is more than any method takes.
const maxLoginTurns = 8

// loginHead begins the packet of the login, and is all of the one that asks for TLS.
func (m *mysqlTalk) loginHead() []byte {
	caps := uint32(capLongPassword | capProtocol41 | capTransactions | capSecure | capPluginAuth)
	if m.p.o.Database != "" {
		caps |= capWithDB
	}
	if m.p.tls != nil {
		caps |= capSSL
	}
	b := binary.LittleEndian.AppendUint32(nil, caps)
	b = binary.LittleEndian.AppendUint32(b, maxAsked)
	b = append(b, utf8mb4)
	return append(b, make([]byte, 23)...)
}

// login proves who we are (Protocol::HandshakeResponse41 and what follows it).
func (m *mysqlTalk) login() failure {
	// What the server names first is a guess, since it does not know the user yet.
	// A method that is not ours, or that would say the password aloud, waits until
	// the server insists.
	if m.plugin != cachingPassword {
		m.plugin = nativePassword
	}
	proof, f := m.proof()
	if f.failed() {
		return f
	}
	b := m.loginHead()
	b = append(append(b, m.p.o.User...), 0)
	b = append(append(b, byte(len(proof))), proof...)
	if m.p.o.Database != "" {
		b = append(append(b, m.p.o.Database...), 0)
	}
	b = append(append(b, m.plugin...), 0)
	if f := m.write(b, loggingIn); f.failed() {
		return f
	}
	for range maxLoginTurns {
		pkt, f := m.packet()
		if f.failed() {
			return f
		}
		switch pkt[0] {
		case mysqlOK:
			return failure{}
		case mysqlErr:
			return m.refusal(pkt, true)
		case mysqlEOF:
			f = m.switchMethod(pkt[1:])
		case mysqlMore:
			f = m.goOn(pkt[1:])
		default:
			return fail(ClassProtocol, "the login is not of the protocol of MySQL")
		}
		if f.failed() {
			return f
		}
	}
	return fail(ClassProtocol, "the login does not come to an end")
}

// switchMethod begins again, in the way that the server wants (AuthSwitchRequest).
func (m *mysqlTalk) switchMethod(b []byte) failure {
	name, nonce, ok := bytes.Cut(b, []byte{0})
	if len(b) == 0 {
		name, ok = []byte("mysql_old_password"), true
	}
	if !ok {
		return fail(ClassProtocol, "the login is not of the protocol of MySQL")
	}
	m.plugin, m.nonce = string(name), bytes.Clone(bytes.TrimSuffix(nonce, []byte{0}))
	proof, f := m.proof()
	if f.failed() {
		return f
	}
	return m.reply(proof)
}

// reply sends a packet that may be empty.
func (m *mysqlTalk) reply(b []byte) failure { return m.write(b, loggingIn) }

// goOn is the second half of caching_sha2_password: the server remembers the
// user, or wants the password itself.
func (m *mysqlTalk) goOn(b []byte) failure {
	const remembered, whole = 3, 4
	switch {
	case m.plugin != cachingPassword || len(b) != 1:
	case b[0] == remembered:
		return failure{} // OK follows
	case b[0] == whole && m.secure:
		return m.reply(append([]byte(m.p.o.Password), 0))
	case b[0] == whole && m.p.o.ServerKey != nil:
		sealed, f := m.seal()
		if f.failed() {
			return f
		}
		return m.reply(sealed)
	case b[0] == whole:
		return fail(ClassAuth, "the server wants the password itself, which goes over TLS or with the server's key only")
	}
	return fail(ClassProtocol, "the login is not of the protocol of MySQL")
}

// seal encrypts the password for the server.
func (m *mysqlTalk) seal() ([]byte, failure) {
	if len(m.nonce) == 0 {
		return nil, fail(ClassProtocol, "the login is not of the protocol of MySQL")
	}
	b := append([]byte(m.p.o.Password), 0)
	for i := range b {
		b[i] ^= m.nonce[i%len(m.nonce)]
	}
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, m.p.o.ServerKey, b, nil) //nolint:gosec // of the protocol
	if err != nil {
		return nil, fail(ClassAuth, "the password is too long for the server's key")
	}
	return sealed, failure{}
}

// proof is the answer to the nonce of the server; empty for no password.
func (m *mysqlTalk) proof() ([]byte, failure) {
	pw := m.p.o.Password
	switch m.plugin {
	case nativePassword:
		return nativeProof(pw, m.nonce), failure{}
	case cachingPassword:
		return cachingProof(pw, m.nonce), failure{}
	case sha256Password, clearPassword:
		if !m.secure {
			return nil, fail(ClassAuth, "the server wants the password itself, which goes over TLS only")
		}
		return append([]byte(pw), 0), failure{}
	}
	if slices.Contains(otherMethods, m.plugin) {
		return nil, fail(ClassAuth, "the login's method is not supported: %s", m.plugin)
	}
	return nil, fail(ClassAuth, "the login's method is not supported")
}

// nativeProof is SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password))).
func nativeProof(password string, nonce []byte) []byte {
	if password == "" {
		return nil
	}
	once := sha1.Sum([]byte(password))               //nolint:gosec // of the protocol
	twice := sha1.Sum(once[:])                       //nolint:gosec // of the protocol
	mask := sha1.Sum(slices.Concat(nonce, twice[:])) //nolint:gosec // of the protocol
	subtle.XORBytes(mask[:], mask[:], once[:])
	return mask[:]
}

// cachingProof is SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce).
func cachingProof(password string, nonce []byte) []byte {
	if password == "" {
		return nil
	}
	once := sha256.Sum256([]byte(password))
	twice := sha256.Sum256(once[:])
	mask := sha256.Sum256(slices.Concat(twice[:], nonce))
	subtle.XORBytes(mask[:], mask[:], once[:])
	return mask[:]
}
