package edge

import (
	"fmt"
	"strings"
	"testing"
)

func TestTake(t *testing.T) {
	for _, c := range []struct {
		name, records string
		want          []string // DNS records
		listed        []string // how the edge lists them, where that is not as they were stated
		refused       []string // reasons
	}{
		{
			"addresses of both families", `{"name":"api.gslb.elchi","type":"A","ttl":60,"ips":["192.0.2.1","192.0.2.2"]},{"name":"api.gslb.elchi","type":"AAAA","ttl":90,"ips":["2001:db8::1"]}`,
			[]string{"api.gslb.elchi. 60 A 192.0.2.1", "api.gslb.elchi. 60 A 192.0.2.2", "api.gslb.elchi. 90 AAAA 2001:db8::1"},
			nil, nil,
		},
		{
			"no TTL is the default", `{"name":"a.gslb.elchi","type":"A","ttl":0,"ips":["192.0.2.1"]},{"name":"b.gslb.elchi","type":"A","ips":["192.0.2.1"]}`,
			[]string{"a.gslb.elchi. 300 A 192.0.2.1", "b.gslb.elchi. 300 A 192.0.2.1"},
			[]string{`{"name":"a.gslb.elchi","type":"A","ttl":300,"ips":["192.0.2.1"]}`, `{"name":"b.gslb.elchi","type":"A","ttl":300,"ips":["192.0.2.1"]}`},
			nil,
		},
		{
			"not enabled, with a failover", `{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"],"enabled":false,"failover":"s.elsewhere.elchi."}`,
			[]string{"s.gslb.elchi. 20 CNAME s.elsewhere.elchi."},
			[]string{`{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":[],"enabled":false,"failover":"s.elsewhere.elchi"}`},
			nil,
		},
		{
			"no addresses, with a failover", `{"name":"asia.gslb.elchi","type":"AAAA","ttl":20,"ips":[],"failover":"europe.gslb.elchi"}`,
			[]string{"asia.gslb.elchi. 20 CNAME europe.gslb.elchi."},
			nil, nil,
		},
		{
			"not enabled, without a failover", `{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"],"enabled":false}`,
			[]string{"s.gslb.elchi. exists"},
			[]string{`{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":[],"enabled":false}`},
			nil,
		},
		{
			"one family is not enabled", `{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":[],"enabled":false},{"name":"s.gslb.elchi","type":"AAAA","ttl":30,"ips":["2001:db8::1"]}`,
			[]string{"s.gslb.elchi. 30 AAAA 2001:db8::1"},
			nil, nil,
		},
		{
			"an alias is the whole name's", `{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]},{"name":"s.gslb.elchi","type":"AAAA","ttl":30,"ips":[],"failover":"x.elchi"}`,
			[]string{"s.gslb.elchi. 30 CNAME x.elchi."},
			nil, nil,
		},
		{
			"of two aliases that of A counts", `{"name":"s.gslb.elchi","type":"AAAA","ttl":30,"ips":[],"failover":"x.elchi"},{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":[],"failover":"y.elchi"}`,
			[]string{"s.gslb.elchi. 20 CNAME y.elchi."},
			nil, nil,
		},
		{
			"another type with a failover", `{"name":"s.gslb.elchi","type":"CNAME","ttl":20,"ips":[],"failover":"x.elchi"}`,
			[]string{"s.gslb.elchi. 20 CNAME x.elchi."},
			nil, nil,
		},
		{
			"a failover in waiting", `{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"],"failover":"x.elchi"}`,
			[]string{"s.gslb.elchi. 20 A 192.0.2.1"},
			[]string{`{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`},
			nil,
		},
		{
			"names in any case, with dots and white space", `{"name":" WWW.Gslb.Elchi. ","type":"a","ttl":20,"ips":[" 192.0.2.1","::ffff:192.0.2.2"]}`,
			[]string{"www.gslb.elchi. 20 A 192.0.2.1", "www.gslb.elchi. 20 A 192.0.2.2"},
			[]string{`{"name":"www.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1","192.0.2.2"]}`},
			nil,
		},
		{
			"octets that are no letters", `{"name":"a\\.b\\034c.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`,
			[]string{`a\.b\"c.gslb.elchi. 20 A 192.0.2.1`},
			[]string{`{"name":"a\\.b\\\"c.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`},
			nil,
		},
		{
			"the zone's own name", `{"name":"gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`,
			[]string{"gslb.elchi. 20 A 192.0.2.1"},
			nil, nil,
		},
		{
			"the same twice", `{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1","192.0.2.1"]},{"name":"b.gslb.elchi","type":"A","ttl":1,"ips":["192.0.2.3"]},{"name":"A.gslb.elchi.","type":"A","ttl":30,"ips":["192.0.2.2"]}`,
			[]string{"a.gslb.elchi. 30 A 192.0.2.2", "b.gslb.elchi. 1 A 192.0.2.3"},
			[]string{`{"name":"a.gslb.elchi","type":"A","ttl":30,"ips":["192.0.2.2"]}`, `{"name":"b.gslb.elchi","type":"A","ttl":1,"ips":["192.0.2.3"]}`},
			[]string{"it is stated several times: the last one counts"},
		},
		{
			"addresses that are none of the family", `{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1","2001:db8::1","x","192.0.2.01","fe80::1%eth0",7]},{"name":"b.gslb.elchi","type":"AAAA","ttl":20,"ips":["192.0.2.1"]},{"name":"c.gslb.elchi","type":"AAAA","ttl":20,"ips":["::ffff:192.0.2.1"],"failover":"x"}`,
			[]string{"a.gslb.elchi. 20 A 192.0.2.1", "b.gslb.elchi. exists", "c.gslb.elchi. exists"},
			[]string{
				`{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`, `{"name":"b.gslb.elchi","type":"AAAA","ttl":300,"ips":[],"enabled":false}`,
				`{"name":"c.gslb.elchi","type":"AAAA","ttl":300,"ips":[],"enabled":false}`,
			},
			[]string{
				`address "2001:db8::1" is not IPv4`, `address "x" is none`, `address "192.0.2.01" is none`, `address "fe80::1%eth0" is none`, `address "" is none: it is left out`,
				`address "192.0.2.1" is not IPv6: no address is left`, `address "::ffff:192.0.2.1" is an IPv4 address within IPv6, which nobody can connect to: no address is left`,
			},
		},
		{
			"texts that are longer than addresses", `{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["` + strings.Repeat(" ", 100) + `192.0.2.1","192.0.2.2` + strings.Repeat(" ", 100) + `x"]}`,
			[]string{"a.gslb.elchi. 20 A 192.0.2.1"},
			[]string{`{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`},
			[]string{`address "192.0.2.2` + strings.Repeat(" ", 55) + `" is none: it is left out`},
		},
		{
			"keys in any case", `{"Name":"a.gslb.elchi","TYPE":"A","Ttl":20,"IPs":["192.0.2.1"],"Enabled":false,"failOver":"x.elchi"}`,
			[]string{"a.gslb.elchi. 20 CNAME x.elchi."},
			[]string{`{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":[],"enabled":false,"failover":"x.elchi"}`},
			nil,
		},
		{
			"one that is none after and before one that is", `{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]},{"name":"a.gslb.elchi","type":"A","ips":[]},{"name":"b.gslb.elchi","type":"A","ips":[]},{"name":"b.gslb.elchi","type":"AAAA","ttl":20,"ips":["2001:db8::1"]},{"name":"a.gslb.elchi","type":"AAAA","ips":["x"]}`,
			[]string{"a.gslb.elchi. 20 A 192.0.2.1", "b.gslb.elchi. 20 AAAA 2001:db8::1"},
			nil,
			[]string{
				"it has neither addresses nor a failover: state enabled: false for a name without data", "it has neither addresses nor a failover: state enabled: false for a name without data",
				`address "x" is none: no address is left`,
			},
		},
		{
			"what is no record of the zone", `{"name":"good.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]},
			{"name":"evilgslb.elchi","type":"A","ips":["192.0.2.1"]},{"name":"elchi","type":"A","ips":["192.0.2.1"]},{"name":"www","type":"A","ips":["192.0.2.1"]},
			{"name":"","type":"A","ips":["192.0.2.1"]},{"name":"a..gslb.elchi","type":"A","ips":["192.0.2.1"]},{"name":"m.gslb.elchi","type":"MX","ips":["192.0.2.1"]},
			{"name":"n.gslb.elchi","type":"A","ips":[]},{"name":"gslb.elchi","type":"A","ips":[],"failover":"x.elchi"},{"name":"self.gslb.elchi","type":"A","failover":"SELF.gslb.elchi"},
			{"name":"f.gslb.elchi","type":"A","failover":"a..b"},{"name":"t.gslb.elchi","type":"A","ttl":-1,"ips":["192.0.2.1"]},{"name":"ns1.gslb.elchi","type":"A","ips":["192.0.2.1"]},
			{"name":"ns1.gslb.elchi","type":"A","failover":"x.elchi"},5`,
			[]string{
				"f.gslb.elchi. exists", "good.gslb.elchi. 20 A 192.0.2.1", "n.gslb.elchi. exists", "self.gslb.elchi. exists", "t.gslb.elchi. exists",
			},
			nil,
			[]string{
				"it is outside of the zone gslb.elchi.", "it is outside of the zone gslb.elchi.", "it is outside of the zone gslb.elchi.",
				"name: empty name", `name: empty label in "a..gslb.elchi"`, `type "MX" is neither A nor AAAA`,
				"it has neither addresses nor a failover: state enabled: false for a name without data", "the zone's own name cannot be an alias: state addresses",
				"failover is the name itself", `failover: empty label in "a..b"`, "ttl -1 is no whole number of seconds up to 2147483647",
				"the configuration of the node states other addresses of the name", "the configuration of the node has records of the name, which can be no alias then", "it is no object",
			},
		},
		{
			"what the configuration says as well", `{"name":"ns1.gslb.elchi","type":"A","ips":["192.0.2.53","192.0.2.53"]},{"name":"NS1.gslb.elchi.","type":"A","ips":["192.0.2.53"]}`,
			nil, nil, nil,
		},
		{"what the configuration has some of", `{"name":"ns1.gslb.elchi","type":"A","ips":["192.0.2.53","192.0.2.54"]}`, nil, nil, []string{"the configuration of the node states other addresses of the name"}},
		{"wildcards", `{"name":"*.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`, []string{"*.gslb.elchi. 20 A 192.0.2.1"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := gatherWith("gslb.elchi")
			got, err := gather(strings.NewReader(snapshot("1", c.records)), o)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "records", holds(got.st.data), c.want)
			if got.st.records() != countRecords(c.want) {
				t.Errorf("%d records are counted", got.st.records())
			}
			var reasons []string
			for _, r := range got.refused.kept {
				reasons = append(reasons, r.Reason)
			}
			same(t, "refused", reasons, c.refused[:min(len(c.refused), got.refused.most)])
			if got.refused.n != len(c.refused) {
				t.Errorf("%d refusals are counted, want %d", got.refused.n, len(c.refused))
			}
			listed := lists(got.st)
			if c.listed != nil {
				same(t, "listed", listed, c.listed)
			}
			// What is listed is taken as the same again.
			again, err := gather(strings.NewReader(snapshot("1", listed...)), o)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "records of the listing", holds(again.st.data), c.want)
			same(t, "listing of the listing", lists(again.st), listed)
			if again.refused.n > 0 {
				t.Errorf("of the listing is refused: %v", &again.refused)
			}
		})
	}
}

