package probe

import (
	"strings"
	"testing"
)

func TestRedisLogin(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      Redis
		turns  []string
		class  Class
		detail string
		heard  []string
	}{
		{"nobody", Redis{}, []string{"+PONG\r\n"}, "", "", []string{"*1\r\n$4\r\nPING\r\n"}},
		{"a password", Redis{Password: "p"}, []string{"+OK\r\n", "+PONG\r\n"}, "", "", []string{"*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n", "*1\r\n$4\r\nPING\r\n"}},
		{"a user", Redis{User: "u", Password: "p\r\n"}, []string{"+OK\r\n", "+PONG\r\n"}, "", "", []string{"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$3\r\np\r\n\r\n", "*1\r\n$4\r\nPING\r\n"}},
		{"none stated", Redis{}, []string{"-NOAUTH Authentication required.\r\n"}, ClassAuth, "asks for a password, and none is stated (NOAUTH)", nil},
		{"wrong", Redis{Password: hunter}, []string{"-WRONGPASS " + hunter + "\r\n"}, ClassAuth, "user or password (WRONGPASS)", nil},
		{"wrong of old", Redis{Password: hunter}, []string{"-ERR invalid password\r\n"}, ClassAuth, "the login was refused", nil},
		{"not from here", Redis{}, []string{"-DENIED Redis is running in protected mode\r\n"}, ClassAuth, "protected mode", nil},
		{"loading", Redis{Password: hunter}, []string{"+OK\r\n", "-LOADING Redis is loading the dataset in memory\r\n"}, ClassError, "the server is loading its data (LOADING)", nil},
		{"without its primary", Redis{}, []string{"-MASTERDOWN Link with MASTER is down\r\n"}, ClassError, "no link to its primary and does not serve (MASTERDOWN)", nil},
		{"too many", Redis{}, []string{"-ERR max number of clients reached\r\n"}, ClassError, "too many clients", nil},
		{"an error", Redis{}, []string{"-" + hunter + "\r\n"}, ClassError, "the server answers the command with an error", nil},
		{"an empty error", Redis{}, []string{"-\r\n"}, ClassError, "with an error", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, heard := conversation(t, c.o, false, c.turns...)
			check(t, r, c.class, c.detail)
			if c.heard != nil && strings.Join(heard, "|") != strings.Join(c.heard, "|") {
				t.Errorf("heard %q", heard)
			}
		})
	}
}

func TestRedisReplies(t *testing.T) {
	for _, c := range []struct {
		reply  string
		is     Condition
		class  Class
		detail string
	}{
		{"+OK\r\n", Condition{"=", "OK"}, "", ""},
		{"+OK\n", Condition{"=", "OK"}, "", ""},
		{":42\r\n", Condition{">", "41"}, "", ""},
		{":42\r\n", Condition{">", "42"}, ClassValue, "the value is 42, expected > 42"},
		{"$4\r\nab\r\nc\r\n", Condition{"=", "ab\r\nc"}, ClassProtocol, "not of the protocol"},
		{"$5\r\na\r\nbc\r\n", Condition{"=", "a\r\nbc"}, "", ""},
		{"$0\r\n\r\n", Condition{"=", ""}, "", ""},
		{"$-1\r\n", Condition{"=", ""}, ClassValue, "NULL"},
		{"*-1\r\n", Condition{"!=", "x"}, ClassValue, "NULL"},
		{"*0\r\n", Condition{"=", ""}, "", ""},
		{"*3\r\n$1\r\na\r\n:1\r\n*1\r\n$-1\r\n", Condition{"=", "a\n1\n"}, "", ""},
		{"*1\r\n-ERR no\r\n", Condition{"=", ""}, ClassError, "an element of the reply is an error"},
		{"$" + hunter + "\r\n", Condition{"=", ""}, ClassProtocol, ""},
		{"$-2\r\n", Condition{"=", ""}, ClassProtocol, ""},
		{"*-2\r\n", Condition{"=", ""}, ClassProtocol, ""},
		{"$1\r\nxyz", Condition{"=", ""}, ClassProtocol, ""},
		{"%1\r\n+a\r\n+b\r\n", Condition{"=", ""}, ClassProtocol, ""},
		{"$70000\r\n", Condition{"=", ""}, ClassOversize, "longer than 64 KiB"},
		{"*2147483647\r\n", Condition{"=", ""}, ClassOversize, "longer than 64 KiB"},
		{"$99999999999999999999\r\n", Condition{"=", ""}, ClassProtocol, ""},
		{"+" + strings.Repeat("x", 5000), Condition{"=", ""}, ClassOversize, "a line of the answer is longer than 4096 bytes"},
		{strings.Repeat("*1\r\n", 9) + "+x\r\n", Condition{"=", "x"}, ClassOversize, "nests deeper than 8"},
		{strings.Repeat("*1\r\n", 8) + "+x\r\n", Condition{"=", "x"}, "", ""},
		{"*2\r\n$40000\r\n" + strings.Repeat("x", 40000) + "\r\n$40000\r\n" + strings.Repeat("x", 40000) + "\r\n", Condition{"=", "x"}, ClassOversize, "longer than 64 KiB"},
	} {
		r, _ := conversation(t, Redis{Command: []string{"X"}, Expect: []Condition{c.is}}, false, c.reply)
		if r.Class == ClassOversize || r.Class == c.class {
			check(t, r, c.class, c.detail)
		} else {
			t.Errorf("%.40q: %+v", c.reply, r)
		}
	}
}

