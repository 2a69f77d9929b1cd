package gslb

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// moreReloads makes of a result whether files have been read again with it since.
func moreReloads(t *testing.T) func(result string) func() bool {
	t.Helper()
	was := gathered(t)
	return func(result string) func() bool {
		prefix := "gslb_config_reload_total{result=" + result + "} "
		return func() bool {
			return slices.ContainsFunc(gathered(t), func(s string) bool {
				return strings.HasPrefix(s, prefix) && !slices.Contains(was, s)
			})
		}
	}
}

// gathered are the metrics of the plugin, as name{labels} value; of a histogram the
// number of observations.
func gathered(t *testing.T) []string {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "gslb_") {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			out = append(out, fmt.Sprintf("%s{%s} %v", f.GetName(), strings.Join(labels, ","), v))
		}
	}
	return out
}
