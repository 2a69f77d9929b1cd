package watch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDirectories(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(p string) string { return filepath.Join(dir, filepath.FromSlash(p)) }
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"a/b", "c/d", "e"} {
		do(os.MkdirAll(in(d), 0o700))
	}
	do(os.WriteFile(in("a/b/file"), nil, 0o600))
	do(os.Symlink(filepath.Join("..", "..", "a", "b", "file"), in("c/d/link")))
	do(os.Symlink(in("c"), in("e/away")))
	do(os.Symlink("loop", in("e/loop")))
	for _, c := range []struct {
		path string
		want []string
	}{
		{"a/b/file", []string{"a/b"}},
		{"a/b", []string{"a/b"}},
		{"a/none", []string{"a"}},
		{"a/none/none/file", []string{"a"}},
		{"c/d/link", []string{"c/d", "a/b"}},
		{"e/away/d/link", []string{"e/away/d", "e", "c/d", "a/b"}},
		{"e/loop", []string{"e"}},
	} {
		var want []string
		for _, w := range c.want {
			want = append(want, in(w))
		}
		if got := Directories([]string{in(c.path)}); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.path, got, want)
		}
	}
}
