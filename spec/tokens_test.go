package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestSecretFiles has the file of a secret in several states: it is watched in
// each, so that the state that is mended is seen.
func TestSecretFiles(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	dir := tree(t, map[string]string{
		"main.yaml":       "include: [conf/*.yaml]\n",
		"conf/admin.yaml": "admin: {tokens: [{name: ops, secret_file: ops.token, role: operator}]}\n", // relative to itself
		"conf/ops.token":  secret,
	})
	file := filepath.Join(dir, "conf", "ops.token")
	const at = "conf/admin.yaml:1:43: admin.tokens[0].secret_file: "
	for _, c := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{secret, 0o644, at + "everybody can read the secret: chmod o-r ops.token"},
		{"", 0o600, at + "16 to 512 characters are expected, not 0: make one with openssl rand -hex 32"},
		{secret[:15] + "\n", 0o600, at + "16 to 512 characters are expected, not 15: make one with openssl rand -hex 32"},
		{secret + "\n" + secret + "\n", 0o600, at + "only visible ASCII characters can be in a secret: make one with openssl rand -hex 32"},
		{strings.Repeat("x", 600), 0o600, at + "ops.token is not a file with a secret on one line"},
		{secret, 0o640, ""},
		{secret + "\r\n", 0o600, ""},
	} {
		if runtime.GOOS == "windows" && c.mode == 0o644 {
			continue
		}
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		s, watch, why := loadIn(t, dir)
		if why != c.want {
			t.Errorf("got %q, want %q", why, c.want)
		}
		if !slices.Contains(watch, "conf/ops.token") {
			t.Errorf("watched are %s", strings.Join(watch, ", "))
		}
		if c.want != "" {
			continue
		}
		tokens := s.Admin.Tokens
		if len(tokens) != 1 || tokens[0].Name != "ops" || tokens[0].Role != RoleOperator || !tokens[0].Secret.Equal(SecretOf(secret)) {
			t.Errorf("%+v", tokens)
		}
	}
}

// A secret is in no error, whatever is wrong with it and around it.
func TestSecretsAreNotShown(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	for _, text := range []string{
		"admin: {tokens: %s}",
		"admin: {tokens: {%s: x}}",
		"admin: {tokens: [%s]}",
		"admin: {tokens: [[%s]]}",
		"admin: {tokens: [{name: a, secret: [%s], role: viewer}]}",
		"admin: {tokens: [{name: a, secret: {x: %s}, role: viewer}]}",
		"admin: {tokens: [{name: a, secret: ä%s, role: viewer}]}",
		"admin: {tokens: [{name: a, secret: %s, role: none}]}",
		"admin: {tokens: [{name: a, secret: %[1]s, role: viewer}, {name: b, secret: %[1]s, role: viewer}]}",
		"admin: {tokens: [{name: a, secret: %[1]s, secret: %[1]s, role: viewer}]}",
	} {
		_, err := Parse("x.yaml", fmt.Appendf(nil, text, secret))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", text, err)
		}
	}
	token := Token{Name: "a", Secret: SecretOf(secret), Role: RoleAdmin}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(verb, token); !strings.Contains(got, "(secret)") {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
