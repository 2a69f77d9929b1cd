package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// seen is an item as a test compares it.
type seen struct {
	Name, Kind, Failover string
	Addresses            []string
	TTL                  uint32
	Off, Wrong           bool
}

func sawOf(it *item) seen {
	s := seen{string(it.name), string(it.kind), string(it.failover), []string{}, it.ttl, it.off, it.fault != ""}
	begin := 0
	for _, end := range it.ends {
		s.Addresses = append(s.Addresses, string(it.addresses[begin:end]))
		begin = end
	}
	return s
}

// document is all that a text says.
type document struct {
	Head          head
	Records, Gone []seen
}

// fast reads a text with the decoder.
func fast(r io.Reader) (document, error) {
	var doc document
	d := newDecoder(r)
	d.record = func(it *item) error { doc.Records = append(doc.Records, sawOf(it)); return nil }
	d.gone = func(it *item) error { doc.Gone = append(doc.Gone, sawOf(it)); return nil }
	var err error
	doc.Head, err = d.decode()
	return doc, err
}

// member is one key of an object: encoding/json keeps neither their order nor those that
// come twice.
type member struct {
	key   string
	value any
}

type object []member

// errNot is the oracle's error of a text that is JSON and not what a controller says.
var errNot = errors.New("not of the form")

// parse reads a text with encoding/json.
func parse(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := parse(d)
			if err != nil {
				return nil, err
			}
			o = append(o, member{k.(string), v})
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		a := []any{}
		for d.More() {
			v, err := parse(d)
			if err != nil {
				return nil, err
			}
			a = append(a, v)
		}
		_, err := d.Token()
		return a, err
	}
	return t, nil
}

// slow reads a text as the decoder should, slowly.
func slow(b []byte) (doc document, err error) {
	if !json.Valid(b) {
		return doc, errors.New("no JSON")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := parse(d)
	if err != nil {
		return doc, err
	}
	top, ok := v.(object)
	if !ok {
		return doc, errNot
	}
	lists := map[string]bool{}
	for _, m := range top {
		m.key = strings.ToLower(m.key)
		switch m.key {
		case "zone":
			err = textOf(&doc.Head.zone, m.value)
		case "version_hash":
			err = textOf(&doc.Head.hash, m.value)
		case "from":
			err = textOf(&doc.Head.from, m.value)
		case "unchanged":
			v, ok := m.value.(bool)
			if !ok && m.value != nil {
				err = errNot
			}
			doc.Head.unchanged = v
		case "records", "deletes":
			list, ok := m.value.([]any)
			if lists[m.key] || !ok && m.value != nil {
				return doc, errNot
			}
			lists[m.key] = true
			to := &doc.Gone
			if m.key == "records" {
				to, doc.Head.listed = &doc.Records, true
			}
			for _, v := range list {
				*to = append(*to, slowItem(v))
			}
		}
		if err != nil {
			return doc, err
		}
	}
	return doc, nil
}

func textOf(to *string, v any) error {
	s, ok := v.(string)
	if !ok && v != nil || len(s) > maxHash {
		return errNot
	}
	if ok {
		*to = s
	}
	return nil
}

func slowItem(v any) seen {
	s := seen{Addresses: []string{}}
	o, ok := v.(object)
	if !ok {
		s.Wrong = true
	}
	str := func(v any) string {
		t, ok := v.(string)
		s.Wrong = s.Wrong || !ok && v != nil
		return t
	}
	for _, m := range o {
		switch strings.ToLower(m.key) {
		case "name":
			s.Name = str(m.value)
		case "type":
			s.Kind = str(m.value)
		case "failover":
			s.Failover = str(m.value)
		case "ttl":
			s.TTL = 0
			if n, ok := m.value.(json.Number); ok {
				v, err := n.Int64()
				if err != nil || v < 0 || v > maxTTL || strings.HasPrefix(n.String(), "-") {
					s.Wrong = true
				} else {
					s.TTL = uint32(v)
				}
			} else if m.value != nil {
				s.Wrong = true
			}
		case "enabled":
			v, ok := m.value.(bool)
			s.Wrong = s.Wrong || !ok && m.value != nil
			s.Off = ok && !v
		case "ips":
			s.Addresses = []string{}
			a, ok := m.value.([]any)
			s.Wrong = s.Wrong || !ok && m.value != nil
			for _, v := range a {
				if len(s.Addresses) == maxAddresses {
					s.Wrong = true
					break
				}
				t, _ := v.(string)
				t = strings.TrimSpace(t)
				s.Addresses = append(s.Addresses, t[:min(len(t), maxAddress)])
			}
		}
	}
	return s
}

// texts are of every kind that the decoder reads, and of those that it must not.
var texts = []string{
	`{"zone":"gslb.elchi","version_hash":"abc123def456","records":[
	{"name":"listener1.gslb.elchi","type":"A","ttl":300,"ips":["192.168.1.10","192.168.1.11"]},
	{"name":"listener2.gslb.elchi","type":"AAAA","ttl":600,"ips":["2001:db8::1","2001:db8::2"]}]}`,
	`{"unchanged":true}`,
	`{"unchanged":false,"zone":"gslb.elchi","version_hash":"xyz789abc012","records":[]}`,
	`{"name":"a","type":"A","ttl":20,"ips":["10.10.1.20"],"enabled":false,"failover":"b"}`,
	`{"records":[{"name":"a","type":"A","ttl":20,"ips":["10.10.1.20"],"enabled":false,"failover":"b"}],"deletes":[{"name":"old.gslb.elchi","type":"A"}]}`,
	`{"from":"1","version_hash":"2","deletes":null,"records":null}`,
	`{"records":[{"name":5,"type":null,"ttl":"300","ips":"10.0.0.1","enabled":"no","failover":{}}, 7, null, "x", [], {}]}`,
	`{"records":[{"ttl":-1},{"ttl":1.5},{"ttl":1e2},{"ttl":0},{"ttl":-0},{"ttl":2147483647},{"ttl":2147483648},{"ttl":99999999999999999999}]}`,
	`{"records":[{"ttl":true},{"ttl":[]},{"ips":[1,null,"x",{"a":[]}]},{"enabled":null}]}`,
	`{"records":[{"name":"\u0041\ud83d\ude00\ud83d\u0041\udc00\\\/\b\f\n\r\t\""}]}`,
	"{\"records\":[{\"name\":\"\xff\xfeä\xe2\x82\"}]}",
	`{"records":[{"name":"a","name":"b","ttl":-1,"ttl":5,"ips":["1"],"ips":["2"]}]}`,
	`{"records":[],"records":[]}`, `{"records":{}}`, `{"zone":7}`, `{"unchanged":"yes"}`,
	`{"ZONE":"x","Records":[1]}`, `{"Version_Hash":"x","records":[],"RECORDS":[]}`, `{"Deletes":[{"Name":"a","TYPE":"A","Ips":[" 1 "],"TTL":5,"Enabled":false,"FailOver":"b"}]}`, `{"deep":[[[[{"a":{"b":[1,2,{"c":null}]}}]]]],"zone":"z"}`,
	`{}`, ``, ` `, `[]`, `null`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":01}`, `{"a":1.}`, `{"a":-}`, `{"a":tru}`, `{"a":nulll}`,
	`{"a":"` + "\n" + `"}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"`, `{"a":1}}`, `{"a":1} x`, `{"a" 1}`, `{"a":[1 2]}`, `{"a":[1,]}`, `{a:1}`,
	`{"records":[{"name":"half`, `{"zone":"gslb.elchi","version_hash":"1","records":[{"name":"a.gslb.elchi","type":"A","ttl":3`,
}

func compare(t *testing.T, b []byte) {
	want, wantErr := slow(b)
	for what, r := range map[string]io.Reader{"whole": bytes.NewReader(b), "octet by octet": iotest.OneByteReader(bytes.NewReader(b))} {
		got, err := fast(r)
		if err != nil && strings.Contains(err.Error(), "deep in each other") {
			return // encoding/json goes deeper
		}
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%s: error %v, and the oracle's is %v", what, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%s:\n%+v\nand the oracle says\n%+v", what, got, want)
		}
	}
}

