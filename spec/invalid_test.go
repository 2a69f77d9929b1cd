package spec

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what comes out as what is expected")

// testEnv is the environment of the tests.
func testEnv(name string) (string, bool) {
	v, ok := map[string]string{
		"TEST_WORD": "soon", "TEST_NUMBER": "77", "TEST_EMPTY": "", "OPS_TOKEN": "b7c3a1d95e60f284b7c3a1d95e60f284",
		"CONTROLLER_SECRET": "shared-with-edges",
		"TEST_SECRET":       "00112233445566778899AABBCCddeeff", "TEST_SECRET_OLD": "e5e973e5a6b2a43f48e7dc849e37bfcf",
		"TEST_NO_HEX": "0011223344556677-899aabbccddeeff", "TEST_SPACES": "correct horse battery staple",
		"TEST_NO_ASCII": "schlüssel-zum-schloss", "TEST_LONG": strings.Repeat("x", 513),
	}[name]
	return v, ok
}

// golden compares text with a file, or writes it there with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// relative is messages with base names in place of paths.
func relative(s, dir string) string { return strings.ReplaceAll(s, dir+string(filepath.Separator), "") }

// TestInvalid holds every invalid file against the messages beside it.
func TestInvalid(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Chdir("testdata")
			s, watch, err := Load(filepath.Base(file), Options{Env: testEnv})
			if err == nil || s != nil {
				t.Fatalf("accepted: %+v", s)
			}
			if len(watch) == 0 {
				t.Error("nothing to watch")
			}
			golden(t, strings.TrimSuffix(filepath.Base(file), ".yaml")+".txt", err.Error()+"\n")
		})
	}
}
