package spec

import "fmt"

// Fault is an error about a service of a zone, at the place where it stands.
func (s *Spec) Fault(z *Zone, svc *Service, format string, args ...any) Error {
	p := (*path)(nil).dot("zones").dot(bare(z.Name)).dot("services").dot(svc.Label)
	return Error{File: s.shown(svc.File), Line: svc.Line, Col: svc.Col, Path: p.String(), Msg: fmt.Sprintf(format, args...)}
}

// FaultOf is an error about a zone, at the place where it stands.
func (s *Spec) FaultOf(z *Zone, format string, args ...any) Error {
	p := (*path)(nil).dot("zones").dot(bare(z.Name))
	return Error{File: s.shown(z.Pos.File), Line: z.Pos.Line, Col: z.Pos.Col, Path: p.String(), Msg: fmt.Sprintf(format, args...)}
}

// Doubt adds warnings that show only when all names are together, each once.
func (s *Spec) Doubt(warnings Errors) {
	if len(warnings) > 0 {
		s.Warnings = append(s.Warnings[:len(s.Warnings):len(s.Warnings)], warnings...)
		(*Errors)(&s.Warnings).sort()
	}
}

// Where is the place of a service as messages name it.
func (s *Spec) Where(svc *Service) string {
	return fmt.Sprintf("%s:%d:%d", s.shown(svc.File), svc.Line, svc.Col)
}

// shown is how messages name one of the files.
func (s *Spec) shown(file int) string {
	if file < len(s.names) {
		return s.names[file]
	}
	return "services" // of a statement that was not read
}

// Sort puts errors in the order of their files and places, each once.
func (es *Errors) Sort() { es.sort() }
