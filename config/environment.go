package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// The variables that stand for no single field of the file.
const (
	FileVariable     = "AI_GATEWAY_CONFIG" // names the file; read by the commands
	upstreamVariable = "AI_GATEWAY_UPSTREAM"
	keyVariable      = "OPENAI_API_KEY"
	otherKeyVariable = "AI_GATEWAY_API_KEY"
	routesVariable   = "AI_GATEWAY_MODEL_ROUTES"

	anthropicVariable    = "AI_GATEWAY_ANTHROPIC_UPSTREAM"
	anthropicKeyVariable = "ANTHROPIC_API_KEY"

	adminKeyVariable = "AI_GATEWAY_ADMIN_KEY"
)

// Misspelt lists the process's variables that look like one of the gateway's but are not. They
// are not refused, because Kubernetes also sets variables that begin with a service's name.
func Misspelt(environ []string) []string {
	known := variables(new(document).fields(), []string{FileVariable, upstreamVariable, otherKeyVariable, routesVariable, anthropicVariable, adminKeyVariable, encryptionVariable})
	var all []string
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "AI_GATEWAY_") || slices.Contains(known, name) {
			continue
		}
		meant := nearest(name, known)
		for _, k := range known {
			if meant == "" && strings.HasPrefix(k, name+"_") {
				meant = k
			}
		}
		if meant != "" {
			all = append(all, fmt.Sprintf("%s is not a variable of the gateway: did you mean %s?", name, meant))
		}
	}
	slices.Sort(all)
	return all
}

// variables appends those that override fields.
func variables(fields []field, names []string) []string {
	for _, f := range fields {
		if into, ok := f.into.(group); ok {
			names = variables(into.fields, names)
		}
		names = append(names, f.variables...)
	}
	return names
}

// override replaces values of the file by those of the environment.
func (r *reader) override(fields []field) {
	for _, f := range fields {
		switch into := f.into.(type) {
		case single:
			r.overrideSingle(into, f)
		case group:
			r.override(into.fields)
		case list:
			r.overrideList(into, f)
		}
	}
}

// overrideList lets a variable, whose entries have commas between them, win over the file's list.
func (r *reader) overrideList(into list, f field) {
	name, text := r.first(f.variables...)
	if name == "" {
		return
	}
	parts := split(text)
	into.make(len(parts))
	for i, item := range into.items() {
		one := item.(single) // a test reads all lists that have variables
		at := inEnvironment(fmt.Sprintf("%s, entry %d", name, i+1))
		r.said[one.key()] = mention{at, parts[i]}
		if err := cmp.Or(notTemplated(parts[i]), one.read(parts[i])); err != nil {
			r.fault(at, "%s %v", quoted(one, parts[i]), err)
		}
	}
}

func (r *reader) overrideSingle(into single, f field) {
	name, text := r.first(f.variables...)
	if name == "" {
		return
	}
	at := inEnvironment(name)
	if _, err := strconv.Atoi(text); f.unit != "" && err != nil {
		r.fault(at, "%s must be an integer, in %s", quoted(into, text), f.unit)
		return
	}
	r.said[into.key()] = mention{at, text + f.unit}
	if err := cmp.Or(notTemplated(text), notQuoted(text), into.read(text+f.unit)); err != nil {
		r.fault(at, "%s %v", quoted(into, text+f.unit), err)
	}
}

// complete fills in the defaults.
func (r *reader) complete(fields []field) {
	for _, f := range fields {
		switch into := f.into.(type) {
		case single:
			r.completeSingle(into, f)
		case group:
			r.complete(into.fields)
		case list:
			r.completeAll(into)
		}
	}
}

func (r *reader) completeSingle(into single, f field) {
	if r.said[into.key()].isSaid() || f.unset == "" {
		return
	}
	r.said[into.key()] = mention{place{from: byDefault}, f.unset}
	if err := into.read(f.unset); err != nil {
		panic(err) // a test reads all defaults
	}
}

