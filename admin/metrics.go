package admin

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// zippers compress what is scraped, as fast as they can: it is read next door, every
// few seconds.
var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for an unknown level only
	return z
}}

// textFormats are those that are served, the preferred one first.
var textFormats = slices.DeleteFunc(expfmt.DefaultOpenMetricsAcceptedFormats(), func(f expfmt.Format) bool {
	return f.FormatType() != expfmt.TypeOpenMetrics && f.FormatType() != expfmt.TypeTextPlain
})

// metrics answers with all there is to measure, as text: in Prometheus's format or in
// OpenMetrics's. The series of endpoints are written one after the other, so that a
// scrape of a hundred thousand of them takes no memory to speak of; the others are
// gathered before.
func (a *Admin) metrics(g prometheus.Gatherer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		families, err := g.Gather()
		if err != nil {
			a.log.Error("metrics cannot be gathered", "error", err)
			if len(families) == 0 {
				refuse(w, http.StatusInternalServerError, "the metrics cannot be gathered; the log says why")
				return
			}
		}
		format := expfmt.NegotiateAccept(r.Header, textFormats...)
		w.Header().Set("Content-Type", string(format))
		w.Header().Set("Vary", "Accept, Accept-Encoding")
		// What fails from here on is that whoever asked has gone.
		if !acceptsGzip(r.Header) {
			_ = a.expose(w, format, families)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := zippers.Get().(*gzip.Writer)
		defer zippers.Put(z)
		z.Reset(w)
		_ = a.expose(z, format, families)
		_ = z.Close()
	}
}

func (a *Admin) expose(w io.Writer, format expfmt.Format, families []*dto.MetricFamily) error {
	if err := a.engine.WriteSeries(w); err != nil {
		return err
	}
	e := expfmt.NewEncoder(w, format)
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	if end, ok := e.(expfmt.Closer); ok { // OpenMetrics has an end
		return end.Close()
	}
	return nil
}

// acceptsGzip is whether a client takes compressed content (RFC 9110 section 12.5.3).
func acceptsGzip(h http.Header) bool {
	for _, part := range strings.Split(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, weighted := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
		v, err := strconv.ParseFloat(q, 64)
		return !weighted || err == nil && v > 0
	}
	return false
}
