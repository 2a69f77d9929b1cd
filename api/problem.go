package api

import (
	"fmt"
	"net/http"
)

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// Problem is why a request was refused (RFC 9457).
type Problem struct {
	Type   string `json:"type"` // about:blank: the status says it all
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Errors are the errors of a configuration, one a line, as `rhumb check`
	// prints them.
	Errors []string `json:"errors,omitempty"`
}

// Error is the detail, or what the status says when there is none.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	if text := http.StatusText(p.Status); text != "" {
		return fmt.Sprintf("refused: %d %s", p.Status, text)
	}
	return fmt.Sprintf("refused: %d", p.Status)
}

// Unreachable is the error of a request that no node answered.
type Unreachable struct {
	Base string // as given to New
	Err  error
}

// Error names the address and the cause.
func (u *Unreachable) Error() string {
	return fmt.Sprintf("cannot reach %s: %s", u.Base, cause(u.Err))
}

// Unwrap is the cause.
func (u *Unreachable) Unwrap() error { return u.Err }
