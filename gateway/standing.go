package gateway

import "slices"

// BackendState is whether a backend can be called now, as Envoy sees it.
type BackendState uint8

// The states of backends.
const (
	BackendServes   BackendState = iota // nothing speaks against it
	BackendEjected                      // its last calls failed one after another: left alone for a while
	BackendNoHost                       // its host name does not resolve, so there is nothing to call
	BackendNotReady                     // new, and Envoy has not looked up its host name yet
)

var backendStateNames = [...]string{
	BackendServes:   "ok",
	BackendEjected:  "left alone for a while, as its last calls failed one after another",
	BackendNoHost:   "its host name does not resolve",
	BackendNotReady: "Envoy has not looked up its host name yet",
}

// String says it for people.
func (s BackendState) String() string { return nameOf(backendStateNames[:], s) }

// First is the plan for an Envoy that calls one backend for a request.
func (p Plan) First() Plan {
	p.Steps = p.Steps[:min(len(p.Steps), 1)]
	return p
}

// Around is the plan without the backends that have no address, as Envoy ends a request that it
// has no address for, and with those that are left alone behind all others, as a last resort.
// Where no backend has an address, the plan stays as it is.
func (p Plan) Around(state func(backend string) BackendState) Plan {
	serves := func(s Step) bool { return state(s.Backend) == BackendServes }
	if !slices.ContainsFunc(p.Steps, func(s Step) bool { return !serves(s) }) {
		return p
	}
	var steps, ejected []Step
	for _, step := range p.Steps {
		switch state(step.Backend) {
		case BackendServes:
			steps = append(steps, step)
		case BackendEjected:
			ejected = append(ejected, step)
		}
	}
	if steps = append(steps, ejected...); len(steps) > 0 {
		p.Steps = steps
	}
	return p
}
