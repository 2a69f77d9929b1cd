package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/api"
)

// respond answers with a value as JSON.
func respond(w http.ResponseWriter, code int, v any) { write(w, code, "application/json", v) }

// refuse answers with a problem.
func refuse(w http.ResponseWriter, code int, detail string, args ...any) {
	problem(w, &api.Problem{Status: code, Detail: fmt.Sprintf(detail, args...)})
}

func problem(w http.ResponseWriter, p *api.Problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	write(w, p.Status, api.ProblemType, p)
}

func write(w http.ResponseWriter, code int, media string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types, whose numbers are finite
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // a client that left is no error of ours
}

// parameters reads the query of a request. The error names a parameter that is
// not known, or is there twice, so that a misspelt filter does not select all.
func parameters(r *http.Request, known ...string) (func(name string) string, error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	for name, all := range v {
		switch {
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("query: no parameter %q; there are %s", name, strings.Join(known, ", "))
		case len(all) > 1:
			return nil, fmt.Errorf("query: %s is there twice", name)
		}
	}
	return v.Get, nil
}

// body decodes the JSON body of a request, strictly, and says with which status
// it is refused.
func body(r *http.Request, into any) (code int, err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return http.StatusUnsupportedMediaType, errors.New("the body is JSON: state Content-Type application/json")
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return http.StatusRequestEntityTooLarge, fmt.Errorf("the body is longer than %d bytes", large.Limit)
		}
		return http.StatusBadRequest, fmt.Errorf("body: %s", decodeError(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return http.StatusBadRequest, errors.New("body: more than one JSON value")
	}
	return 0, nil
}

// decodeError is a JSON error in words that do not name types of Go.
func decodeError(err error) string {
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typ) && typ.Field != "":
		return fmt.Sprintf("%s: it cannot be of type %s", typ.Field, typ.Value)
	case errors.As(err, &typ):
		return "a JSON object is expected, not one of type " + typ.Value
	case errors.Is(err, io.EOF):
		return "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}
