//go:build linux

package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// pair is a certificate for 127.0.0.1 and its key, as a server may read them.
func (r *room) pair(t *testing.T) (crt, key string) {
	t.Helper()
	c, k := certificate(t)
	return r.file("server.crt", read(t, c)), r.file("server.key", read(t, k))
}

func TestMariaDB(t *testing.T) {
	install, server := installed(t, "mariadb-install-db", ""), installed(t, "mariadbd", "")
	r := newRoom(t)
	crt, key := r.pair(t)
	base := filepath.Dir(filepath.Dir(install))
	for _, name := range []string{"primary", "replica"} {
		r.run("", install, "--no-defaults", "--basedir="+base, "--datadir="+r.path(name),
			"--auth-root-authentication-method=normal", "--skip-test-db")
	}
	const users = `SET SESSION sql_log_bin = 0;
CREATE USER 'check'@'%' IDENTIFIED BY '` + secretWord + `';
CREATE USER 'watch'@'%' IDENTIFIED BY '` + secretWord + `';
GRANT SLAVE MONITOR ON *.* TO 'watch'@'%';
CREATE USER 'nobody'@'%';
CREATE USER 'locked'@'%' IDENTIFIED BY '` + secretWord + `' ACCOUNT LOCK;
CREATE USER 'secure'@'%' IDENTIFIED BY '` + secretWord + `' REQUIRE SSL;
CREATE USER 'repl'@'%' IDENTIFIED BY '` + secretWord + `';
GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';
CREATE DATABASE app;
CREATE TABLE app.big (v LONGTEXT);
INSERT INTO app.big VALUES (REPEAT('x', 200000)), (REPEAT('y', 200000));
GRANT SELECT ON app.* TO 'check'@'%', 'watch'@'%';
`
	start := func(name string, id int, sql string, more ...string) *daemon {
		port := tcpPort(t)
		return r.start(port, server, append([]string{
			"--no-defaults", "--basedir=" + base, "--datadir=" + r.path(name), "--socket=" + r.path(name+".sock"),
			"--pid-file=" + r.path(name+".pid"), "--bind-address=127.0.0.1", "--port=" + port, "--skip-name-resolve",
			"--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=4M",
			fmt.Sprint("--server-id=", id), "--log-bin=" + r.path(name+"-bin"),
			"--ssl-cert=" + crt, "--ssl-key=" + key, "--init-file=" + r.file(name+".sql", sql),
		}, more...)...)
	}
	primary := start("primary", 1, users)
	replica := start("replica", 2, users+fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%s, "+
		"MASTER_USER='repl', MASTER_PASSWORD='%s';\nSTART SLAVE;\n", primary.port, secretWord), "--read-only")

	const login = "user: check, password: " + secretWord
	const watch = "user: watch, password: " + secretWord
	secure := ", tls: true, host: ns1.interop.test, ca: " + crt
	judge(t, "mysql", primary, []expected{
		{},
		{keys: strings.TrimPrefix(secure, ", ")},
		{keys: "tls: true, host: ns1.interop.test", class: "tls", detail: "unknown authority"},
		{keys: "tls: true, host: db.example.com, ca: " + crt, class: "tls", detail: "not for db.example.com"},
		{keys: login},
		{keys: "user: nobody"},
		{keys: login + ", database: app"},
		{keys: login + secure},
		{keys: "user: check, password: wrong", class: "auth", detail: "the login was refused (error 1045)"},
		{keys: "user: check", class: "auth", detail: "the login was refused (error 1045)"},
		{keys: "user: absent, password: " + secretWord, class: "auth", detail: "error 1045"},
		{keys: "user: locked, password: " + secretWord, class: "auth", detail: "locked"},
		{keys: "user: secure, password: " + secretWord, class: "auth", detail: "error 1045"},
		{keys: "user: secure, password: " + secretWord + secure},
		{keys: login + ", database: mysql", class: "auth", detail: "the user may not use the database (error 1044)"},
		{keys: watch + ", database: none", class: "auth", detail: "error 1044"},
		{keys: login + ", query: SELECT 1, expect: 1"},
		{keys: login + secure + ", query: SELECT 1, expect: 1"},
		{keys: login + ", query: SELECT 35, expect: '< 30'", class: "value", detail: "the value is 35, expected < 30"},
		{keys: login + ", query: SELECT NULL, expect: '!= 1'", class: "value", detail: "the value is NULL"},
		{keys: login + ", query: SELECT 1 FROM app.big WHERE v = '', expect: 1", class: "value", detail: "no row"},
		{keys: login + ", query: SELECT VERSION(), expect: ['~ MariaDB', '!~ ^9']"},
		{keys: login + ", query: SELECT @@character_set_client, expect: utf8mb4"},
		{keys: login + ", query: SELEC 1", class: "error", detail: "the query is not valid (error 1064)"},
		{keys: login + ", query: SELECT 1 FROM app.none", class: "error", detail: "error 1146"},
		{keys: login + ", query: SELECT * FROM app.big", class: "oversize", detail: "longer than 64 KiB"},
		{keys: login + ", database: app, query: SELECT seq FROM seq_1_to_1000, expect: '= 1'"},
		{keys: login + ", database: app, query: 'SELECT seq, seq FROM seq_1_to_1000000'", class: "oversize", detail: "more than 1024 KiB came back"},
		{keys: login + ", query: DO 1"},
		{keys: login + ", query: SELECT SLEEP(60), timeout: 500ms", class: "timeout"},
		{keys: "user: root, query: LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE app.big", class: "error"},
		{keys: login + ", role: primary"},
		{keys: login + ", role: replica", class: "value", detail: "the server is a primary, expected a replica"},
		{keys: login + ", role: any"},
	})
	// A query that was given up does not stay behind.
	becomes(t, "mysql", primary, expected{keys: "user: root, query: SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(60)%' AND info NOT LIKE '%processlist%', expect: 0"})

	becomes(t, "mysql", replica, expected{keys: watch + ", role: replica"})
	judge(t, "mysql", replica, []expected{
		{keys: login + ", role: replica"}, // may not see whether it replicates
		{keys: login + ", role: primary", class: "value", detail: "the server is a replica, expected a primary"},
	})
	judge(t, "mysql", replica, []expected{{keys: "user: root, query: STOP SLAVE SQL_THREAD"}})
	judge(t, "mysql", replica, []expected{{keys: watch + ", role: replica", degraded: true, detail: "does not apply"}})
	primary.stop()
	becomes(t, "mysql", replica, expected{keys: watch + ", role: replica", degraded: true, detail: "the replica has no link to its primary"})
	judge(t, "mysql", primary, []expected{{keys: login, class: "refused", detail: "connection refused"}})
	judge(t, "postgres", replica, []expected{{class: "protocol", detail: "not of the protocol of PostgreSQL"}})
	judge(t, "redis", replica, []expected{{class: "protocol", detail: "not of the protocol of Redis"}})
}