func countRecords(lines []string) (n int) {
	for _, l := range lines {
		if !strings.HasSuffix(l, "exists") {
			n++
		}
	}
	return n
}

func TestTakeRefusesTheWhole(t *testing.T) {
	good := `{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`
	for _, c := range []struct{ text, want string }{
		{`{"zone":"other.elchi","version_hash":"1","records":[]}`, `it is of another zone: "other.elchi"`},
		{`{"zone":"evilgslb.elchi","version_hash":"1","records":[]}`, `it is of another zone`},
		{`{"version_hash":"1","records":[]}`, `it does not say which zone it is about`},
		{`{"zone":"gslb.elchi","version_hash":"","records":[]}`, `its version_hash is empty`},
		{`{"zone":"gslb.elchi","version_hash":"1"}`, `it has no list of records, not even an empty one`},
		{`{"zone":"gslb.elchi","version_hash":"1","records":[` + good, `octet 114: it ends in the middle`},
		{snapshot("1", good) + "x", `octet 116: 'x' after the end`},
		{snapshot("1", `{"name":"b.elchi"}`, `{"name":"c.elchi"}`), `none of its records can be taken: "b.elchi" "": it is outside of the zone gslb.elchi.; "c.elchi"`},
		{`{"unchanged":true}`, `it says that nothing has changed, and was asked for everything`},
		{`<html>`, `octet 0: '<' where '{' belongs`},
		{``, `it ends in the middle`},
	} {
		_, err := gather(strings.NewReader(c.text), gatherWith("gslb.elchi"))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
	o := gatherWith("gslb.elchi")
	o.most = 3
	if _, err := gather(strings.NewReader(snapshot("1", `{"name":"a.gslb.elchi","type":"A","ips":["192.0.2.1","192.0.2.2","192.0.2.3"]}`)), o); err != nil {
		t.Errorf("as many records as there may be: %v", err)
	}
	if _, err := gather(strings.NewReader(snapshot("1", `{"name":"a.gslb.elchi","type":"A","ips":["192.0.2.1","192.0.2.2","192.0.2.3","192.0.2.4"]}`)), o); err == nil || err.Error() != "it has more than 3 records, which are the most that a zone may have here: divide it into several zones" {
		t.Errorf("too many records: %v", err)
	}
	// One that comes for ever takes no memory.
	g := newGathering(3)
	c := checker{rules: o.rules}
	for i := range 100 {
		r, ok := c.check(&item{name: []byte("a.gslb.elchi"), kind: []byte("A"), addresses: fmt.Appendf(nil, "192.0.2.%d", i), ends: []int{len(fmt.Sprint("192.0.2.", i))}}, &report{})
		if !ok {
			t.Fatal("it is not taken")
		}
		before := len(g.bytes)
		if again, err := g.add(&r); err != nil || again != (i > 0) {
			t.Fatal(again, err)
		}
		if i > 0 && len(g.bytes) > before {
			t.Fatalf("the record for the time %d takes %d octets", i+1, len(g.bytes)-before)
		}
	}
	// A name without data is no DNS record, and takes memory all the same.
	bare := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"name":"n%d.gslb.elchi","type":"A","enabled":false}`, i))
		}
		return snapshot("1", all...)
	}
	if _, err := gather(strings.NewReader(bare(3)), o); err != nil {
		t.Errorf("as many names as there may be: %v", err)
	}
	if _, err := gather(strings.NewReader(bare(4)), o); err == nil || !strings.HasPrefix(err.Error(), "it has more than 3 names, which") {
		t.Errorf("too many names: %v", err)
	}
	for _, empty := range []string{`[]`, `null`} {
		if got, err := gather(strings.NewReader(`{"zone":"GSLB.elchi.","version_hash":"1","records":`+empty+`}`), o); err != nil || got.st.records() != 0 {
			t.Errorf("no records: %v", err)
		}
	}
	o.since = "1"
	if got, err := gather(strings.NewReader(`{"unchanged":true}`), o); err != nil || got.st != nil {
		t.Errorf("unchanged: %v", err)
	}
}

// A set of as many addresses as are taken goes into one answer.
func TestTakeLargestRecord(t *testing.T) {
	var ips []string
	for i := range maxAddresses {
		ips = append(ips, fmt.Sprintf(`"2001:db8::%x"`, i+1))
	}
	got := mustTake(t, snapshot("1", `{"name":"a.gslb.elchi","type":"AAAA","ips":[`+strings.Join(ips, ",")+`]}`))
	if got.st.records() != maxAddresses || got.refused.n > 0 {
		t.Errorf("%d records, %v", got.st.records(), &got.refused)
	}
}

func FuzzTake(f *testing.F) {
	for _, s := range texts {
		f.Add(s)
	}
	f.Add(snapshot("1", one, two, away, hid, `{"name":"*.gslb.elchi","type":"AAAA","ttl":1,"ips":["::1","::2"]}`, `{"name":"gslb.elchi","type":"A","enabled":false}`))
	f.Fuzz(func(t *testing.T, text string) {
		o := gatherWith("gslb.elchi")
		got, err := gather(strings.NewReader(text), o)
		if err != nil {
			return
		}
		listed := lists(got.st)
		again, err := gather(strings.NewReader(snapshot("1", listed...)), o)
		if err != nil || again.refused.n > 0 {
			t.Fatalf("of what is listed: %v, %v", err, &again.refused)
		}
		same(t, "records", holds(again.st.data), holds(got.st.data))
		same(t, "listing", lists(again.st), listed)
	})
}
