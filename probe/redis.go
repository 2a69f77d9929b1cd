package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Redis is the check of a server that speaks RESP, such as Redis or Valkey.
type Redis struct {
	// Password logs in, with User as an account of the access control list, else
	// the default one.
	User, Password string
	// Command is the words of a command; without it the server is to answer PING.
	Command []string
	// Expect is for the reply to Command: text, or a number as text, or the
	// elements of an array on a line each, as redis-cli shows them.
	Expect []Condition
	// Role is judged by the command ROLE. A replica without a link to its primary
	// is degraded.
	Role Role
	// TLS is begun at once; nil is none.
	TLS *TLSConfig
}

// NewRedis makes the prober of a Redis check. It fails, naming the field, when it
// could not be made as it is described.
func NewRedis(o Redis) (Prober, error) {
	d, err := newDatabase(o.TLS, o.Expect, o.Role, o.Password)
	switch {
	case err != nil:
		return nil, err
	case len(o.User) > maxAsked || len(o.Password) > maxAsked:
		return nil, fmt.Errorf("user or password: is longer than %d KiB", maxAsked>>10)
	case len(o.Command) == 0 && len(o.Expect) > 0:
		return nil, errors.New("command: is needed to expect something of it")
	}
	p := &redisProber{database: d, command: respCommand("PING")}
	if o.Password != "" || o.User != "" {
		words := []string{"AUTH", o.User, o.Password}
		if o.User == "" {
			words = slices.Delete(words, 1, 2)
		}
		p.auth = respCommand(words...)
	}
	if len(o.Command) > 0 {
		p.command = respCommand(o.Command...)
	}
	if len(p.command) > maxAsked {
		return nil, fmt.Errorf("command: is longer than %d KiB", maxAsked>>10)
	}
	return p, nil
}

type redisProber struct {
	database
	auth    []byte // nil: no login
	command []byte
}

func (p *redisProber) Probe(ctx context.Context, t Target) Result {
	return p.net.converse(ctx, t, p.talk)
}

func (p *redisProber) talk(s *session) (note string, f failure) {
	if p.tls != nil {
		if f := s.protect(p.tls); f.failed() {
			return "", f
		}
	}
	if p.auth != nil {
		if _, f := redisAsk(s, p.auth, loggingIn); f.failed() {
			return "", f
		}
	}
	if p.judged {
		if note, f = p.judgeRole(s); f.failed() {
			return "", f
		}
	}
	r, f := redisAsk(s, p.command, querying)
	if f.failed() {
		return "", f
	}
	return note, p.judge(value{text: strings.Join(r.flat, "\n"), null: r.null})
}

// judgeRole asks with ROLE: the first element is the role, and the fourth of a
// replica the state of its link.
func (p *redisProber) judgeRole(s *session) (note string, f failure) {
	r, f := redisAsk(s, respCommand("ROLE"), querying)
	if f.failed() {
		return "", f
	}
	if len(r.flat) == 0 {
		return "", notRedis
	}
	switch r.flat[0] {
	case "master":
		return "", p.role.judge(RolePrimary)
	case "slave":
		if len(r.flat) > 3 && r.flat[3] != "connected" {
			note = "the replica has no link to its primary"
		}
		return note, p.role.judge(RoleReplica)
	case "sentinel":
		return "", fail(ClassValue, "the server is a sentinel")
	}
	return "", notRedis
}

var notRedis = fail(ClassProtocol, "the answer is not of the protocol of Redis")

// redisAsk sends a command and reads its reply. A reply that is an error is a
// failure.
func redisAsk(s *session, command []byte, at stage) (respReply, failure) {
	if f := s.send(command, at); f.failed() {
		return respReply{}, f
	}
	var r respReply
	if f := r.read(s, 0); f.failed() {
		return r, f
	}
	if r.err != "" {
		return r, redisRefusal(r.err, at == loggingIn)
	}
	return r, failure{}
}

