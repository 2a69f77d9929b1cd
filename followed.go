package rhumb

import (
	"sync"

	"github.com/rhumb-dns/rhumb/resolve"
)

// followed tells those who follow the snapshot of a new one. Who asks for answers
// never comes here.
type followed struct {
	mu   sync.Mutex
	next chan struct{} // closed with the next snapshot; nil while nobody follows
}

func (f *followed) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next != nil {
		close(f.next)
		f.next = nil
	}
}

func (f *followed) wait() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = make(chan struct{})
	}
	return f.next
}

// Follow is the snapshot of this instant, nil before the first Commit, and a channel that
// is closed when there is another one.
func (e *Engine) Follow() (s *resolve.Snapshot, next <-chan struct{}) {
	next = e.followed.wait() // first, so that none is missed
	return e.Snapshot(), next
}