func TestPostgreSQL(t *testing.T) {
	const packaged = "/usr/lib/postgresql/*/bin"
	initdb, server, backup := installed(t, "initdb", packaged), installed(t, "postgres", packaged), installed(t, "pg_basebackup", packaged)
	r := newRoom(t)
	crt, key := r.pair(t)
	r.run("", initdb, "-D", r.path("primary"), "-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8", "--no-sync")
	r.run(`CREATE ROLE "check" LOGIN PASSWORD '`+secretWord+`';
CREATE ROLE umlaut LOGIN PASSWORD U&'pa\00DFw\00F6rt\2168';
CREATE ROLE clear LOGIN PASSWORD '`+secretWord+`';
CREATE ROLE trusted LOGIN;
CREATE ROLE closed NOLOGIN PASSWORD '`+secretWord+`';
CREATE ROLE late LOGIN PASSWORD '`+secretWord+`' VALID UNTIL '2020-01-01';
CREATE ROLE slow LOGIN PASSWORD '`+secretWord+`';
SET password_encryption = 'md5';
CREATE ROLE digest LOGIN PASSWORD '`+secretWord+`';
CREATE ROLE few LOGIN PASSWORD '`+secretWord+`' CONNECTION LIMIT 0;
CREATE DATABASE app OWNER "check";
CREATE DATABASE private;
REVOKE CONNECT ON DATABASE private FROM PUBLIC;
`, server, "--single", "-D", r.path("primary"), "postgres")
	r.file("primary/pg_hba.conf", `host all postgres,trusted 127.0.0.1/32 trust
host replication postgres 127.0.0.1/32 trust
hostssl all clear 127.0.0.1/32 password
host all clear 127.0.0.1/32 password
host all digest,few 127.0.0.1/32 md5
host all outsider 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
`)
	start := func(name string) *daemon {
		port := tcpPort(t)
		return r.start(port, server, "-D", r.path(name), "-p", port, "-c", "listen_addresses=127.0.0.1",
			"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=8MB", "-c", "max_connections=20",
			"-c", "ssl=on", "-c", "ssl_cert_file="+crt, "-c", "ssl_key_file="+key, "-c", "log_connections=off")
	}
	primary := start("primary")
	becomes(t, "postgres", primary, expected{keys: "user: trusted, database: postgres"})

	const login = "user: check, password: " + secretWord + ", database: app"
	secure := ", tls: true, host: ns1.interop.test, ca: " + crt
	judge(t, "postgres", primary, []expected{
		{},
		{keys: "database: none"},
		{keys: strings.TrimPrefix(secure, ", ")},
		{keys: "tls: true, host: ns1.interop.test", class: "tls", detail: "unknown authority"},
		{keys: login},
		{keys: login + secure},
		{keys: "user: umlaut, database: app, password: 'pa\u00dfw\u00f6rtIX'"}, // U+2168 is IX by SASLprep
		{keys: "user: digest, password: " + secretWord + ", database: app"},
		{keys: "user: digest, password: wrong, database: app", class: "auth", detail: "28P01"},
		{keys: "user: clear, password: " + secretWord + ", database: app", class: "auth", detail: "over TLS only"},
		{keys: "user: clear, password: " + secretWord + ", database: app" + secure},
		{keys: "user: trusted, database: app"},
		{keys: "user: check, password: wrong, database: app", class: "auth", detail: "the login was refused: user or password (28P01)"},
		{keys: "user: check, database: app", class: "auth", detail: "asks for a password, and none is stated"},
		{keys: "user: absent, password: wrong, database: app", class: "auth", detail: "28P01"},
		{keys: "user: outsider, password: wrong, database: app", class: "auth", detail: "28000"},
		{keys: "user: closed, password: " + secretWord + ", database: app", class: "auth", detail: "28000"},
		{keys: "user: late, password: " + secretWord + ", database: app", class: "auth", detail: "28P01"},
		{keys: "user: few, password: " + secretWord + ", database: app", class: "error", detail: "too many connections (53300)"},
		{keys: "user: check, password: " + secretWord + ", database: none", class: "error", detail: "the database does not exist (3D000)"},
		{keys: "user: check, password: " + secretWord + ", database: private", class: "auth", detail: "the user may not use the database (42501)"},
		{keys: login + ", query: SELECT 1, expect: 1"},
		{keys: login + secure + ", query: SELECT 1, expect: 1"},
		{keys: login + ", query: SELECT 35, expect: '< 30'", class: "value", detail: "the value is 35, expected < 30"},
		{keys: login + ", query: SELECT NULL, expect: '!= 1'", class: "value", detail: "the value is NULL"},
		{keys: login + ", query: SELECT 1 WHERE false, expect: 1", class: "value", detail: "no row"},
		{keys: login + ", query: SELECT version(), expect: ['~ ^PostgreSQL', '!~ MariaDB']"},
		{keys: login + ", query: SHOW server_encoding, expect: UTF8"},
		{keys: login + ", query: 'SELECT 1; SELECT 2', expect: 1"},
		{keys: login + ", query: ''"},
		{keys: login + ", query: SELEC 1", class: "error", detail: "the query is not valid (42601)"},
		{keys: login + ", query: SELECT 1/0", class: "error", detail: "the query failed (22012)"},
		{keys: login + ", query: SELECT * FROM pg_authid", class: "error", detail: "the user may not run the query (42501)"},
		{keys: login + ", query: SELECT * FROM none", class: "error", detail: "42P01"},
		{keys: login + ", query: COPY (SELECT 1) TO STDOUT", class: "error", detail: "COPY"},
		{keys: login + ", query: 'SELECT repeat(''x'', 200000)'", class: "oversize", detail: "longer than 64 KiB"},
		{keys: login + ", query: 'SELECT * FROM generate_series(1, 10000)', expect: '= 1'"},
		{keys: login + ", query: 'SELECT * FROM generate_series(1, 1000000)'", class: "oversize", detail: "more than 1024 KiB came back"},
		{keys: login + ", query: SELECT pg_sleep(60), timeout: 500ms", class: "timeout"},
		{keys: login + ", role: primary"},
		{keys: login + ", role: replica", class: "value", detail: "the server is a primary, expected a replica"},
	})
	becomes(t, "postgres", primary, expected{keys: "user: postgres, query: SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND query NOT LIKE '%activity%', expect: 0"})

	r.run("", backup, "-h", "127.0.0.1", "-p", primary.port, "-U", "postgres", "-D", r.path("standby"), "-R", "-X", "stream", "-c", "fast", "--no-sync")
	standby := start("standby")
	becomes(t, "postgres", standby, expected{keys: login + ", role: replica"})
	judge(t, "postgres", standby, []expected{
		{keys: login + ", role: primary", class: "value", detail: "the server is a replica, expected a primary"},
		{keys: login + ", query: SELECT 1, expect: 1, role: replica"},
	})
	judge(t, "mysql", standby, []expected{{class: "timeout", detail: "while waiting for the greeting", keys: "timeout: 300ms"}})
	judge(t, "redis", standby, []expected{{class: "reset"}})
	standby.stop()
	judge(t, "postgres", standby, []expected{{keys: login, class: "refused", detail: "connection refused"}})
}

