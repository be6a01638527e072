package config

import (
	"errors"
	"fmt"
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
)

// Misspelt tells which of a process's variables look like one of the gateway's and are none. They
// are not refused: Kubernetes, too, gives programs variables that begin with a service's name.
func Misspelt(environ []string) []string {
	known := variables(new(document), []string{FileVariable, upstreamVariable, otherKeyVariable, routesVariable})
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
			all = append(all, fmt.Sprintf("%s is no variable of the gateway's: did you mean %s?", name, meant))
		}
	}
	slices.Sort(all)
	return all
}

// variables appends those that win over an object's fields.
func variables(o object, names []string) []string {
	for _, f := range o.fields() {
		if into, ok := f.into.(object); ok {
			names = variables(into, names)
		}
		names = append(names, f.variables...)
	}
	return names
}

// override lets single values of the environment win over the file's.
func (r *reader) override(fields []field) {
	for _, f := range fields {
		switch into := f.into.(type) {
		case leaf:
			r.overrideLeaf(into, f)
		case object:
			r.override(into.fields())
		}
	}
}

func (r *reader) overrideLeaf(into leaf, f field) {
	name, text := r.first(f.variables...)
	if name == "" {
		return
	}
	at := inEnvironment(name)
	if _, err := strconv.Atoi(text); f.unit != "" && err != nil {
		r.fault(at, "%s is no whole number of %s", f.quoted(text), f.unit)
		return
	}
	if err := into.set(text+f.unit, f, at); err != nil {
		r.fault(at, "%s %v", f.quoted(text+f.unit), err)
	}
}

// complete fills in the defaults.
func complete(fields []field) {
	for _, f := range fields {
		switch into := f.into.(type) {
		case leaf:
			completeLeaf(into, f)
		case object:
			complete(into.fields())
		case sequence:
			completeAll(into)
		}
	}
}

func completeLeaf(into leaf, f field) {
	if into.where().from != nobody || f.unset == "" {
		return
	}
	if err := into.set(f.unset, f, place{from: byDefault}); err != nil {
		panic(err) // a test reads all defaults
	}
}

func completeAll(items sequence) {
	for item := range items.all() {
		if o, ok := item.(object); ok {
			complete(o.fields())
		}
	}
}

// said is a value that no file holds.
func said[T any](value T, text string, at place) setting[T] {
	return setting[T]{spot{at}, value, text}
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
	b := backend{spot: spot{at}, name: said[text](UpstreamBackend, UpstreamBackend, at), passClientKey: said[truth](true, "true", at)}
	if err := b.baseURL.set(url, field{}, at); err != nil {
		r.fault(at, "%s %v", field{}.quoted(url), err)
	}
	b.kind = kindByScheme(b.baseURL, at)
	if name, _ := r.first(keyVariable, otherKeyVariable); name != "" {
		b.apiKey = secret{spot: spot{inEnvironment(name)}, env: said(text(name), name, inEnvironment(name))}
	}
	others := slices.DeleteFunc(d.backends.items, func(b backend) bool { return b.name.value == UpstreamBackend })
	d.backends.items = slices.Insert(others, 0, b)
	d.defaultBackend = said[text](UpstreamBackend, UpstreamBackend, at)
}

// kindByScheme is local where a URL of the environment is plain HTTP: what it leads
// to is trusted as a server of one's own.
func kindByScheme(u setting[base], at place) setting[kind] {
	of := gateway.OpenAI
	if u.value.URL != nil && u.value.Scheme == "http" {
		of = gateway.Local
	}
	return said(kind(of), of.String(), at)
}

// addRoutes adds the models of the environment. They win over the file's.
func (r *reader) addRoutes(d *document) {
	at := inEnvironment(routesVariable)
	routes := r.modelRoutes()
	taken := map[string]bool{DemoBackend: true, UpstreamBackend: true}
	for _, b := range d.backends.items {
		taken[string(b.name.value)] = true
	}
	names := backendNames(routes, taken)
	for _, route := range routes {
		name := names[route.base.String()]
		if !taken[name] {
			taken[name] = true
			d.backends.items = append(d.backends.items, backend{spot: spot{at}, name: said(text(name), name, at),
				kind: said(kind(gateway.Local), gateway.Local.String(), at), baseURL: said(base{route.base}, route.base.String(), at)})
		}
		m := d.modelNamed(modelName(route.model), at)
		m.backends = list[step]{spot{at}, []step{{spot: spot{at}, backend: said(text(name), name, at)}}}
	}
}

// modelNamed is the model of a name, a new one where the name is none yet or an alias.
func (d *document) modelNamed(name modelName, at place) *model {
	for i := range d.models.items {
		m := &d.models.items[i]
		if m.name.value == name {
			return m
		}
		m.aliases.items = slices.DeleteFunc(m.aliases.items, func(a setting[modelName]) bool { return a.value == name })
	}
	d.models.items = append(d.models.items, model{spot: spot{at}, name: said(name, string(name), at)})
	return &d.models.items[len(d.models.items)-1]
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
			r.fault(at, "model %q has a route already", string(route.model))
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
		return modelRoute{}, errors.New("is not of the form modelId:baseUrl, such as llama3:8b:http://localhost:11434/v1")
	}
	model := strings.TrimSpace(entry[:at[0]])
	if model == "" || !utf8.ValidString(model) || strings.ContainsFunc(model, unicode.IsControl) {
		return modelRoute{}, errors.New("has no readable model id before its URL")
	}
	base, err := parseBaseURL(entry[at[0]+1:])
	return modelRoute{gateway.Model(model), base}, err
}

// unused names the variables of keys that are set and that no backend is called with.
func (r *reader) unused(d *document) []string {
	var unused []string
	for _, name := range []string{keyVariable, otherKeyVariable} {
		used := slices.ContainsFunc(d.backends.items, func(b backend) bool { return string(b.apiKey.env.value) == name })
		if r.variable(name) != "" && !used {
			unused = append(unused, name)
		}
	}
	return unused
}
