package geo

import (
	_ "embed"
	"fmt"
	"sync"
	"weak"

	"github.com/rhumb-dns/rhumb/geo/packed"
)

// countries is the country database that is built in; `make geo-data` renews it.
// NOTICE says whose it is. It is unpacked when it is asked for, and only then.
//
//go:embed countries.bin
var countries []byte

// unpacked is what builtIn has made, as long as anybody has it: the engines of a
// process share it, and when none needs it any more its memory is free again.
var unpacked struct {
	sync.Mutex
	layer weak.Pointer[layer]
	about description
}

// builtIn is the layer of the country database that is built in.
func builtIn() (*layer, description, error) {
	unpacked.Lock()
	defer unpacked.Unlock()
	if l := unpacked.layer.Value(); l != nil {
		return l, unpacked.about, nil
	}
	l, about, err := unpack()
	if err != nil {
		return nil, description{}, err
	}
	unpacked.layer, unpacked.about = weak.Make(l), about
	return l, about, nil
}

func unpack() (*layer, description, error) {
	db, err := packed.Parse(countries)
	if err != nil {
		return nil, description{}, fmt.Errorf("built-in countries: %w", err)
	}
	p := newPool()
	ids := make([]uint32, len(db.Codes))
	for i, code := range db.Codes {
		f := fields{country: code}
		ids[i] = p.number(f.record(p))
	}
	var b4 builder4
	b4.starts, b4.values = make([]uint32, 0, len(db.V4)+1), make([]uint32, 0, len(db.V4)+1)
	b4.add(0, 0)
	for _, r := range db.V4 {
		b4.set(r.Start, ids[r.Code])
	}
	b6 := newBuilder6(inside4, len(db.V6)+4)
	for _, r := range db.V6 {
		b6.add(r.Hi, r.Lo, ids[r.Code])
	}
	l := &layer{tables: tables{v4: b4.done(), v6: b6.done()}, places: p.places, name: BuiltIn}
	return l, description{kind: "country", built: db.Built}, nil
}