// redisErrors are the first words of errors, which stand for a code.
var redisErrors = map[string]failure{
	"NOAUTH":      {class: ClassAuth, detail: "the server asks for a password, and none is stated"},
	"WRONGPASS":   {class: ClassAuth, detail: "the login was refused: user or password"},
	"NOPERM":      {class: ClassError, detail: "the user may not run the command"},
	"DENIED":      {class: ClassAuth, detail: "the server is in protected mode and does not let this host in"},
	"LOADING":     {class: ClassError, detail: "the server is loading its data"},
	"MASTERDOWN":  {class: ClassError, detail: "the replica has no link to its primary and does not serve"},
	"BUSY":        {class: ClassError, detail: "the server is busy with a script"},
	"MISCONF":     {class: ClassError, detail: "the server cannot save its data and takes no writes"},
	"READONLY":    {class: ClassError, detail: "the server is a replica that takes no writes"},
	"NOREPLICAS":  {class: ClassError, detail: "the server has too few replicas and takes no writes"},
	"OOM":         {class: ClassError, detail: "the server is out of memory"},
	"CLUSTERDOWN": {class: ClassError, detail: "the cluster is down"},
	"MOVED":       {class: ClassError, detail: "the key is on another node of the cluster"},
	"ASK":         {class: ClassError, detail: "the key is on another node of the cluster"},
	"TRYAGAIN":    {class: ClassError, detail: "the key is moving to another node of the cluster"},
	"WRONGTYPE":   {class: ClassError, detail: "the key holds another type of value"},
	"EXECABORT":   {class: ClassError, detail: "the transaction was given up"},
	"UNKILLABLE":  {class: ClassError, detail: "the server is busy with a script"},
}

// redisRefusal is an error reply as a failure. Its words are the peer's and stay
// behind.
func redisRefusal(text string, login bool) failure {
	word, _, _ := strings.Cut(text, " ")
	known, ok := redisErrors[word]
	switch {
	case ok:
		return fail(known.class, "%s (%s)", known.detail, word)
	case strings.HasPrefix(text, "ERR max number of clients"):
		return fail(ClassError, "the server has too many clients")
	case login:
		return fail(ClassAuth, "the login was refused")
	}
	return fail(ClassError, "the server answers the command with an error")
}

// respCommand is a command on the wire: an array of bulk strings.
func respCommand(words ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b
}

// respReply is a reply in RESP, version 2.
type respReply struct {
	flat []string // the one value, or those of an array and the arrays in it
	null bool     // nothing but NULL came
	err  string   // the text of an error; never empty for one
	size int      // bytes in flat
}

// maxRespDepth is how deep arrays may nest.
const maxRespDepth = 8

// read reads one value, which is depth arrays deep, behind what r has already.
func (r *respReply) read(s *session, depth int) failure {
	// What is no reply need not come to the end of its line.
	kind, f := s.peek()
	switch {
	case f.failed():
		return f
	case kind == tlsAlert:
		return fail(ClassProtocol, "the server speaks TLS, not plain Redis")
	case strings.IndexByte("+-:$*", kind) < 0:
		return notRedis
	}
	head, f := s.line()
	if f.failed() {
		return f
	}
	rest := head[1:]
	switch kind {
	case '+', ':':
		return r.add(rest)
	case '-':
		if depth > 0 {
			return fail(ClassError, "an element of the reply is an error")
		}
		r.err = string(rest)
		if r.err == "" {
			r.err = "-"
		}
		return failure{}
	}
	n, err := strconv.Atoi(string(rest))
	switch {
	case err != nil || n < -1:
		return notRedis
	case n == -1:
		r.null = depth == 0
		return r.add(nil)
	case n > maxMessage:
		return respOversize
	case kind == '*':
		return r.elements(s, n, depth+1)
	}
	b, f := s.read(n + 2)
	if f.failed() {
		return f
	}
	v, ok := bytes.CutSuffix(b, []byte("\r\n"))
	if !ok {
		return notRedis
	}
	return r.add(v)
}

func (r *respReply) elements(s *session, n, depth int) failure {
	if depth > maxRespDepth {
		return fail(ClassOversize, "the reply nests deeper than %d arrays", maxRespDepth)
	}
	for range n {
		if f := r.read(s, depth); f.failed() {
			return f
		}
	}
	return failure{}
}

var respOversize = fail(ClassOversize, "the reply is longer than %d KiB", maxMessage>>10)

func (r *respReply) add(v []byte) failure {
	// An element costs something even if it is empty.
	if r.size += len(v) + 1; r.size > maxMessage {
		return respOversize
	}
	r.flat = append(r.flat, string(v))
	return failure{}
}
