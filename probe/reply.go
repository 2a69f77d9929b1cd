package probe

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"time"
)

// Start implements Starter: for plain HTTP/1.1 that follows nothing and is judged soon.
func (p *httpProber) Start(l *Loop, t Target, timeout time.Duration, tag any) bool {
	if p.version != HTTP1 || p.secure || p.follow || p.costly || !p.net.direct(t) {
		return false
	}
	f := l.add(t, timeout, tag)
	f.reply = p.replyTo(t)
	f.job.Talk = f
	return true
}

// maxSteps is how large an expression may be that a Loop holds against a body, in the
// instructions of package regexp, of which any number may run for each byte: a longer
// one could take a second for 64 KiB, and all other probes would wait for it.
const maxSteps = 50

// costly is whether an expression is larger than that.
func costly(re *regexp.Regexp) bool {
	if re == nil {
		return false
	}
	parsed, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return true
	}
	steps, err := syntax.Compile(parsed.Simplify())
	return err != nil || len(steps.Inst) > maxSteps
}

// freely is how many bytes of a response are read again before it is asked whether
// that is worth it. A header that comes in a few pieces does not get there.
const freely = 256 << 10

// hearing hears the response to one request. It is judged by the same code that reads
// it from a connection elsewhere, from the start each time that more of it has come,
// until that code does not ask for more.
type hearing struct {
	p       *httpProber
	hop     hop
	request []byte
	verdict failure
	tried   int // how much of the response was there the last time
	spent   int // and how much all times together
}

func (p *httpProber) replyTo(t Target) hearing {
	r := hearing{p: p, hop: p.firstHop(t), request: p.first}
	if r.request == nil {
		r.request = p.request(&r.hop)
	}
	return r
}

// heard is told all that has come so far; with err nothing more will. It is true when
// there is a verdict.
func (r *hearing) heard(b []byte, err error) bool {
	if err == nil && !r.worth(len(b)) {
		return false
	}
	r.tried, r.spent = len(b), r.spent+len(b)
	in := &pieces{b: b, err: err}
	_, f := r.p.judgeStream(contextOf(err), in, &r.hop)
	if in.short {
		return false
	}
	r.verdict = f
	return true
}

// worth is whether the response is judged again with so much of it: each time at
// first, and then when an eighth has come on top. A peer that sends it byte by byte
// costs a few times what it sends.
func (r *hearing) worth(n int) bool { return r.spent+n <= freely || n-r.tried >= r.tried/8 }

// pieces reads what has come of a response.
type pieces struct {
	b     []byte
	err   error // what follows; nil: it is not known yet
	short bool  // more was asked for than there is
}

var errMore = errors.New("more has to come")

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		p.short = true
		return 0, errMore
	}
	n := copy(b, p.b)
	p.b = p.b[n:]
	return n, nil
}
