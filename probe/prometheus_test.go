package probe

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func metricsOf(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func is(op, text string) []Condition { return []Condition{{op, text}} }

const exposed = `# HELP jobs Jobs that wait.
# TYPE jobs gauge
jobs{queue="mail",host="a"} 10
jobs{queue="mail",host="b"} 20.5 1395066363000
jobs{queue="print",host="a"} 3
jobs_total 7
	 jobs { queue = "odd" , host = "c", }	1e3
jobs{queue="nan"} NaN
jobs{queue="esc\\aped \"x\"\n"} 5 # {trace_id="a"} 0.5
jobs{queue="inf"} +Inf
lat_bucket{le="0.5"} 4
lat_bucket{le="+Inf"} 9
{"utf8.métric", queue="mail"} 6
{"jobs", queue="quoted"} 8

# EOF
`

func TestPrometheus(t *testing.T) {
	type m = map[string]string
	for _, c := range []struct {
		name   string
		o      Prometheus
		class  Class
		detail string
	}{
		{"one", Prometheus{Metric: "jobs_total", Expect: is("=", "7")}, "", ""},
		{"above", Prometheus{Metric: "jobs_total", Expect: is("<", "7")}, ClassValue, "the value of jobs_total is 7, expected < 7"},
		{"by labels", Prometheus{Metric: "jobs", Labels: m{"queue": "mail", "host": "b"}, Expect: is("=", "20.5")}, "", ""},
		{"in spaces", Prometheus{Metric: "jobs", Labels: m{"queue": "odd", "host": "c"}, Expect: is("=", "1000")}, "", ""},
		{"without a label", Prometheus{Metric: "jobs", Labels: m{"queue": "inf", "host": ""}, Expect: is(">", "1e300")}, "", ""},
		{"with a label that is not to be", Prometheus{Metric: "jobs", Labels: m{"queue": "print", "host": ""}, Expect: is("=", "3")}, ClassValue, "no series of jobs has the labels"},
		{"escaped", Prometheus{Metric: "jobs", Labels: m{"queue": "esc\\aped \"x\"\n"}, Expect: is("=", "5")}, "", ""},
		{"bucket", Prometheus{Metric: "lat_bucket", Labels: m{"le": "+Inf"}, Expect: is("=", "9")}, "", ""},
		{"in quotes", Prometheus{Metric: "utf8.métric", Labels: m{"queue": "mail"}, Expect: is("=", "6")}, "", ""},
		{"a plain name in quotes", Prometheus{Metric: "jobs", Labels: m{"queue": "quoted"}, Expect: is("=", "8")}, "", ""},
		{"absent", Prometheus{Metric: "job", Expect: is("=", "7")}, ClassValue, "there is no metric job"},
		{"several", Prometheus{Metric: "jobs", Labels: m{"queue": "mail"}, Expect: is(">", "0")}, ClassValue, "more than one series of jobs matches: state more labels, or aggregate"},
		{"sum", Prometheus{Metric: "jobs", Labels: m{"queue": "mail"}, Aggregate: AggregateSum, Expect: is("=", "30.5")}, "", ""},
		{"sum that is not", Prometheus{Metric: "jobs", Labels: m{"queue": "mail"}, Aggregate: AggregateSum, Expect: is("<", "30")}, ClassValue, "the sum of jobs is 30.5, expected < 30"},
		{"max", Prometheus{Metric: "jobs", Labels: m{"host": "a"}, Aggregate: AggregateMax, Expect: is("=", "10")}, "", ""},
		{"max that is not", Prometheus{Metric: "jobs", Labels: m{"host": "a"}, Aggregate: AggregateMax, Expect: is("<", "10")}, ClassValue, "the maximum of jobs is 10"},
		{"min", Prometheus{Metric: "jobs", Labels: m{"host": "a"}, Aggregate: AggregateMin, Expect: is("=", "3")}, "", ""},
		{"any", Prometheus{Metric: "jobs", Labels: m{"host": "a"}, Aggregate: AggregateAny, Expect: is("=", "3")}, "", ""},
		{"none", Prometheus{Metric: "jobs", Labels: m{"host": "a"}, Aggregate: AggregateAny, Expect: is("=", "4")}, ClassValue, "no series of jobs (2) is = 4"},
		{"any beside NaN", Prometheus{Metric: "jobs", Aggregate: AggregateAny, Expect: is("=", "5")}, "", ""},
		{"all", Prometheus{Metric: "jobs", Labels: m{"host": "a"}, Aggregate: AggregateAll, Expect: is("<", "11")}, "", ""},
		{"not all", Prometheus{Metric: "jobs", Labels: m{"host": "a"}, Aggregate: AggregateAll, Expect: is("<", "10")}, ClassValue, "a series of jobs is 10, expected < 10"},
		{"both", Prometheus{Metric: "jobs_total", Expect: []Condition{{">", "6"}, {"<", "8"}}}, "", ""},
		{"NaN", Prometheus{Metric: "jobs", Labels: m{"queue": "nan"}, Expect: is("!=", "1")}, ClassValue, "a series of jobs is NaN"},
		{"NaN in a sum", Prometheus{Metric: "jobs", Aggregate: AggregateSum, Expect: is(">", "1")}, ClassValue, "a series of jobs is NaN"},
		{"NaN among all", Prometheus{Metric: "jobs", Labels: m{"host": ""}, Aggregate: AggregateAll, Expect: is(">", "1")}, ClassValue, "NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := conversation(t, c.o, false, metricsOf(exposed))
			check(t, r, c.class, c.detail)
		})
	}
}

