package config

import (
	"cmp"
	"slices"
	"time"

	"ai-gateway/gateway"
)

// check refuses errors that involve several values: references to nothing, repeated names,
// contradictions. It reads the files that are named.
func (r *reader) check(d *document) {
	r.checkAdminKey(d)
	d.TLS = r.certificate(&d.tls)
	r.checkSignIn(d)
	r.checkBackends(d)
	r.checkModels(d)
	r.checkPassed(d)
	r.checkLimits(d)
	r.checkStorage(d)
	r.checkRules(d)
	r.checkBudgets(d)
	r.checkOrigins(d.CORSOrigins)
}

// checkAdminKey refuses a key that others could guess.
func (r *reader) checkAdminKey(d *document) {
	if !r.keyless || r.guarded {
		r.readKey(&d.adminKey)
	}
	if d.adminKey.value == "" {
		return
	}
	at := r.said[&d.adminKey.env].place
	if !r.said[&d.adminKey.env].isSaid() {
		at = r.said[&d.adminKey.file].place
	}
	if err := gateway.CheckAdminKey(d.adminKey.value); err != nil {
		r.fault(at, "the admin key %v", err)
	}
}

func (r *reader) checkBackends(d *document) {
	seen := map[string]place{}
	for _, b := range d.backends {
		name := r.said[&b.Name]
		if first, twice := seen[b.Name]; twice && name.isSaid() {
			r.fault(name.place, "%q is already the name of another backend, at %s", b.Name, r.source(first))
		}
		if b.Name == noBackend {
			r.fault(name.place, "%q must not be a backend's name: `default_backend: none` means that there is none", noBackend)
		}
		seen[b.Name] = name.place
		r.checkURL(b)
		r.checkOwn(d, b)
		r.checkAzure(b)
		r.key(&b.apiKey)
		r.checkHeaders(b)
		b.Authorities = r.authorities(&b.caFile)
	}
	if d.defaultBackend != noBackend {
		r.checkReference(d, &d.defaultBackend)
	}
}

// checkReference refuses a name that no backend has.
func (r *reader) checkReference(d *document, name *string) {
	var known []string
	for _, b := range d.backends {
		if b.Name == *name {
			return
		}
		known = append(known, b.Name)
	}
	if namePattern.MatchString(*name) {
		r.fault(r.said[name].place, "backend %q is not defined%s", *name, hint(*name, "defined are", known))
	}
}

func (r *reader) checkURL(b *backend) {
	u, at := b.BaseURL, r.said[&b.BaseURL].place
	switch {
	case u == nil:
	case u.Scheme == "http" && b.Kind != gateway.Local && !isLoopback(u):
		r.fault(at, "%q would carry keys in clear text: use https, or `kind: local` for a server in a network that you trust", u)
	case b.Kind == gateway.Azure && u.Path != "":
		r.fault(at, "%q has a path: for kind azure it must be the resource without a path, %s://%s", u, u.Scheme, u.Host)
	}
}

func (r *reader) checkAzure(b *backend) {
	deployment := r.said[&b.Deployment]
	switch azure := r.said[azureKey{b}]; {
	case !azure.isSaid():
	case b.Kind != gateway.Azure:
		r.fault(azure.place, "is for backends of kind azure, and this one is %s", b.Kind)
	case deployment.isSaid() && !r.said[&b.APIVersion].isSaid():
		r.fault(deployment.place, "needs api_version as well: the v1 API finds deployments by the model's upstream name")
	}
}

func (r *reader) checkModels(d *document) {
	seen := map[gateway.Model]place{}
	claim := func(name *gateway.Model) {
		said := r.said[name]
		if first, twice := seen[*name]; twice && said.isSaid() {
			r.fault(said.place, "%q is already the name or alias of a model, at %s", *name, r.source(first))
		}
		seen[*name] = said.place
	}
	for _, m := range d.models {
		claim(&m.name)
	}
	for _, m := range d.models {
		for i := range m.aliases {
			claim(&m.aliases[i])
		}
		r.checkSteps(d, m)
		r.checkPrices(m.prices)
	}
}

func (r *reader) checkPassed(d *document) {
	seen := map[string]place{}
	for _, p := range d.passed {
		path := r.said[&p.Path]
		if first, twice := seen[p.Path]; twice && path.isSaid() {
			r.fault(path.place, "%q is already in this list, at %s", p.Path, r.source(first))
		}
		seen[p.Path] = path.place
		if gateway.IsServed(p.Path) {
			r.fault(path.place, "%q is served by the gateway itself: leave it out", p.Path)
		}
		r.checkReference(d, &p.Backend)
		for _, b := range d.backends {
			if b.Name == p.Backend && b.APIVersion != "" {
				r.fault(r.said[&p.Backend].place, "backend %q has an api_version, so its paths name a deployment: name one that is called by the v1 API", p.Backend)
			}
		}
	}
}

func (r *reader) checkSteps(d *document, m *model) {
	if r.said[&m.name].isSaid() && len(m.backends) == 0 && d.defaultBackend == noBackend {
		r.fault(r.said[m].place, "has no backend: name at least one in its backends, or set default_backend")
	}
	seen := map[gateway.Step]bool{}
	for _, s := range m.backends {
		as := gateway.Step{Backend: s.Backend, UpstreamModel: cmp.Or(s.UpstreamModel, m.name)}
		if seen[as] {
			r.fault(r.said[&s.Backend].place, "backend %q is already in this list, with the same model", s.Backend)
		}
		seen[as] = true
		r.checkReference(d, &s.Backend)
	}
}

func (r *reader) checkPrices(prices []*price) {
	for i, p := range prices {
		r.checkTiers(p.tiers)
		r.checkServiceTiers(p.serviceTiers)
		if i == 0 {
			continue
		}
		switch from := r.said[&p.from]; {
		case !from.isSaid():
			r.fault(r.said[p].place, "has no from: each price except the first must say from which day it holds")
		case !p.from.IsZero() && !p.from.After(prices[i-1].from):
			r.fault(from.place, "%q must be later than the from of the previous price", p.from.Format(time.DateOnly))
		}
	}
}

func (r *reader) checkServiceTiers(all []*servicePrice) {
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.name] {
			r.fault(r.said[&s.name].place, "%q is already in this list", s.name)
		}
		seen[s.name] = true
		r.checkTiers(s.tiers)
	}
}

func (r *reader) checkTiers(tiers []*tier) {
	for i := 1; i < len(tiers); i++ {
		if above := &tiers[i].Above; *above > 0 && *above <= tiers[i-1].Above {
			r.fault(r.said[above].place, "%d must be greater than that of the previous tier", *above)
		}
	}
}

func (r *reader) checkLimits(d *document) {
	inFlight, body := r.said[&d.MaxInFlight], r.said[&d.MaxBody]
	at := inFlight.place
	if at.from == byDefault {
		at = body.place
	}
	if d.MaxInFlight < d.MaxBody {
		r.fault(at, "a single body of `request_body` (%s) would exceed `bodies_in_flight` (%s)", body.text, inFlight.text)
	}
}

func (r *reader) checkOrigins(origins []string) {
	anyone := slices.Index(origins, anyOrigin)
	if anyone >= 0 && len(origins) > 1 {
		r.fault(r.said[&origins[anyone]].place, "%q allows any origin, so it must be the only entry", anyOrigin)
	}
}
