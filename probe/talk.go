package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
)

// Talk is a conversation of one sentence each: what is sent, and what has to come
// back. The zero value says and expects nothing.
type Talk struct {
	// Send is written as it is, once the connection is made.
	Send []byte
	// Expect, if not nil, must be found in the first 64 KiB of what comes back. The
	// conversation ends as soon as it is. Bytes that are not UTF-8 match as U+FFFD.
	Expect *regexp.Regexp
}

const (
	// maxTalk is how much of an answer is searched.
	maxTalk = 64 << 10
	// freeLooks is how often an answer is searched whenever something of it arrives.
	// After that it has to grow by a sixteenth, or to end, before it is searched
	// again: a peer that sends byte by byte could otherwise have the whole of it
	// searched 65,536 times.
	freeLooks = 64
)

const (
	talking   stage = "while sending"
	listening stage = "while waiting for what is expected"
)

func (k *Talk) any() bool { return len(k.Send) > 0 || k.Expect != nil }

// over holds the conversation.
func (k *Talk) over(ctx context.Context, conn net.Conn) failure {
	if len(k.Send) > 0 {
		if _, err := conn.Write(k.Send); err != nil {
			return classify(ctx, err, talking)
		}
	}
	if k.Expect == nil {
		return failure{}
	}
	heard := make([]byte, 0, 1<<10)
	searched, looks := 0, 0
	for {
		if len(heard) == cap(heard) {
			heard = append(heard, 0)[:len(heard)]
		}
		n, err := conn.Read(heard[len(heard):min(cap(heard), maxTalk)])
		heard = heard[:len(heard)+n]
		over := len(heard) == maxTalk
		if len(heard) > searched && (looks < freeLooks || len(heard) >= searched+searched/16 || over || err != nil) {
			if k.Expect.Match(heard) {
				return failure{}
			}
			searched = len(heard)
			looks++
		}
		switch {
		case over:
			return fail(ClassOversize, "the first %d KiB of the answer do not match %s", maxTalk>>10, k.expectation())
		case err != nil:
			return k.unheard(ctx, heard, err)
		}
	}
}

// unheard is a conversation that ended without what was expected.
func (k *Talk) unheard(ctx context.Context, heard []byte, err error) failure {
	f := late(classify(ctx, err, listening), len(heard) > 0)
	switch {
	case len(heard) == 0 || f.class == ClassCanceled:
	case speaksTLS(heard):
		f = fail(ClassProtocol, "the server speaks TLS; the check does not")
	case errors.Is(err, io.EOF):
		f = fail(ClassValue, "the answer (%d bytes) does not match %s", len(heard), k.expectation())
	case f.class == ClassSlow:
		f.detail += ": what came until then does not match " + k.expectation()
	}
	return f
}

func (k *Talk) expectation() string { return oneLine(k.Expect.String(), 80) }

// speaksTLS is whether what a server said begins with a TLS alert, which is how it
// answers what is not TLS (RFC 8446 section 5.1).
func speaksTLS(heard []byte) bool {
	return len(heard) >= 2 && heard[0] == tlsAlert && heard[1] == 3
}

// late makes of a timeout one of an answer that had begun.
func late(f failure, begun bool) failure {
	if begun && f.class == ClassTimeout {
		f.class = ClassSlow
	}
	return f
}