func TestPrometheusResponses(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 50<<20))
	_ = z.Close()
	chunked := func(size int, body string) string {
		b := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		for len(body) > 0 {
			n := min(size, len(body))
			b += fmt.Sprintf("%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		return b + "0\r\n\r\n"
	}
	long := strings.Repeat("x", maxMessage)
	for _, c := range []struct {
		name, response string
		class          Class
		detail         string
	}{
		{"well", metricsOf("up 1\n"), "", ""},
		{"chunked", chunked(3, exposed+"up 1\n"), "", ""},
		{"with returns", metricsOf("a 1\r\nup 1\r\n"), "", ""},
		{"interim", "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" + metricsOf("up 1\n"), "", ""},
		{"empty", metricsOf(""), ClassValue, "there are no metrics"},
		{"comments", metricsOf("# up 1\n"), ClassValue, "there are no metrics"},
		{"cut off", metricsOf("a 1\nup 1"), ClassProtocol, "may be cut off"},
		{"cut off elsewhere", metricsOf("up 1\na 1"), "", ""},
		{"malformed", metricsOf("up one\n"), ClassProtocol, "not metrics in text"},
		{"malformed later", metricsOf("a 1\nup{x=y} 1\n"), ClassProtocol, "not metrics in text"},
		{"malformed elsewhere", metricsOf("up 1\nother one\n"), "", ""},
		{"no value", metricsOf("up\n"), ClassProtocol, "not metrics in text"},
		{"html", metricsOf("<html><body>" + hunter + "</body></html>\n"), ClassProtocol, "not metrics in text"},
		{"json", metricsOf("{\"status\": 1}\n"), ClassProtocol, "not metrics in text"},
		{"a bomb", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + bomb.String(), ClassProtocol, "compressed, which was not asked for"},
		{"a bomb unnamed", metricsOf(bomb.String()), ClassProtocol, ""},
		{"a long line", metricsOf("a{x=\"" + long + "\"} 1\nb{x=\"" + long + "\"} 1\nup 1\n"), ClassOversize, "longer than 64 KiB"},
		{"a long line elsewhere", metricsOf("a 1\nb{x=\"" + long + "\"} 1\nup 1\n"), "", ""},
		{"a long line of ours", metricsOf("a 1\nup{x=\"" + long + "\"} 1\n"), ClassOversize, "longer than 64 KiB"},
		{"a line of ours of some length", metricsOf("a 1\nup{x=\"" + long[:9000] + "\"} 1\n"), "", ""},
		{"unavailable", "HTTP/1.1 503 " + hunter + "\r\n\r\n", ClassStatus, "status 503, expected 200"},
		{"elsewhere", "HTTP/1.1 302 Found\r\nLocation: /" + hunter + "\r\n\r\n", ClassStatus, "status 302, expected 200"},
		{"not without a login", "HTTP/1.1 401 Unauthorized\r\n\r\n", ClassAuth, "status 401: the login was refused"},
		{"forbidden", "HTTP/1.1 403 Forbidden\r\n\r\n", ClassAuth, "status 403"},
		{"an endless header", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 6000), ClassOversize, "header is longer than 32 KiB"},
		{"another version", "HTTP/2.0 200 OK\r\n\r\nup 1\n", ClassProtocol, "not HTTP/1"},
		{"switched", "HTTP/1.1 101 Switching Protocols\r\n\r\n", ClassStatus, "status 101"},
		{"another status", "HTTP/1.1 099 OK\r\n\r\n", ClassProtocol, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, heard := conversation(t, upMetric, false, c.response)
			check(t, r, c.class, c.detail)
			const want = "GET /metrics HTTP/1.1\r\nHost: 192.0.2.1:8080\r\nConnection: close\r\nAuthorization: Bearer " + hunter +
				"\r\nAccept: text/plain;version=0.0.4, application/openmetrics-text;q=0.5\r\nUser-Agent: rhumb-probe\r\n\r\n"
			if heard[0] != want {
				t.Errorf("heard %q", heard[0])
			}
		})
	}
}

