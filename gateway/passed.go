package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// PassedPath is a path of which the gateway knows nothing but the backend that serves it.
type PassedPath struct {
	Path    string // at the gateway: "/v1/moderations"
	Backend string
}

// PassedMethods are the methods that such paths take.
func PassedMethods() []string { return []string{http.MethodGet, http.MethodPost, http.MethodDelete} }

// Path is the path of the request at the gateway.
func (r *Row) Path() string { return pathOf(r.Endpoint, r.Passed) }

func pathOf(e Endpoint, passed string) string {
	if e == Passed {
		return BasePath + passed
	}
	return e.Path()
}

// IsServed reports whether the gateway serves a path without being told so.
func IsServed(path string) bool {
	for _, below := range []string{"/models", "/responses"} {
		if path == BasePath+below || strings.HasPrefix(path, BasePath+below+"/") {
			return true
		}
	}
	return slices.ContainsFunc(Endpoints(), func(e Endpoint) bool { return e.Path() == path })
}

// Passed returns the plan of a request of a model at a passed path, or false if the path is none.
func (t *Table) Passed(path string, m Model) (Plan, bool) {
	p, ok := t.passed[path]
	if !ok {
		return Plan{}, false
	}
	plan := *p
	plan.Model = m
	plan.Steps = []Step{{Backend: p.Steps[0].Backend, UpstreamModel: m}}
	return plan, true
}

// addPassed adds a passed path, if its backend is known.
func (t *Table) addPassed(p PassedPath) {
	b, ok := t.backends[p.Backend]
	if !ok {
		return
	}
	spoken := OpenAIAPI
	if !b.Kind.Speaks(spoken) {
		spoken = AnthropicAPI
	}
	t.passed[p.Path] = newPlan(spoken, "", []Step{{Backend: p.Backend}}, t.backends)
}

// passed returns the figures of an answer at a passed path. Any of prompt, completion and total may
// be missing.
func (f Figures) passed() (of Figures, believed bool) {
	switch prompt, completion := max(f.Prompt, 0), max(f.Completion, 0); {
	case f.Prompt == NotReported:
		f.Prompt, f.Completion = max(f.Total-completion, 0), completion
	case f.Completion == NotReported:
		f.Completion = max(f.Total-prompt, 0)
	}
	return f, f.Prompt > 0 || f.Completion > 0
}

// GrownWithTotal is Grown for figures that may have a total.
func (f Figures) GrownWithTotal(later Figures) Figures {
	grown := f.Grown(later)
	grown.Total = max(f.Total, later.Total)
	return grown
}

// CacheInPrompt returns figures whose prompt includes what a cache gave and took, of ones whose
// prompt does not.
func (f Figures) CacheInPrompt() Figures {
	if f.Prompt != NotReported {
		f.Prompt = min(f.Prompt+max(f.Cached, 0)+max(f.CacheWrite, 0), MaxTokens)
	}
	return f
}

// IsFree reports whether nothing costs anything.
func (p *Price) IsFree() bool {
	free := func(r *Rates) bool { return *r == Rates{} }
	if !free(&p.Rates) || len(p.ServiceTiers) > 0 {
		return false
	}
	return !slices.ContainsFunc(p.Tiers, func(t Tier) bool { return !free(&t.Rates) })
}
