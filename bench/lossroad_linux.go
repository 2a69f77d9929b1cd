package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// roadQueue is how many packets are on a road at most, each way. It holds what comes in
// lossDelay many times over, and so never fills.
const roadQueue = 1 << 15

// road is a wire between two network namespaces that delays packets, and loses some.
type road struct {
	ends [2]*os.File
	ways [2]way // by the end that they lead to
}

// way is one direction of a road.
type way struct {
	mu     sync.Mutex
	random *rand.Rand
	burst  float64 // packets that are lost in a row, on average; 0: each by itself
	losing bool    // the last one was lost

	carried, lost, runs int
}

// newRoad is a road whose losses are the same each time, as far as packets come in the
// same order.
func newRoad(burst int) *road {
	r := new(road)
	for i := range r.ways {
		r.ways[i].random, r.ways[i].burst = rand.New(rand.NewPCG(uint64(i), 1)), float64(burst)
	}
	return r
}

// loses is whether the next packet is lost. With bursts it is a chain of two states
// (Gilbert): a run of losses goes on with a chance of 1 - 1/burst, and begins with the
// one that makes lossShare of all packets lost.
func (w *way) loses() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	chance := lossShare
	if w.burst > 0 {
		chance = lossShare / (1 - lossShare) / w.burst
		if w.losing {
			chance = 1 - 1/w.burst
		}
	}
	lost := w.random.Float64() < chance
	w.carried++
	if lost {
		w.lost++
		if !w.losing {
			w.runs++
		}
	}
	w.losing = lost
	return lost
}

// plug makes the interface "road" in the namespace of the calling thread.
func (r *road) plug(end int) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq("road")
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	r.ends[end] = os.NewFile(uintptr(fd), "road")
	return nil
}

// parcel is a packet, and when it arrives.
type parcel struct {
	due    time.Time
	packet []byte
}

// carry carries packets until the process ends.
func (r *road) carry() {
	for to := range r.ends {
		under := make(chan parcel, roadQueue)
		go func() {
			b := make([]byte, 1<<16)
			for {
				n, err := r.ends[1-to].Read(b)
				if errors.Is(err, os.ErrClosed) {
					return
				}
				if n > 0 && !r.ways[to].loses() {
					under <- parcel{time.Now().Add(lossDelay), append([]byte(nil), b[:n]...)}
				}
			}
		}()
		go func() {
			for p := range under {
				time.Sleep(time.Until(p.due))
				_, _ = r.ends[to].Write(p.packet)
			}
		}()
	}
}

// counts are the packets that were given to the road, those of them that were lost, and
// how often some were lost in a row.
func (r *road) counts() (carried, lost, runs int) {
	for i := range r.ways {
		w := &r.ways[i]
		w.mu.Lock()
		carried, lost, runs = carried+w.carried, lost+w.lost, runs+w.runs
		w.mu.Unlock()
	}
	return carried, lost, runs
}
