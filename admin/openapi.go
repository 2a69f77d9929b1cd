package admin

import (
	_ "embed" // the document
	"net/http"
	"strconv"
)

// document describes every path, parameter and shape of the surface.
//
//go:embed openapi.json
var document []byte

func (a *Admin) openapi(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(document)))
	_, _ = w.Write(document)
}