// A password that is a number comes back as one.
func TestNumericPassword(t *testing.T) {
	const pin = "271828"
	o := Redis{Password: pin, Command: []string{"X"}, Expect: []Condition{{"<", "3"}}}
	r, _ := conversation(t, o, false, "+OK\r\n", "$6\r\n"+pin+"\r\n")
	if check(t, r, ClassValue, "the value is not as expected"); strings.Contains(r.Detail, pin) {
		t.Errorf("%+v", r)
	}
}

func TestRedisRole(t *testing.T) {
	const primary = "*3\r\n$6\r\nmaster\r\n:0\r\n*1\r\n*3\r\n$9\r\nconnected\r\n$4\r\n6379\r\n$1\r\n0\r\n"
	replica := func(state string) string {
		return "*5\r\n$5\r\nslave\r\n$9\r\n192.0.2.1\r\n:6379\r\n+" + state + "\r\n:-1\r\n"
	}
	for _, c := range []struct {
		role     Role
		reply    string
		class    Class
		detail   string
		degraded bool
	}{
		{RolePrimary, primary, "", "", false},
		{RoleReplica, primary, ClassValue, "the server is a primary, expected a replica", false},
		{RolePrimary, replica("connected"), ClassValue, "the server is a replica, expected a primary", false},
		{RoleReplica, replica("connected"), "", "", false},
		{RoleReplica, replica("connect"), "", "the replica has no link to its primary", true},
		{RolePrimary, replica("connect"), ClassValue, "the server is a replica", false},
		{RoleReplica, "*2\r\n$8\r\nsentinel\r\n*0\r\n", ClassValue, "the server is a sentinel", false},
		{RoleReplica, "*1\r\n$4\r\nboss\r\n", ClassProtocol, "", false},
		{RoleReplica, "*0\r\n", ClassProtocol, "", false},
		{RoleReplica, "-NOPERM no\r\n", ClassError, "the user may not run the command (NOPERM)", false},
	} {
		r, heard := conversation(t, Redis{Role: c.role}, false, c.reply, "+PONG\r\n")
		if r.Class != c.class || r.OK != (c.class == "") || r.Degraded != c.degraded || !strings.Contains(r.Detail, c.detail) || heard[0] != "*1\r\n$4\r\nROLE\r\n" {
			t.Errorf("%s %q: %+v, heard %q", c.role, c.reply, r, heard)
		}
	}
	// A replica without a link is not well enough to make good what it answers.
	r, _ := conversation(t, Redis{Role: RoleReplica}, false, replica("connect"), "-LOADING x\r\n")
	check(t, r, ClassError, "loading")
}
