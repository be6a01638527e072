package dashboardapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ai-gateway/gateway"
)

// Endpoint is a URL and who may call it.
type Endpoint struct {
	Method string
	Path   string       // "{id}" matches any text, including slashes
	Role   gateway.Role // least role; 0 for everybody, with or without a key
}

type endpoint struct {
	Endpoint
	answer answerer
}

// Endpoints lists the endpoints of both roles.
func Endpoints() []Endpoint {
	var list []Endpoint
	for _, e := range append(Agent{}.endpoints(), API{}.endpoints()...) {
		list = append(list, e.Endpoint)
	}
	return append(list, newOperations(API{}).all...)
}

const idMark = "{id}"

// match returns the id in a path, and whether the path is the endpoint's.
func (e Endpoint) match(path string) (id string, ok bool) {
	before, after, hasID := strings.Cut(e.Path, idMark)
	if !hasID {
		return "", path == e.Path
	}
	id, ok = strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	id, ok = strings.CutSuffix(id, after)
	return id, ok && id != ""
}

// methods are the methods that the endpoint accepts. HEAD is allowed with GET.
func (e Endpoint) methods() []string {
	if e.Method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{e.Method}
}

// find returns the first endpoint that matches a request, and sets the path value "id".
func find(endpoints []endpoint, r *http.Request) (endpoint, error) {
	for _, e := range endpoints {
		id, ok := e.match(r.URL.Path)
		if ok && slices.Contains(e.methods(), r.Method) {
			r.SetPathValue("id", id)
			return e, nil
		}
	}
	if methods := methodsOf(endpoints, r.URL.Path); len(methods) > 0 && !slices.Contains(methods, r.Method) {
		return endpoint{}, &gateway.Error{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
			Message: "This URL takes " + strings.Join(methods, ", ") + " requests."}
	}
	_, err := unknownURL(r)
	return endpoint{}, err
}

// unknownURL is the answer to a request that matches no endpoint.
func unknownURL(r *http.Request) (any, error) {
	return nil, notFound("unknown_url", "", fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path))
}

// reads reports whether a request changes nothing.
func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// methodsOf are the methods that a path accepts. Pages of the dashboard are not endpoints.
func methodsOf(endpoints []endpoint, path string) (methods []string) {
	if gateway.IsPage(path) {
		methods = append(methods, http.MethodGet, http.MethodHead)
	}
	for _, e := range endpoints {
		if _, ok := e.match(path); ok {
			methods = append(methods, e.methods()...)
		}
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}
