package lua

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/yuin/gopher-lua"
)

// maxNesting is how deep arrays and objects may be in each other.
const maxNesting = 100

var errJSON = errors.New("no JSON")

// jsonDecode is json_decode(text): the value, or nil where the text is no JSON.
// Objects and arrays are tables, null in them is left out.
func (m *meter) jsonDecode(l *lua.LState) int {
	s, is := l.Get(1).(lua.LString)
	if !is {
		l.Push(lua.LNil)
		return 1
	}
	m.work(l, len(s)/16)
	d := json.NewDecoder(strings.NewReader(string(s)))
	v, err := m.jsonValue(l, d, 0)
	if err == nil {
		// Something behind it makes it no JSON.
		if _, after := d.Token(); !errors.Is(after, io.EOF) {
			err = errJSON
		}
	}
	if err != nil {
		v = lua.LNil
	}
	l.Push(v)
	return 1
}

func (m *meter) jsonValue(l *lua.LState, d *json.Decoder, depth int) (lua.LValue, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	m.work(l, 4)
	switch t := t.(type) {
	case bool:
		return lua.LBool(t), nil
	case float64:
		return lua.LNumber(t), nil
	case string:
		m.fits(l, len(t))
		return lua.LString(t), nil
	case json.Delim:
		if depth == maxNesting {
			return nil, errJSON
		}
		m.take(l, tableBytes)
		table := l.NewTable()
		if t == '[' {
			return table, m.jsonArray(l, d, table, depth)
		}
		return table, m.jsonObject(l, d, table, depth)
	}
	return lua.LNil, nil
}

func (m *meter) jsonArray(l *lua.LState, d *json.Decoder, t *lua.LTable, depth int) error {
	for n := 1; d.More(); n++ {
		v, err := m.jsonValue(l, d, depth+1)
		if err != nil {
			return err
		}
		m.take(l, indexBytes)
		t.RawSetInt(n, v)
		if v == lua.LNil {
			m.emptied(l, t, n)
		}
	}
	_, err := d.Token()
	return err
}

func (m *meter) jsonObject(l *lua.LState, d *json.Decoder, t *lua.LTable, depth int) error {
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return err
		}
		name, is := k.(string)
		if !is {
			return errJSON
		}
		v, err := m.jsonValue(l, d, depth+1)
		if err != nil {
			return err
		}
		m.take(l, fieldBytes+len(name))
		t.RawSetString(name, v)
	}
	_, err := d.Token()
	return err
}
