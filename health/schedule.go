package health

import "container/heap"

// schedule is the probes at rest, the next due first.
type schedule struct{ h runnerHeap }

func (s *schedule) Len() int       { return len(s.h) }
func (s *schedule) first() *runner { return s.h[0] }
func (s *schedule) add(r *runner)  { heap.Push(&s.h, r) }
func (s *schedule) pop() *runner   { return heap.Pop(&s.h).(*runner) }

// remove takes a probe out if it is at rest.
func (s *schedule) remove(r *runner) {
	if r.index >= 0 {
		heap.Remove(&s.h, r.index)
	}
}

type runnerHeap []*runner

func (h runnerHeap) Len() int           { return len(h) }
func (h runnerHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h runnerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *runnerHeap) Push(x any) {
	r := x.(*runner)
	r.index = len(*h)
	*h = append(*h, r)
}

func (h *runnerHeap) Pop() any {
	old := *h
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	r.index = -1
	return r
}
