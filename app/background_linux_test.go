package app

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestBackground: what loads gives way, and nothing else does.
func TestBackground(t *testing.T) {
	nice := func() int {
		p, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
		if err != nil {
			t.Fatal(err)
		}
		return 20 - p // as the system call has it
	}
	before := nice()
	inside := 0
	background(func() { inside = nice() })
	if inside != max(before, loadNice) {
		t.Errorf("nice is %d while a configuration is loaded, want %d", inside, loadNice)
	}
	done := make(chan int)
	beside(func() { done <- nice() })
	if got := <-done; got != inside {
		t.Errorf("nice is %d beside that", got)
	}
	for range 100 {
		if got := nice(); got != before {
			t.Fatalf("nice is %d behind it, and was %d", got, before)
		}
	}
}
