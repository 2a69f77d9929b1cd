package spec

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// SQLCheck is what mysql and postgres checks ask.
type SQLCheck struct {
	User, Password string // no user: nobody logs in
	Database       string
	Query          string // empty: none is run
	Expect         []Condition
	Role           string // primary, replica, any
	ServerKey      string // PEM file, of mysql only
}

// RedisCheck is what redis checks ask.
type RedisCheck struct {
	User, Password string
	Command        []string // empty: PING
	Expect         []Condition
	Role           string // primary, replica, any
}

var mysqlKind = &checkKind{
	types: []CheckType{CheckMySQL}, section: &mysqlSection,
	ports:  map[CheckType]uint16{CheckMySQL: 3306},
	decode: (*decoder).sqlCheck,
}

var postgresKind = &checkKind{
	types: []CheckType{CheckPostgres}, section: &postgresSection,
	ports:  map[CheckType]uint16{CheckPostgres: 5432},
	decode: (*decoder).sqlCheck,
}

var redisKind = &checkKind{
	types: []CheckType{CheckRedis}, section: &redisSection,
	ports:  map[CheckType]uint16{CheckRedis: 6379},
	decode: (*decoder).redisCheck,
}

// loginFields are the keys of a login; who is who logs in.
func loginFields(who, secret string) []field {
	return append([]field{
		{name: "user", typ: "text", prose: who, doc: "Who logs in."},
	}, withFile(field{name: "password", typ: "text", prose: "none", doc: secret})...)
}

// roleField is the key role; how says how the role is told.
func roleField(how string) field {
	return field{name: "role", typ: "word", def: "any", words: []string{"primary", "replica", "any"}, doc: "What the server must be among its replicas. " + how}
}

// databaseTLS are the keys of TLS where it is asked for with tls.
var databaseTLS = append([]field{
	{name: "tls", typ: "true or false", def: "false", doc: "Whether the connection is secured, before anything else is said."},
	{name: "host", typ: "host name", prose: "the endpoint's address or host name", doc: "What the certificate must be for. Needs `tls`."},
}, needTLS(secureFields)...)

func needTLS(fields []field) []field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].doc += " Needs `tls`."
	}
	return out
}

var mysqlSection = section{
	title: "checks: mysql",
	intro: "A MySQL or MariaDB server greets; with `user` it lets that user in, and with `query` answers. See [Databases](health.md#databases).",
	example: `checks:
  db:
    type: mysql
    user: rhumb
    password: ${MYSQL_PASSWORD:-}
    query: SELECT COUNT(*) FROM information_schema.processlist
    expect: "< 400"
    role: primary
    tls: true
    host: db.example.com
`,
	fields: slices.Concat([]field{
		{name: "port", typ: "integer", def: "3306", lo: 1, hi: 65535, doc: "Where the endpoint listens."},
	}, loginFields("nobody logs in: the greeting is all", "The user's password."), []field{
		{name: "server_key", typ: "PEM file", prose: "none", doc: "The server's public RSA key, with which the method `caching_sha2_password` encrypts the password where there is no `tls`."},
		{name: "database", typ: "text", prose: "none", doc: "What the user opens. Needs `user`."},
		{name: "query", typ: "text", prose: "none", doc: "One statement, which must succeed. Needs `user`."},
		{name: "expect", typ: conditionShape, prose: "nothing", doc: "What the first column of the first row must be: " + conditionDoc},
		roleField("A server with `read_only` or `innodb_read_only` is a replica. Needs `user`."),
	}, databaseTLS),
}

var postgresSection = section{
	title: "checks: postgres",
	intro: "A PostgreSQL server accepts logins, as `pg_isready` has it; with `user` it lets that user in, and with `query` answers. See [Databases](health.md#databases).",
	example: `checks:
  db:
    type: postgres
    user: rhumb
    password: ${POSTGRES_PASSWORD:-}
    database: app
    query: SELECT count(*) FROM pg_stat_activity
    expect: "< 90"
    role: primary
`,
	fields: slices.Concat([]field{
		{name: "port", typ: "integer", def: "5432", lo: 1, hi: 65535, doc: "Where the endpoint listens."},
	}, loginFields("nobody logs in", "The user's password."), []field{
		{name: "database", typ: "text", prose: "the user's name", doc: "What the user opens."},
		{name: "query", typ: "text", prose: "none", doc: "What must succeed. Needs `user`."},
		{name: "expect", typ: conditionShape, prose: "nothing", doc: "What the first column of the first row must be: " + conditionDoc},
		roleField("A server in recovery is a replica. Needs `user`."),
	}, databaseTLS),
}

