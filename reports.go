package rhumb

import "github.com/rhumb-dns/rhumb/health"

// Report takes in what somebody says came of an external check, and returns it with
// its times. The error is a health.ErrNotFound, health.ErrNotExternal or
// health.ErrTooLong. Snapshot has it within milliseconds.
func (e *Engine) Report(r health.Report) (health.Report, error) {
	r, err := e.board.SetReport(r)
	if err == nil {
		e.follow()
	}
	return r, err
}

// ClearReport forgets what was reported of an endpoint for an external check.
func (e *Engine) ClearReport(check, endpoint string) error {
	if err := e.board.ClearReport(check, endpoint); err != nil {
		return err
	}
	e.follow()
	return nil
}

// Reports lists what was reported for external checks and counts at this instant.
func (e *Engine) Reports() []health.Report { return e.board.Reports() }