func TestRedis(t *testing.T) {
	server := installed(t, "redis-server", "")
	r := newRoom(t)
	crt, key := r.pair(t)
	start := func(name string, more ...string) *daemon {
		port := tcpPort(t)
		if err := os.Mkdir(r.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
		r.own(r.path(name))
		return r.start(port, server, append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", r.path(name), "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"}, more...)...)
	}
	tlsPort := tcpPort(t)
	primary := start("primary", "--requirepass", secretWord, "--tls-port", tlsPort, "--tls-cert-file", crt, "--tls-key-file", key,
		"--tls-auth-clients", "no", "--user", "check", "on", ">"+secretWord, "~app:*", "+ping", "+role", "+get", "+info", "+set", "+lrange", "+rpush")
	const login = "user: check, password: " + secretWord
	const all = "password: " + secretWord
	judge(t, "redis", primary, []expected{
		{class: "auth", detail: "the server asks for a password, and none is stated (NOAUTH)"},
		{keys: login},
		{keys: all},
		{keys: "password: wrong", class: "auth", detail: "the login was refused: user or password (WRONGPASS)"},
		{keys: "user: absent, password: wrong", class: "auth", detail: "WRONGPASS"},
		{keys: "command: PING, role: primary", class: "auth", detail: "NOAUTH"},
		{keys: login + ", command: [SET, 'app:state', all is well], expect: OK"},
		{keys: login + ", command: 'GET app:state', expect: all is well"},
		{keys: login + ", command: 'GET app:state', expect: '~ well$'"},
		{keys: login + ", command: 'GET app:state', expect: '< 3'", class: "value", detail: "not a number"},
		{keys: login + ", command: 'GET app:none', expect: '!= 1'", class: "value", detail: "the value is NULL"},
		{keys: login + ", command: 'GET other'", class: "error", detail: "the user may not run the command (NOPERM)"},
		{keys: login + ", command: 'CONFIG GET maxmemory'", class: "error", detail: "NOPERM"},
		{keys: all + ", command: 'CONFIG GET maxmemory', expect: \"maxmemory\\n0\""},
		{keys: login + ", command: 'RPUSH app:list a b', expect: 2"},
		{keys: login + ", command: 'LRANGE app:list 0 -1', expect: '~ (?m)^b$'"},
		{keys: login + ", command: 'GET app:list'", class: "error", detail: "WRONGTYPE"},
		{keys: login + ", command: INFO replication, expect: '~ role:master'"},
		{keys: all + ", command: NONSENSE", class: "error", detail: "the server answers the command with an error"},
		{keys: all + ", command: BLPOP none 0, timeout: 300ms", class: "timeout", detail: "timeout while waiting for the result"},
		{keys: login + ", role: primary"},
		{keys: login + ", role: replica", class: "value", detail: "the server is a primary, expected a replica"},
		{keys: login + ", tls: true, timeout: 500ms", class: "timeout", detail: "during the TLS handshake"},
	})
	overTLS := &daemon{port: tlsPort}
	judge(t, "redis", overTLS, []expected{
		{keys: login + ", tls: true, host: ns1.interop.test, ca: " + crt + ", command: 'GET app:state', expect: all is well, role: primary"},
		{keys: login + ", tls: true, host: ns1.interop.test", class: "tls", detail: "unknown authority"},
		{keys: login + ", tls: true, ca: " + crt, class: "tls", detail: "not for 127.0.0.1"},
		{keys: login, class: "reset", detail: "during the login"},
	})

	replica := start("replica", "--replicaof", "127.0.0.1", primary.port, "--masterauth", secretWord, "--replica-serve-stale-data", "no")
	becomes(t, "redis", replica, expected{keys: "role: replica, command: 'GET app:state', expect: all is well"})
	judge(t, "redis", replica, []expected{
		{keys: "role: primary", class: "value", detail: "the server is a replica, expected a primary"},
		{keys: "command: [SET, a, b]", class: "error", detail: "READONLY"},
	})
	stale := start("stale", "--replicaof", "127.0.0.1", primary.port, "--masterauth", secretWord)
	becomes(t, "redis", stale, expected{keys: "role: replica"})
	primary.stop()
	becomes(t, "redis", replica, expected{keys: "command: GET app:state", class: "error", detail: "MASTERDOWN"})
	becomes(t, "redis", stale, expected{keys: "role: replica", degraded: true, detail: "the replica has no link to its primary"})
}

// TestDatabasesOfNode is a node that has the checks, a metric of its own among
// them: what comes of them is in the API, and no secret.
func TestDatabasesOfNode(t *testing.T) {
	server := installed(t, "redis-server", "")
	r := newRoom(t)
	port := tcpPort(t)
	r.start(port, server, "--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--requirepass", secretWord)
	admin := tcpPort(t)
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	write(t, path, fmt.Sprintf(`
dns: {listen: [127.0.0.1:0]}
admin: {listen: 127.0.0.1:%s}
checks:
  in: {type: redis, port: %s, password: %s, interval: 200ms, timeout: 150ms, command: [CONFIG, GET, requirepass], expect: "~ requirepass"}
  out: {type: redis, port: %[2]s, password: x%[3]s, interval: 200ms, timeout: 150ms}
  echo: {type: redis, port: %[2]s, password: %[3]s, interval: 200ms, timeout: 150ms, command: [CONFIG, GET, requirepass], expect: none}
  metric: {type: prometheus, port: %[1]s, metric: rhumb_probes_total, labels: {check: in, result: ok}, expect: "> 2", interval: 200ms, timeout: 150ms}
pools:
  a: {checks: [in, metric], endpoints: [127.0.0.1]}
  b: {checks: [out, echo], endpoints: [127.0.0.1]}
zones:
  interop.test:
    nameservers: {ns1: 127.0.0.1}
    services:
      www: {pools: [b, a], steer: failover}
`, admin, port, secretWord))
	n := serve(t, path)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var body []byte
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		var list struct {
			Servers []api.Server `json:"servers"`
		}
		body = get(t, n.api+"/api/v1/health/servers")
		if err := json.Unmarshal(body, &list); err != nil {
			t.Fatal(err)
		}
		class := map[string]string{}
		for _, s := range list.Servers {
			for _, c := range s.Checks {
				if c.Runs > 0 {
					class[c.Name] = c.Class
				}
			}
		}
		// The metric counts what another check did, so it does not hold at once.
		if fmt.Sprint(class) == "map[echo:value in: metric: out:auth]" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the checks say %v\n%s\n%s", class, body, n.logs())
		}
	}
	for where, text := range map[string]string{"API": string(body), "metrics": string(get(t, n.api+"/metrics")), "log": n.logs()} {
		if strings.Contains(text, secretWord) {
			t.Errorf("the %s shows the password:\n%s", where, text)
		}
	}
}

func get(t testing.TB, url string) []byte {
	t.Helper()
	resp, err := http.Get(url) //nolint:gosec,noctx // our own node
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