func (r *reader) completeAll(items list) {
	for _, item := range items.items() {
		if g, ok := item.(group); ok {
			r.complete(g.fields)
		}
	}
}

// addUpstream makes the upstream of the environment the first backend and the
// default one. Without a file there always is one.
func (r *reader) addUpstream(d *document) {
	url, at := r.variable(upstreamVariable), inEnvironment(upstreamVariable)
	if url == "" && r.file != "" {
		return
	}
	if url == "" {
		url, at = DefaultUpstream, place{from: byDefault}
	}
	b := new(backend)
	r.said[b] = mention{place: at}
	say(r, &b.Name, UpstreamBackend, UpstreamBackend, at)
	say(r, &b.passClientKey, true, "true", at)
	r.sayURL(b, url, at)
	if name, _ := r.first(keyVariable, otherKeyVariable); name != "" {
		say(r, &b.apiKey.env, name, name, inEnvironment(name))
	}
	others := slices.DeleteFunc(d.backends, func(b *backend) bool { return b.Name == UpstreamBackend })
	d.backends = slices.Insert(others, 0, b)
	say(r, &d.defaultBackend, UpstreamBackend, UpstreamBackend, at)
}

// addAnthropic makes Anthropic's API, as the environment names it, a backend. With a file, its key
// alone does not: the file may name it for a backend of its own.
func (r *reader) addAnthropic(d *document) {
	url, key := r.variable(anthropicVariable), r.variable(anthropicKeyVariable)
	at := inEnvironment(anthropicVariable)
	switch {
	case url == "" && (key == "" || r.file != ""):
		return
	case url == "":
		url, at = DefaultAnthropic, inEnvironment(anthropicKeyVariable)
	}
	b := new(backend)
	r.said[b] = mention{place: at}
	say(r, &b.Name, AnthropicBackend, AnthropicBackend, at)
	say(r, &b.passClientKey, true, "true", at)
	r.sayURL(b, url, at)
	say(r, &b.Kind, gateway.Anthropic, gateway.Anthropic.String(), at)
	if key != "" {
		say(r, &b.apiKey.env, anthropicKeyVariable, anthropicKeyVariable, inEnvironment(anthropicKeyVariable))
	}
	d.backends = slices.DeleteFunc(d.backends, func(b *backend) bool { return b.Name == AnthropicBackend })
	d.backends = append(d.backends, b)
}

// sayURL gives a backend of the environment its URL, and its kind by that: plain HTTP is
// local, because only a trusted server may be called without TLS.
func (r *reader) sayURL(b *backend, text string, at place) {
	u, err := parseBaseURL(text)
	if err != nil {
		r.fault(at, "%s %v", strconv.QuoteToGraphic(cut(shown(text))), err)
	}
	say(r, &b.BaseURL, u, text, at)
	of := gateway.OpenAI
	if u != nil && u.Scheme == "http" {
		of = gateway.Local
	}
	say(r, &b.Kind, of, of.String(), at)
}

// addRoutes adds the models of the environment, which override the file's.
func (r *reader) addRoutes(d *document) {
	at := inEnvironment(routesVariable)
	routes := r.modelRoutes()
	taken := map[string]bool{DemoBackend: true, UpstreamBackend: true, AnthropicBackend: true}
	for _, b := range d.backends {
		taken[b.Name] = true
	}
	names := backendNames(routes, taken)
	upstream := d.upstream()
	for _, route := range routes {
		name := names[route.base.String()]
		if !taken[name] {
			taken[name] = true
			d.backends = append(d.backends, r.routeBackend(name, route.base, upstream, at))
		}
		s := new(step)
		say(r, &s.Backend, name, name, at)
		r.modelNamed(d, route.model, at).backends = []*step{s}
	}
}

// upstream is the default backend, nil without one.
func (d *document) upstream() *backend {
	for _, b := range d.backends {
		if b.Name == d.defaultBackend {
			return b
		}
	}
	return nil
}