// What is decided is not read to its end.
func TestPrometheusStopsEarly(t *testing.T) {
	for _, c := range []struct {
		a     Aggregate
		is    []Condition
		class Class
	}{
		{AggregateAny, is("=", "1"), ClassNone},
		{AggregateAll, is("=", "2"), ClassValue},
		{AggregateOne, is("=", "1"), ClassValue},
	} {
		var sent int
		r := hear(t, Prometheus{Metric: "up", Aggregate: c.a, Expect: c.is}, func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 4096))
			_ = fluently(conn, okMetrics)
			for fluently(conn, "up{a=\"b\"} 1\n") == nil {
				sent++
			}
		})
		check(t, r, c.class, "")
		if sent > 1000 {
			t.Errorf("%s: %d lines", c.a, sent)
		}
	}
}

// The library that services expose their metrics with is the oracle.
func TestPrometheusOracle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	odd := []string{"", "plain", `back\slash`, `qu"ote`, "new\nline", "{brace}", "comma, and = sign", "ümläut", "#", " ", `\n`}
	reg := prometheus.NewRegistry()
	want := map[[2]string]float64{}
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "a \\ \n help"}, []string{"a", "b"})
	hist := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: []float64{0.5, 1}})
	reg.MustRegister(gauge, hist)
	var sum float64
	for range 60 {
		k := [2]string{odd[rnd.IntN(len(odd))], odd[rnd.IntN(len(odd))]}
		v := []float64{rnd.NormFloat64(), math.Trunc(1e18 * rnd.Float64()), 0, math.Inf(1), -1e-300, float64(rnd.IntN(9))}[rnd.IntN(6)]
		gauge.WithLabelValues(k[0], k[1]).Set(v)
		want[k] = v
	}
	for range 10 {
		hist.Observe(rnd.Float64() * 2)
	}
	srv := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	defer srv.Close()
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
		promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
	}))
	defer open.Close()
	for _, s := range []*httptest.Server{srv, open} {
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		port, _ := strconv.Atoi(u.Port())
		target := Target{Addr: netip.MustParseAddr("127.0.0.1"), Port: uint16(port)}
		sum = 0
		for k, v := range want {
			sum += v
			exact := strconv.FormatFloat(v, 'g', -1, 64)
			o := Prometheus{Metric: "g", Labels: map[string]string{"a": k[0], "b": k[1]}, Expect: is("=", exact)}
			check(t, must(t, o).Probe(ctxFor(t, patience), target), "", "")
		}
		if math.IsInf(sum, 1) {
			check(t, must(t, Prometheus{Metric: "g", Aggregate: AggregateSum, Expect: is("=", "+Inf")}).Probe(ctxFor(t, patience), target), "", "")
		}
		check(t, must(t, Prometheus{Metric: "h_bucket", Labels: map[string]string{"le": "+Inf"}, Expect: is("=", "10")}).Probe(ctxFor(t, patience), target), "", "")
		check(t, must(t, Prometheus{Metric: "h_count", Expect: is("=", "10")}).Probe(ctxFor(t, patience), target), "", "")
	}
}

// TLS, the Host header and the path.
func TestPrometheusOverTLS(t *testing.T) {
	ca := newAuthority(t)
	heard := make(chan string, 1)
	target := tlsServer(t, "127.0.0.1", tlsOf(ca.issue(t, nil, "metrics.example.com")), nil, func(c net.Conn) {
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		heard <- string(buf[:n])
		_ = fluently(c, metricsOf("up 1\n"))
	})
	o := Prometheus{Metric: "up", Expect: is("=", "1"), Host: "metrics.example.com:9100", Path: "/m?a=b", TLS: &TLSConfig{Roots: ca.roots}}
	check(t, must(t, o).Probe(ctxFor(t, patience), target), "", "")
	if got := <-heard; !strings.HasPrefix(got, "GET /m?a=b HTTP/1.1\r\nHost: metrics.example.com:9100\r\n") {
		t.Errorf("heard %q", got)
	}
	o.Host = "other.example.com"
	check(t, must(t, o).Probe(ctxFor(t, patience), target), ClassTLS, "not for other.example.com")
}
