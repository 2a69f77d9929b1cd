package admin_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestMetricsFormats scrapes in every way that a client may ask for, and reads what
// comes with Prometheus's own reader: each family once, the endpoints' among them.
func TestMetricsFormats(t *testing.T) {
	n := newNode(t, configuration)
	for _, c := range []struct {
		accept, encoding string
		media            string
		zipped           bool
	}{
		{"", "", "text/plain", false},
		{"*/*", "gzip, deflate", "text/plain", true},
		{"text/plain", "gzip;q=0", "text/plain", false},
		{"text/plain", "br, GZIP; q=0.5", "text/plain", true},
		{"application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "gzip", "application/openmetrics-text", true},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "", "text/plain", false},
	} {
		headers := []string{"Accept: " + c.accept, "Accept-Encoding: " + c.encoding}
		resp := n.ask("GET", "/metrics", "", headers...)
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(got, c.media) {
			t.Errorf("%v: %s, %s", c, resp.Status, got)
		}
		var body io.Reader = resp.Body
		if zipped := resp.Header.Get("Content-Encoding") == "gzip"; zipped != c.zipped {
			t.Errorf("%v: compressed %t", c, zipped)
		} else if zipped {
			var err error
			if body, err = gzip.NewReader(resp.Body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(c.media, "application") {
			// There is no reader of it here: its end is what is special, and once each type.
			for _, want := range []string{"# TYPE rhumb_endpoint_up gauge\n", "# TYPE rhumb_build_info gauge\n"} {
				if strings.Count(string(text), want) != 1 {
					t.Errorf("%v: %d times %s", c, strings.Count(string(text), want), want)
				}
			}
			if !strings.HasSuffix(string(text), "\n# EOF\n") || strings.Count(string(text), "# EOF") != 1 {
				t.Errorf("%v: ends with %q", c, text[max(0, len(text)-80):])
			}
			continue
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if f := families["rhumb_endpoint_up"]; f == nil || f.GetType() != dto.MetricType_GAUGE || len(f.Metric) == 0 {
			t.Errorf("%v: endpoints: %v", c, f)
		}
		if families["rhumb_build_info"] == nil {
			t.Errorf("%v: no version", c)
		}
	}
}
