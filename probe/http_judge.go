package probe

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/jsonpath"
)

const (
	// maxHeader bounds all the header a server sends before its body, interim
	// responses included. Common servers allow 8 KiB.
	maxHeader = 32 << 10
	// maxBody is how much of a body is judged.
	maxBody = 64 << 10
	// maxJSONCost bounds the values that all JSON paths of a check look at: several
	// times as many as the largest body has.
	maxJSONCost = 1 << 18
)

type (
	wantHeader struct {
		name       string
		conditions conditions
	}

	wantJSON struct {
		path       *jsonpath.Path
		conditions conditions
	}
)

// redirect is where a response sends the probe on to; no location means that
// it does not.
type redirect struct {
	location string
	status   int
}

// judgesBody is whether a response's body has to be read.
func (p *httpProber) judgesBody() bool { return p.body != nil || len(p.wantJSON) > 0 }

// judgeHead judges what comes before a response's body: the status, and the header by
// canonical names. Where it neither fails nor sends on, and judgesBody, the body is to
// be read and judged by judgeBody.
func (p *httpProber) judgeHead(h *hop, status int, header http.Header) (redirect, failure) {
	if p.follow && redirects(status) {
		if l := header.Get("Location"); l != "" {
			return redirect{location: l, status: status}, failure{}
		}
	}
	if !p.expects(status) {
		if status == http.StatusUnauthorized && p.login != "" && !h.bare && !h.anonymous {
			return redirect{}, fail(ClassAuth, "status 401: the login was refused")
		}
		return redirect{}, fail(ClassStatus, "status %d, expected %s", status, p.expectation())
	}
	for i := range p.wantHeaders {
		if f := p.wantHeaders[i].judge(header); f.failed() {
			return redirect{}, f
		}
	}
	if !p.judgesBody() {
		return redirect{}, failure{}
	}
	for _, coding := range header.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			// What a few bytes decode to has no bound but ours, and no server is made to
			// send them: it was asked for the body as it is.
			return redirect{}, fail(ClassBody, "the body is compressed, although it was asked for as it is")
		}
	}
	return redirect{}, failure{}
}

func (w *wantHeader) judge(header http.Header) failure {
	values := header.Values(w.name)
	if len(values) == 0 {
		return fail(ClassValue, "the header %s is missing", oneLine(w.name, 60))
	}
	f := w.conditions.judge(strings.Join(values, ", "))
	if f.failed() {
		f.detail = "the header " + oneLine(w.name, 60) + ": " + f.detail
	}
	return f
}

// judgeBody judges a body of at most maxBody bytes; more says that there is more of it.
func (p *httpProber) judgeBody(body []byte, more bool) failure {
	if p.body != nil && !p.body.Match(body) {
		which := "body"
		if more {
			which = "beginning of the body"
		}
		return fail(ClassBody, "the %s (%d bytes) does not match %s", which, len(body), briefRegexp(p.body))
	}
	if len(p.wantJSON) == 0 {
		return failure{}
	}
	if more {
		return fail(ClassOversize, "the body is longer than the %d KiB of JSON that are judged", maxBody>>10)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var root any
	if err := d.Decode(&root); err != nil {
		return fail(ClassBody, "the body (%d bytes) is not JSON", len(body))
	}
	if _, err := d.Token(); err != io.EOF { //nolint:errorlint // the decoder's own
		return fail(ClassBody, "the body (%d bytes) is JSON with something behind it", len(body))
	}
	for i := range p.wantJSON {
		if f := p.wantJSON[i].judge(root, maxJSONCost/len(p.wantJSON)); f.failed() {
			return f
		}
	}
	return failure{}
}

func (w *wantJSON) judge(root any, cost int) failure {
	name := oneLine(w.path.String(), 80)
	found, err := w.path.Select(root, cost)
	switch {
	case err != nil:
		return fail(ClassOversize, "%s: looks at more than %d values", name, cost)
	case len(found) == 0:
		return fail(ClassValue, "%s: the JSON has no such value", name)
	}
	for _, v := range found {
		if f := w.conditions.judgeJSON(v); f.failed() {
			f.detail = name + ": " + f.detail
			return f
		}
	}
	return failure{}
}

// judgeJSON holds a value of JSON against the conditions. It has a type: where both
// are numbers, = and != compare numbers rather than their texts.
func (cs conditions) judgeJSON(v any) failure {
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case bool:
		text = strconv.FormatBool(v)
	case json.Number:
		return cs.judgeNumber(v)
	case nil:
		return fail(ClassValue, "the value is null")
	default:
		return fail(ClassValue, "the value is an object or an array")
	}
	return cs.judge(text)
}

func (cs conditions) judgeNumber(n json.Number) failure {
	got, _ := strconv.ParseFloat(string(n), 64)
	for i := range cs {
		c := cs[i]
		if c.Op == "=" || c.Op == "!=" {
			if want, err := strconv.ParseFloat(c.Text, 64); err == nil {
				c.limit = want
				if !c.holds(got) {
					return fail(ClassValue, "the value is %s, expected %s", figure(got), c.brief())
				}
				continue
			}
		}
		if f := cs[i : i+1].judge(string(n)); f.failed() {
			return f
		}
	}
	return failure{}
}

func briefRegexp(re *regexp.Regexp) string { return oneLine(re.String(), 80) }

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func (p *httpProber) expects(status int) bool {
	for _, r := range p.expected {
		if r.Min <= status && status <= r.Max {
			return true
		}
	}
	return false
}

func (p *httpProber) expectation() string {
	s := make([]string, len(p.expected))
	for i, r := range p.expected {
		s[i] = r.String()
	}
	return strings.Join(s, ", ")
}
