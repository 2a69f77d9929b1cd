package probe

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
)

// series are the series that a check is about, and what is expected of them.
type series struct {
	metric    string
	labels    []label
	aggregate Aggregate
	expect    conditions
}

type label struct{ name, value string }

func (s *series) scan() *scan {
	return &scan{series: s, max: math.Inf(-1), min: math.Inf(1)}
}

// scan is one reading of an exposition.
type scan struct {
	*series
	line  []byte // the one that did not fit into the reader's buffer
	asked bool   // one line has been a sample, so that this is an exposition

	named, matched int // series of the metric, and those with the labels
	value          float64
	sum, max, min  float64
	nan            bool
	fulfilled      bool // by one series
	bad            *condition
	badValue       float64
}

var (
	errLongLine  = errors.New("line too long")
	errNoMetrics = errors.New("not an exposition")
	errCut       = errors.New("last line without an end")
)

// read reads an exposition to its end, or until nothing in it can change the
// verdict any more.
func (c *scan) read(br *bufio.Reader) error {
	for !c.decided() {
		line, err := c.next(br)
		if len(line) > 0 {
			if err := c.take(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// next is a line without its end. Of a long line that cannot be of the metric the
// rest is passed over.
func (c *scan) next(br *bufio.Reader) ([]byte, error) {
	b, err := br.ReadSlice('\n')
	keep := c.concerns(b)
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
	case errors.Is(err, io.EOF) && keep:
		return nil, errCut // its number may go on
	case err != nil:
		return nil, err
	default:
		return bytes.TrimRight(b, "\r\n"), nil
	}
	c.line = append(c.line[:0], b...)
	for errors.Is(err, bufio.ErrBufferFull) {
		b, err = br.ReadSlice('\n')
		switch {
		case !keep:
		case len(c.line)+len(b) > maxMessage:
			return nil, errLongLine
		default:
			c.line = append(c.line, b...)
		}
	}
	switch {
	case errors.Is(err, io.EOF) && keep:
		return nil, errCut
	case err != nil || !keep:
		return nil, err
	}
	return bytes.TrimRight(c.line, "\r\n"), nil
}

// concerns says that a line, or its beginning, may be a sample of the metric, or
// is needed to know whether this is an exposition.
func (c *scan) concerns(line []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	if len(line) == 0 || line[0] == '#' {
		return false
	}
	if !c.asked || line[0] == '{' {
		return true
	}
	return len(line) > len(c.metric) && string(line[:len(c.metric)]) == c.metric &&
		(line[len(c.metric)] == '{' || line[len(c.metric)] == ' ' || line[len(c.metric)] == '\t')
}

func (c *scan) take(line []byte) error {
	if !c.concerns(line) {
		return nil
	}
	s, ok := parseSample(line, c.labels)
	if !ok {
		return errNoMetrics
	}
	c.asked = true
	if string(s.name) != c.metric {
		return nil
	}
	c.named++
	if !s.matches {
		return nil
	}
	c.matched++
	c.value = s.value
	c.sum += s.value
	c.max, c.min = max(c.max, s.value), min(c.min, s.value)
	c.nan = c.nan || math.IsNaN(s.value)
	if bad, ok := c.expect.hold(s.value); ok {
		c.fulfilled = true
	} else if c.bad == nil {
		c.bad, c.badValue = bad, s.value
	}
	return nil
}

// decided says that the rest need not be read.
func (c *scan) decided() bool {
	switch c.aggregate {
	case AggregateOne:
		return c.matched > 1
	case AggregateAny:
		return c.fulfilled
	case AggregateAll:
		return c.bad != nil
	}
	return c.nan
}

func (c *scan) judge() failure {
	metric := oneLine(c.metric, 60)
	value, what := c.value, "the value"
	switch {
	case !c.asked:
		return fail(ClassValue, "there are no metrics")
	case c.named == 0:
		return fail(ClassValue, "there is no metric %s", metric)
	case c.matched == 0:
		return fail(ClassValue, "no series of %s has the labels", metric)
	case c.nan && c.aggregate != AggregateAny:
		return fail(ClassValue, "a series of %s is NaN", metric)
	}
	switch c.aggregate {
	case AggregateOne:
		if c.matched > 1 {
			return fail(ClassValue, "more than one series of %s matches: state more labels, or aggregate", metric)
		}
	case AggregateSum:
		value, what = c.sum, "the sum"
	case AggregateMax:
		value, what = c.max, "the maximum"
	case AggregateMin:
		value, what = c.min, "the minimum"
	case AggregateAny:
		if c.fulfilled {
			return failure{}
		}
		return fail(ClassValue, "no series of %s (%d) is %s", metric, c.matched, c.bad.brief())
	case AggregateAll:
		if c.bad == nil {
			return failure{}
		}
		return fail(ClassValue, "a series of %s is %s, expected %s", metric, figure(c.badValue), c.bad.brief())
	}
	if bad, ok := c.expect.hold(value); !ok {
		return fail(ClassValue, "%s of %s is %s, expected %s", what, metric, figure(value), bad.brief())
	}
	return failure{}
}
