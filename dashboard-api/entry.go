package dashboardapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ai-gateway/gateway"
)

// Entry decides who may call an endpoint.
type Entry struct {
	// Admit identifies the caller from a request's headers.
	Admit func(gateway.Credentials) (gateway.Admission, *gateway.Error)
	// Origins are the origins of other web pages that may make changes.
	Origins func() []string
}

// admit returns the request with its caller, or refuses it.
func (e Entry) admit(r *http.Request, of Endpoint) (*http.Request, error) {
	if of.Role == 0 {
		return r, nil
	}
	if of.Method != http.MethodGet {
		if err := e.checkChange(r); err != nil {
			return nil, err
		}
	}
	admission, refusal := e.Admit(credentials(r))
	switch {
	case refusal != nil:
		return nil, refusal
	case admission.Caller.Role() < of.Role:
		return nil, &gateway.Error{Status: http.StatusForbidden, Type: "invalid_request_error", Code: of.Role.String() + "_required",
			Message: fmt.Sprintf("This is for the role %s, and yours is %s.", of.Role, admission.Caller.Role())}
	}
	return r.WithContext(context.WithValue(r.Context(), admissionKey{}, admission)), nil
}

// admissionKey is where a request's context has its admission.
type admissionKey struct{}

// admitsStill reports whether the caller of a request is let in as before: by the same key or as the
// same person, and with the same role.
func (e Entry) admitsStill(r *http.Request) bool {
	before := callerOf(r)
	admission, refusal := e.Admit(credentials(r))
	return refusal == nil && admission.Caller.Key.ID == before.Key.ID && admission.Caller.Role() == before.Role()
}

func callerOf(r *http.Request) *gateway.Caller { return callerIn(r.Context()) }

func callerIn(ctx context.Context) *gateway.Caller { return admissionIn(ctx).Caller }

func admissionIn(ctx context.Context) gateway.Admission {
	return ctx.Value(admissionKey{}).(gateway.Admission)
}

// sees reports whether the caller may see the usage of a key or a user: viewers and admins see
// everything, a person their own usage, and a member's key its own.
func sees(ctx context.Context, key gateway.KeyID, user string) bool {
	c := callerIn(ctx)
	return c.Role().SeesAll() || c.Key.ID == key || c.Person != "" && c.User == user
}

// ownOnly restricts a filter for members to their own usage.
func ownOnly(ctx context.Context, f gateway.RequestFilter) gateway.RequestFilter {
	c := callerIn(ctx)
	switch {
	case c.Role().SeesAll():
	case c.Person != "" && (f.User == "" || f.User == c.User):
		f.User = c.User
	case c.Person == "" && (f.Key == "" || f.Key == c.Key.ID):
		f.Key = c.Key.ID
	default:
		f.Key = "none" // no key has this id
	}
	return f
}

// checkChange refuses cross-site requests. Browsers send a page's origin, and send JSON to another
// origin only after a preflight.
// Source: https://fetch.spec.whatwg.org/#origin-header
func (e Entry) checkChange(r *http.Request) error {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return &gateway.Error{Status: http.StatusUnsupportedMediaType, Type: "invalid_request_error", Code: "unsupported_content_type",
			Message: "The request body must be JSON. Send the header Content-Type: application/json."}
	}
	for _, origin := range r.Header.Values("Origin") {
		if !isOwn(origin, r) && (origin == "null" || !slices.Contains(e.Origins(), origin)) { // any page can have the origin null
			return &gateway.Error{Status: http.StatusForbidden, Type: "invalid_request_error", Code: "wrong_origin",
				Message: "This page may not change anything here: it is of another origin than the gateway, and not in `cors.origins`."}
		}
	}
	return nil
}

// isOwn reports whether an origin is the gateway's own, as the request reached it. A page over
// plain HTTP may be forged by the network, so it may not change anything if the gateway is reached
// over HTTPS. A proxy may speak HTTPS for a gateway that does not.
func isOwn(origin string, r *http.Request) bool {
	from, err := url.Parse(origin)
	if err != nil || !strings.EqualFold(from.Host, r.Host) {
		return false
	}
	return from.Scheme == "https" || from.Scheme == "http" && r.Header.Get("X-Forwarded-Proto") != "https"
}

// credentials are those of a request that Envoy has passed on.
func credentials(r *http.Request) gateway.Credentials {
	c := gateway.Credentials{Client: clientOf(r)}
	for name, into := range map[string]*string{"authorization": &c.Authorization, "api-key": &c.APIKey, "x-api-key": &c.XAPIKey, "x-provider-key": &c.ProviderKey} {
		for _, value := range r.Header.Values(name) {
			if *into != "" && *into != value {
				c.Repeated = name
			}
			*into = value
		}
	}
	return c.WithSession(gateway.PageHeaders{Cookie: strings.Join(r.Header.Values("Cookie"), ";"), FetchSite: r.Header.Get("Sec-Fetch-Site"),
		Origin: r.Header.Get("Origin"), Host: r.Host, Reads: reads(r)})
}

// clientHeader is where Envoy names its peer.
const clientHeader = "X-Envoy-External-Address"

// clientOf is the address of the client as Envoy saw it: the peer if Envoy names it, or else the
// entry that Envoy appended to X-Forwarded-For. Earlier entries may be forged.
func clientOf(r *http.Request) string {
	if peer := r.Header.Get(clientHeader); peer != "" {
		return peer
	}
	forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	return strings.TrimSpace(forwarded[strings.LastIndexByte(forwarded, ',')+1:])
}