func TestDecodeSaysWhatTheOracleSays(t *testing.T) {
	for i, s := range texts {
		t.Run(fmt.Sprint(i), func(t *testing.T) { compare(t, []byte(s)) })
	}
	// What straddles the window: strings, numbers and characters at each of its ends.
	for _, s := range []string{`"name":"a.example"`, `"ttl":2147483647`, `"name":"äöü\u00e4😀"`, `"ips":["192.0.2.1","2001:db8::1"]`, `"enabled":false`} {
		for shift := range rounds(30) {
			pad := strings.Repeat(" ", windowLen-15-shift)
			compare(t, []byte(pad+`{"records":[{`+s+`}]}`))
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxText {
			return // strings of that length are cut
		}
		compare(t, b)
	})
}

func TestDecodeIsBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	doc, err := fast(strings.NewReader(`{"records":[{"name":"` + long + `","type":"A"},{"name":"b","extra":"` + long + `"}]}`))
	if err != nil || !doc.Records[0].Wrong || len(doc.Records[0].Name) > maxText+4 || doc.Records[1].Wrong {
		t.Errorf("a long name: %v, %d octets kept, wrong %v", err, len(doc.Records[0].Name), doc.Records[0].Wrong)
	}
	for _, bad := range []string{
		`{"zone":"` + strings.Repeat("x", maxHash+1) + `"}`,
		`{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
		`{"a":` + strings.Repeat("1", 1<<20) + `}`,
	} {
		if _, err := fast(strings.NewReader(bad)); err == nil {
			t.Errorf("%.40s... is taken", bad)
		}
	}
	many := `{"records":[{"ips":[` + strings.Repeat(`"192.0.2.1",`, maxAddresses) + `"192.0.2.2"]}]}`
	if doc, err := fast(strings.NewReader(many)); err != nil || !doc.Records[0].Wrong || len(doc.Records[0].Addresses) != maxAddresses {
		t.Errorf("too many addresses: %v", err)
	}
}

// A reader that fails is not a text that ends.
func TestDecodeTellsReadersErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, s := range []string{``, `{"zone"`, `{"zone":"a`, `{"zone":"\u12`, `{"records":[{"ttl":12`, `{"records":[]`, "{\"zone\":\"\xc3"} {
		if _, err := fast(io.MultiReader(strings.NewReader(s), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("%q: %v", s, err)
		}
		if _, err := fast(strings.NewReader(s)); !errors.Is(err, errCut) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := fast(lazy{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type lazy struct{}

func (lazy) Read([]byte) (int, error) { return 0, nil }
