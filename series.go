package rhumb

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/health"
)

// Series is a metric of which every checked endpoint may have a sample: a gauge with
// the labels endpoint, pool and service, and those of Label.
type Series struct {
	Name, Help string
	Label      string // one more; empty: none
}

// EndpointSeries are the metrics that WriteSeries writes, in its order.
var EndpointSeries = []Series{
	{Name: "rhumb_endpoint_up", Help: "State of a checked endpoint by its checks: 1 up, 0 down, -1 unknown. Service is empty when it is judged for all services alike."},
	{Name: "rhumb_endpoint_degraded_share", Label: "reason", Help: "What an endpoint that is up and degraded by its checks is left of its traffic, above 0 to 1, by what degrades it: latency, probe, check. There is none for one that is not. Service is as for rhumb_endpoint_up."},
	{Name: "rhumb_endpoint_latency_seconds", Help: "Smoothed time that connections of probes to an endpoint take, which is what the filter latency goes by. There is none while it is not known, or the endpoint is down. Service is as for rhumb_endpoint_up."},
}

// WriteSeries writes the metrics of single endpoints in Prometheus's text format, which
// is OpenMetrics's too as far as this goes. They are no prometheus.Collector: of a
// hundred thousand endpoints a gatherer makes as many objects at once as weigh more
// than all else that the node remembers of them. The error is that of w.
func (e *Engine) WriteSeries(w io.Writer) error {
	s := e.Snapshot()
	if s == nil {
		return nil
	}
	all := homes(s.Table)
	var b []byte
	for k := range EndpointSeries {
		head := false
		for i := range all {
			at := &all[i]
			if len(at.endpoint.Checks) == 0 {
				continue
			}
			v, label, ok := e.sample(k, int(at.target), s.Health)
			if !ok {
				continue
			}
			if !head {
				head = true
				b = fmt.Appendf(b, "# HELP %s %s\n# TYPE %[1]s gauge\n", EndpointSeries[k].Name, EndpointSeries[k].Help)
			}
			b = append(b, EndpointSeries[k].Name...)
			b = appendLabel(append(b, '{'), "endpoint", at.endpoint.String())
			b = appendLabel(append(b, ','), "pool", at.pool.Name)
			if l := EndpointSeries[k].Label; l != "" {
				b = appendLabel(append(b, ','), l, label)
			}
			b = appendLabel(append(b, ','), "service", at.service(s.Table))
			b = strconv.AppendFloat(append(b, "} "...), v, 'g', -1, 64)
			b = append(b, '\n')
			if len(b) < seriesChunk {
				continue
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := w.Write(b)
	return err
}

// seriesChunk is how much is written at once.
const seriesChunk = 32 << 10

// sample is the value of metric k for a target.
func (e *Engine) sample(k, target int, view *health.View) (v float64, label string, ok bool) {
	state := view.State(target)
	switch k {
	case 0:
		switch state {
		case health.Up:
			return 1, "", true
		case health.Down:
			return 0, "", true
		}
		return -1, "", true
	case 1:
		d := view.Detail(target, nil)
		return float64(d.Share) / health.Whole, d.Cause.String(), d.Cause != health.NotDegraded
	}
	if state == health.Down {
		return 0, "", false
	}
	l := e.board.Latency(view.Generation(), target)
	return l.Seconds(), "", l > 0
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func appendLabel(b []byte, name, value string) []byte {
	b = append(append(b, name...), `="`...)
	if strings.ContainsAny(value, "\\\n\"") {
		value = labelEscapes.Replace(value)
	}
	return append(append(b, value...), '"')
}