var redisSection = section{
	title: "checks: redis",
	intro: "A Redis or Valkey server answers a command. See [Databases](health.md#databases).",
	example: `checks:
  cache:
    type: redis
    user: rhumb
    password: ${REDIS_PASSWORD:-}
    command: [GET, app:state]
    expect: '~ ^(ready|warm)$'
    role: replica
`,
	fields: slices.Concat([]field{
		{name: "port", typ: "integer", def: "6379", lo: 1, hi: 65535, doc: "Where the endpoint listens."},
	}, loginFields("the default one, when there is a `password`", "Of the user, or of the server (`requirepass`)."), []field{
		{name: "command", typ: "text or list of text", def: "PING", doc: "The words of a command, divided at spaces unless they are a list. It must not be answered with an error."},
		{name: "expect", typ: conditionShape, prose: "nothing", doc: "What the reply must be; of an array its elements, each on a line: " + conditionDoc},
		roleField("It is told by the command `ROLE`."),
	}, databaseTLS),
}

func (d *decoder) sqlCheck(c *Check, o *object) {
	a := &SQLCheck{
		User: o.text("user"), Password: o.secretText("password"), Database: o.text("database"),
		Query: o.text("query"), Expect: d.conditions(o, "expect", false), Role: o.word("role"),
	}
	c.Ask = a
	d.databaseSecure(c, o)
	if c.Type == CheckMySQL {
		a.ServerKey = d.serverKey(o)
	}
	if a.User == "" {
		for _, name := range []string{"password", "password_file", "database", "query", "role"} {
			if name == "database" && c.Type == CheckPostgres {
				continue // pg_isready has it as well
			}
			if e := o.get(name); e != nil {
				d.fail(e.key, o.path.dot(name), "needs a login: state user as well")
			}
		}
	}
	if e := o.get("expect"); e != nil && a.Query == "" {
		d.fail(e.key, o.path.dot("expect"), "of what? State query as well")
	}
	for _, name := range []string{"user", "database", "query"} {
		d.wireText(o, name, o.text(name))
	}
	d.wireText(o, "password", a.Password)
}

// maxWireText bounds what is said to a database.
const maxWireText = 64 << 10

// wireText refuses text that a database cannot be told. The text is not shown: it
// may be a secret.
func (d *decoder) wireText(o *object, name, s string) {
	e := o.get(name)
	if e == nil {
		e = o.get(name + "_file")
	}
	if e != nil && (strings.ContainsRune(s, 0) || len(s) > maxWireText) {
		d.fail(e.val(), o.path.dot(e.name), "is longer than 64 KiB, or holds a NUL")
	}
}

// databaseSecure decodes tls and the keys that go with it.
func (d *decoder) databaseSecure(c *Check, o *object) {
	if o.boolean("tls") {
		c.TLS, c.Host = d.secure(o), d.checkHost(o)
		return
	}
	for _, f := range databaseTLS[1:] {
		if e := o.get(f.name); e != nil {
			d.fail(e.key, o.path.dot(f.name), "only with TLS: state tls: true as well")
		}
	}
}

func (d *decoder) serverKey(o *object) string {
	e := o.get("server_key")
	if e == nil {
		return ""
	}
	p := o.path.dot("server_key")
	file := d.pemFile(e.val(), p)
	if file == "" {
		return ""
	}
	b, err := os.ReadFile(file)
	if err == nil {
		if block, _ := pem.Decode(b); block != nil {
			if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
				if _, ok := key.(*rsa.PublicKey); ok {
					return file
				}
			}
		}
	}
	d.fail(e.val(), p, "%s holds no public RSA key", e.val().Raw())
	return file
}

func (d *decoder) redisCheck(c *Check, o *object) {
	a := &RedisCheck{
		User: o.text("user"), Password: o.secretText("password"),
		Expect: d.conditions(o, "expect", false), Role: o.word("role"),
	}
	c.Ask = a
	d.databaseSecure(c, o)
	if e := o.get("command"); e != nil {
		a.Command = d.command(e.val(), o.path.dot("command"))
	} else if e := o.get("expect"); e != nil {
		d.fail(e.key, o.path.dot("expect"), "of what? State command as well")
	}
}

// command is the words of a command.
func (d *decoder) command(r document.Node, p *path) []string {
	var words []string
	if r.Kind() == document.Sequence {
		for i, it := range d.list(r, p) {
			if s, ok := d.text(it, p.at(i)); ok {
				words = append(words, s)
			}
		}
	} else if s, ok := d.text(r, p); ok {
		words = strings.Fields(s)
	} else {
		return nil
	}
	size := 0
	for _, w := range words {
		size += len(w) + 16
	}
	switch {
	case len(words) == 0 || words[0] == "":
		d.fail(r, p, "the command is missing")
	case strings.EqualFold(words[0], "AUTH") || strings.EqualFold(words[0], "HELLO"):
		d.fail(r, p, "logins have keys of their own: state user and password")
	case size > maxWireText:
		d.fail(r, p, "is longer than 64 KiB")
	}
	return words
}
