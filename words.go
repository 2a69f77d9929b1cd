package rhumb

import (
	"fmt"
	"time"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/table"
)

// Override puts an operator's word on an endpoint of a service in force. When it
// returns, Snapshot has it.
func (e *Engine) Override(o health.Overriding) error {
	if o.Since.IsZero() {
		o.Since = time.Now()
	}
	if s := e.Snapshot(); s != nil {
		if name, err := dnswire.ParseName(o.Service); err == nil {
			if n := s.Table.Lookup([]byte(name)); n == nil || n.Plan == table.NoPlan {
				return fmt.Errorf("%w: there is no service %s", health.ErrNotFound, o.Service)
			}
			if of := s.Table.Guest(name, o.Endpoint); of != "" && len(s.Table.Locate(name, o.Endpoint)) == 0 {
				return fmt.Errorf("%w: %s is an endpoint of %s, which %s nests: set the override there", health.ErrNotFound, o.Endpoint, of, name)
			}
		}
	}
	if err := e.board.SetOverride(o); err != nil {
		return err
	}
	e.follow()
	return nil
}

// ClearOverride ends an operator's word. When it returns, Snapshot is without it.
func (e *Engine) ClearOverride(service, endpoint string, by audit.By) error {
	n, err := dnswire.ParseName(service)
	if err != nil {
		return fmt.Errorf("service %q: %w", service, err)
	}
	if err := e.board.ClearOverride(n, endpoint, by); err != nil {
		return err
	}
	e.follow()
	return nil
}

// Overrides lists the operators' words in force.
func (e *Engine) Overrides() []health.Overriding { return e.board.Overrides() }

// AddMaintenance puts a maintenance on the calendar, or in force when it begins
// now: when it returns, Snapshot then has it. See health.Board.AddMaintenance for
// what is set and for the errors.
func (e *Engine) AddMaintenance(m health.Maintenance, by audit.By) (health.Maintenance, error) {
	m, err := e.board.AddMaintenance(m, by)
	if err != nil {
		return m, err
	}
	e.follow()
	return m, nil
}

// CancelMaintenance ends a maintenance, or takes it off the calendar. When it
// returns, Snapshot is without it.
func (e *Engine) CancelMaintenance(id string, by audit.By) error {
	if err := e.board.CancelMaintenance(id, by); err != nil {
		return err
	}
	e.follow()
	return nil
}

// Maintenance lists what is in force and to come, by when it begins.
func (e *Engine) Maintenance() []health.Planned { return e.board.Maintenance() }

// MaintenanceNow is how much of it has begun, and how much has not.
func (e *Engine) MaintenanceNow() (begun, planned int) { return e.board.MaintenanceNow() }

// Audit is the log of what operators did; nil when Options had none.
func (e *Engine) Audit() *audit.Log { return e.audit }
