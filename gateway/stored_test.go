package gateway

import (
	"regexp"
	"strings"
	"testing"
)

func TestThePathOfAStoredResponseNamesItsEndpointAndItsID(t *testing.T) {
	for at, want := range map[string]Endpoint{
		"GET /v1/responses/resp_1": FetchResponse, "DELETE /v1/responses/resp_1": DeleteResponse,
		"POST /v1/responses/resp_1/cancel": CancelResponse, "GET /v1/responses/resp_1/input_items": ResponseInput,
		"POST /v1/responses/resp_1": 0, "GET /v1/responses/resp_1/": 0, "GET /v1/responses/": 0, "GET /v1/responses/resp_1/cancel": 0, "GET /v1/responses": 0,
		"GET /v1/responses/resp_1/input_items/": 0, "GET /v1/responses//input_items": 0, "GET /v1/responses/..": 0, "GET /v1/responses/a%2fb": 0,
		"GET /v2/responses/resp_1": 0, "GET /v1/responses/" + strings.Repeat("r", 257): 0,
	} {
		method, path, _ := strings.Cut(at, " ")
		e, id := StoredOf(method, path)
		if e != want || want != 0 && id != "resp_1" {
			t.Errorf("%s is %v of %q", at, e, id)
		}
		if want != 0 && EndpointOf(want.Path()) != want {
			t.Errorf("%q does not name %d", want.Path(), want)
		}
	}
}

// FuzzStoredPaths checks that Envoy's routes and the agent understand the same paths.
func FuzzStoredPaths(f *testing.F) {
	for _, path := range []string{"/v1/responses/resp_1", "/v1/responses/resp_1/cancel", "/v1/responses/.a", "/v1/responses/a~b:c=d-e/input_items", "/v1/responses/a b"} {
		f.Add("GET", path)
		f.Add("POST", path)
	}
	routes := map[Endpoint]*regexp.Regexp{}
	for _, e := range StoredEndpoints() {
		routes[e] = regexp.MustCompile("^(?:" + e.PathPattern() + ")$")
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		e, id := StoredOf(method, path)
		for of, route := range routes {
			if matches := route.MatchString(path) && !strings.HasSuffix(path, "\n") && of.Method() == method; matches != (e == of) {
				t.Errorf("%s %q: the route of %s says %v, the agent %v", method, path, of.Path(), matches, e)
			}
		}
		if e != 0 && (BasePath+e.For(id) != path || !IsResponseID(id)) {
			t.Errorf("%s %q is of %q", method, path, id)
		}
	})
}

func TestOnlyKnownParametersOfAStoredResponseReachAProvider(t *testing.T) {
	for query, want := range map[string]string{
		"stream=true&starting_after=7&key=sk-1": "stream=true&starting_after=7", "include%5B%5D=a&include[]=b&include=c&x[]=d": "include%5B%5D=a&include[]=b&include=c", "limit=1": "",
	} {
		if got := FetchResponse.Query(query); got != want {
			t.Errorf("of %q %q passes", query, got)
		}
	}
	for query, want := range map[string]bool{"stream=true": true, "a=b&stream=True": true, "stream=false": false, "": false, "%zz": false, "stream%3Dtrue": false} {
		if AsksStream(query) != want {
			t.Errorf("%q asks for events: %v", query, !want)
		}
	}
}
