package config

import (
	"net"
	"slices"
	"time"

	"ai-gateway/gateway"
)

// check refuses what no single value shows: references that lead nowhere, names that
// are there twice, values that do not go together. It reads the files that are named.
func (r *reader) check(d *document) {
	r.checkBind(&d.listen)
	r.certificate(&d.listen.tls)
	r.checkBackends(d)
	r.checkModels(d)
	r.checkLimits(&d.limits)
	r.checkOrigins(d.cors.origins.items)
}

// checkBind refuses an address that other machines reach, unless that is meant.
func (r *reader) checkBind(l *listen) {
	if bind := string(l.bind.value); !bool(l.open.value) && bind != "" && !net.ParseIP(bind).IsLoopback() {
		r.fault(l.bind.at, "%q can be reached by other machines: whoever reaches the gateway may spend its key and read "+
			"the prompt log, as there are no gateway keys yet; bind to 127.0.0.1, or set AI_GATEWAY_OPEN=true (`listen.open`) if that is meant", bind)
	}
}

func (r *reader) checkBackends(d *document) {
	seen := map[text]place{}
	for i := range d.backends.items {
		b := &d.backends.items[i]
		if first, twice := seen[b.name.value]; twice && b.name.isSaid() {
			r.fault(b.name.at, "%q is the name of another backend already, at %s", b.name.value, r.source(first))
		}
		if b.name.value == noBackend {
			r.fault(b.name.at, "%q is no backend's name, as `default_backend` has it for none", noBackend)
		}
		seen[b.name.value] = b.name.at
		r.checkURL(b)
		r.checkAzure(b)
		r.key(&b.apiKey)
		b.authorities = r.authorities(&b.caFile)
	}
	if name := d.defaultBackend.value; name != noBackend {
		r.checkReference(d, &d.defaultBackend)
	}
}

// checkReference refuses the name of a backend that is none.
func (r *reader) checkReference(d *document, name *setting[text]) {
	var known []string
	for i := range d.backends.items {
		if d.backends.items[i].name.value == name.value {
			return
		}
		known = append(known, string(d.backends.items[i].name.value))
	}
	if namePattern.MatchString(string(name.value)) {
		r.fault(name.at, "backend %q is not defined%s", name.value, hint(string(name.value), "defined are", known))
	}
}

func (r *reader) checkURL(b *backend) {
	u, of := b.baseURL.value, gateway.Kind(b.kind.value)
	switch {
	case u.URL == nil:
	case u.Scheme == "http" && of != gateway.Local && !isLoopback(u.URL):
		r.fault(b.baseURL.at, "%q would carry keys in clear text: use https, or `kind: local` for a server in a network that you trust", u)
	case of == gateway.Azure && u.Path != "":
		r.fault(b.baseURL.at, "%q has a path: of kind azure it is the resource alone, %s://%s", u, u.Scheme, u.Host)
	}
}

func (r *reader) checkAzure(b *backend) {
	switch a := &b.azure; {
	case !a.isSaid():
	case gateway.Kind(b.kind.value) != gateway.Azure:
		r.fault(a.at, "is for backends of kind azure, and this one is %s", gateway.Kind(b.kind.value))
	case a.deployment.isSaid() && !a.apiVersion.isSaid():
		r.fault(a.deployment.at, "needs api_version as well: the v1 surface finds deployments by the model's upstream name")
	}
}

func (r *reader) checkModels(d *document) {
	seen := map[modelName]place{}
	claim := func(name *setting[modelName]) {
		if first, twice := seen[name.value]; twice && name.isSaid() {
			r.fault(name.at, "%q is the name or alias of a model already, at %s", name.value, r.source(first))
		}
		seen[name.value] = name.at
	}
	for i := range d.models.items {
		claim(&d.models.items[i].name)
	}
	for i := range d.models.items {
		m := &d.models.items[i]
		for j := range m.aliases.items {
			claim(&m.aliases.items[j])
		}
		r.checkSteps(d, m)
		r.checkPrices(m.prices.items)
	}
}

func (r *reader) checkSteps(d *document, m *model) {
	if m.name.isSaid() && len(m.backends.items) == 0 && d.defaultBackend.value == noBackend {
		r.fault(m.at, "is served by no backend: name at least one in its backends, or set default_backend")
	}
	seen := map[text]bool{}
	for i := range m.backends.items {
		name := &m.backends.items[i].backend
		if seen[name.value] {
			r.fault(name.at, "backend %q is in this list already", name.value)
		}
		seen[name.value] = true
		r.checkReference(d, name)
	}
}

func (r *reader) checkPrices(prices []price) {
	for i := range prices {
		p := &prices[i]
		r.checkTiers(p.tiers.items)
		if i == 0 {
			continue
		}
		last, this := time.Time(prices[i-1].from.value), time.Time(p.from.value)
		switch {
		case !p.from.isSaid():
			r.fault(p.at, "has no from: each price but the first one says from which day it holds")
		case !this.IsZero() && !this.After(last):
			r.fault(p.from.at, "%q is not after the day of the price before it", this.Format(time.DateOnly))
		}
	}
}

func (r *reader) checkTiers(tiers []tier) {
	for i := 1; i < len(tiers); i++ {
		if above := &tiers[i].above; above.value > 0 && above.value <= tiers[i-1].above.value {
			r.fault(above.at, "%d is not more than in the tier before it", above.value)
		}
	}
}

func (r *reader) checkLimits(l *limits) {
	at := l.bodiesInFlight.at
	if at.from == byDefault {
		at = l.requestBody.at
	}
	if l.bodiesInFlight.value < l.requestBody.value {
		r.fault(at, "a single body of `request_body` (%s) would exceed `bodies_in_flight` (%s)", l.requestBody.text, l.bodiesInFlight.text)
	}
}

func (r *reader) checkOrigins(origins []setting[webOrigin]) {
	anyone := slices.IndexFunc(origins, func(o setting[webOrigin]) bool { return o.value == anyOrigin })
	if anyone >= 0 && len(origins) > 1 {
		r.fault(origins[anyone].at, "%q is any origin, so it stands alone", anyOrigin)
	}
}