// routeBackend is the backend of a route. A route to the upstream's own origin is called with
// the upstream's credentials and trusts the same authorities; no other origin gets a key.
func (r *reader) routeBackend(name string, base *url.URL, upstream *backend, at place) *backend {
	b := new(backend)
	r.said[b] = mention{place: at}
	say(r, &b.Name, name, name, at)
	say(r, &b.Kind, gateway.Local, gateway.Local.String(), at)
	say(r, &b.BaseURL, base, base.String(), at)
	if upstream != nil && upstream.BaseURL != nil && originOf(upstream.BaseURL) == originOf(base) {
		sayAlso(r, &b.apiKey.env, &upstream.apiKey.env)
		sayAlso(r, &b.apiKey.file, &upstream.apiKey.file)
		sayAlso(r, &b.passClientKey, &upstream.passClientKey)
		sayAlso(r, &b.caFile, &upstream.caFile)
	}
	return b
}

// modelNamed returns the model of a name. If none has it, or one only as an alias, it adds a model.
func (r *reader) modelNamed(d *document, name gateway.Model, at place) *model {
	for _, m := range d.models {
		if m.name == name {
			return m
		}
		r.dropAlias(m, name)
	}
	m := new(model)
	r.said[m] = mention{place: at}
	say(r, &m.name, name, string(name), at)
	d.models = append(d.models, m)
	return m
}

// dropAlias removes an alias from its model. The places of the other aliases move with them.
func (r *reader) dropAlias(m *model, alias gateway.Model) {
	if !slices.Contains(m.aliases, alias) {
		return
	}
	kept := make([]gateway.Model, 0, len(m.aliases))
	for i, a := range m.aliases {
		if a != alias {
			kept = append(kept, a)
			r.said[&kept[len(kept)-1]] = r.said[&m.aliases[i]]
		}
	}
	m.aliases = kept
}

// modelRoutes reads `modelId:baseUrl,modelId2:baseUrl2`.
func (r *reader) modelRoutes() []modelRoute {
	var routes []modelRoute
	seen := map[gateway.Model]bool{}
	whole := r.variable(routesVariable)
	for i, entry := range strings.Split(whole, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		at := inEnvironment(fmt.Sprintf("%s, entry %d", routesVariable, i+1))
		route, err := parseModelRoute(entry)
		switch {
		case err != nil:
			r.fault(at, "%q %v", shownOf(whole, entry), err)
		case seen[route.model]:
			r.fault(at, "model %q already has a route", string(route.model))
		default:
			seen[route.model] = true
			routes = append(routes, route)
		}
	}
	return routes
}

// urlStart is where the URL of an entry begins: model ids may hold colons.
var urlStart = regexp.MustCompile(`(?i):https?://`)

func parseModelRoute(entry string) (modelRoute, error) {
	at := urlStart.FindStringIndex(entry)
	if at == nil {
		return modelRoute{}, errors.New("must be of the form modelId:baseUrl, such as llama3:8b:http://localhost:11434/v1")
	}
	model := strings.TrimSpace(entry[:at[0]])
	if model == "" || !utf8.ValidString(model) || strings.ContainsFunc(model, unicode.IsControl) {
		return modelRoute{}, errors.New("must have a readable model id before its URL")
	}
	if urlStart.MatchString(entry[at[1]:]) {
		return modelRoute{}, errors.New("contains two URLs: routes are separated by commas, a:http://h/v1,b:http://i/v1")
	}
	base, err := parseBaseURL(entry[at[0]+1:])
	return modelRoute{gateway.Model(model), base}, err
}

// unused names the variables with keys that no backend uses.
func (r *reader) unused(d *document) []string {
	var unused []string
	for _, name := range []string{keyVariable, otherKeyVariable} {
		used := slices.ContainsFunc(d.backends, func(b *backend) bool { return b.apiKey.env == name })
		if r.variable(name) != "" && !used {
			unused = append(unused, name)
		}
	}
	return unused
}
