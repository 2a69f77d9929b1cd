package controller

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
)

func listing(r io.Reader) (all []api.Record, err error) {
	err = readListing(r, func(r *api.Record) error {
		all = append(all, *r)
		return nil
	})
	return all, err
}

// endless is a text, and then another one for ever.
type endless struct{ begin, then string }

func (e *endless) Read(b []byte) (int, error) {
	if e.begin == "" {
		e.begin = strings.Repeat(e.then, 1000)
	}
	n := copy(b, e.begin)
	e.begin = e.begin[n:]
	return n, nil
}

// TestListing: a list of what an edge has is read one record after the other, and what
// never comes to an end is not waited for.
func TestListing(t *testing.T) {
	const one = `{"name":"a.gslb.test","type":"A","ttl":30,"ips":["192.0.2.1"]}`
	for text, want := range map[string]int{
		`{"zone":"gslb.test","records":[` + one + `,` + one + `],"count":2}`: 2,
		`{"records":null,"version_hash":"x"}`:                                0,
		`{"records":[]}`:                                                     0,
		`{}`:                                                                 0,
	} {
		if all, err := listing(strings.NewReader(text)); err != nil || len(all) != want {
			t.Errorf("%s: %d records, %v", text, len(all), err)
		}
	}
	for _, text := range []string{``, `[]`, `5`, `"records"`, `{"records":5}`, `{"records":[`, `{"records":[` + one, `{"records":[5]}`, `{"records":[` + one + `]`, `{"records":[]]`} {
		if all, err := listing(strings.NewReader(text)); err == nil {
			t.Errorf("%s: %v", text, all)
		}
	}
	for what, e := range map[string]*endless{
		"a name":      {`{"records":[{"name":"`, "a"},
		"another key": {`{"zone":"`, "a"},
		"blanks":      {`{`, " "},
		"a key":       {`{"`, "a"},
		"nesting":     {`{"zone":`, "["},
	} {
		if _, err := listing(e); err == nil || what != "nesting" && !strings.Contains(err.Error(), "longer than") {
			t.Errorf("%s for ever is taken", what)
		}
	}
	l := lack{st: &State{census: &census{roster: &roster{}}}, zone: "\x04gslb\x04test\x00"}
	e := &endless{`{"records":[` + one, "," + one}
	if err := readListing(e, l.note); !errors.Is(err, errEnough) || len(l.gone) > maxGone || !l.more {
		t.Errorf("records for ever: %v, of which %d are remembered", err, len(l.gone))
	}
}

// FuzzListing: what is a list is read as encoding/json reads the whole of it.
func FuzzListing(f *testing.F) {
	f.Add(`{"zone":"gslb.test","version_hash":"1","count":1,"records":[{"name":"a.gslb.test","type":"A","ttl":30,"ips":["192.0.2.1"]}]}`)
	f.Add(`{"records":[{"name":"a","type":"CNAME","ips":null,"failover":"b","enabled":false},{}]}`)
	f.Add(`{"records":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := listing(strings.NewReader(text))
		if err != nil {
			return
		}
		// Of a text that goes on behind the list the rest is nobody's.
		var want api.Listing
		if json.NewDecoder(strings.NewReader(text)).Decode(&want) != nil || strings.Count(strings.ToLower(text), "records") > 1 || strings.Contains(text, `\u`) {
			return // a key of its own has another type, or it is there twice
		}
		if !strings.Contains(text, `"records"`) {
			want.Records = nil // encoding/json is not particular about case
		}
		if len(all) != len(want.Records) || len(all) > 0 && !reflect.DeepEqual(all, want.Records) {
			t.Errorf("%q: %+v, want %+v", text, all, want.Records)
		}
	})
}

// TestAlike: the order of addresses counts where they are answered in it.
func TestAlike(t *testing.T) {
	want := record{Record: api.Record{Type: "A", TTL: 30, IPs: []string{"192.0.2.2", "192.0.2.1"}}}
	has := api.Record{Type: "A", TTL: 30, IPs: []string{"192.0.2.1", "192.0.2.2"}}
	if !alike(&want, &has) {
		t.Error("the order of a service's addresses counts")
	}
	if want.fixed = true; alike(&want, &has) || !alike(&want, &want.Record) {
		t.Error("the order of static addresses does not count")
	}
}
