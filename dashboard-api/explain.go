package dashboardapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"ai-gateway/gateway"
)

// Explainer says what would become of requests, and what is left of limits and budgets. Its
// answers become JSON.
type Explainer interface {
	Explain(ctx context.Context, caller *gateway.Caller, e gateway.Endpoint, body []byte) (any, error)
	Left(ctx context.Context, caller *gateway.Caller) (any, error)
	// Caller is who calls with a gateway key, or gateway.ErrNoAPIKey.
	Caller(ctx context.Context, id gateway.KeyID) (*gateway.Caller, error)
}

const (
	explainPath   = "/api/explain"
	leftPath      = "/api/limits"
	standingPath  = "/limits" // of an agent, where Envoy leads nobody
	standingParam = "request"
	maxExplained  = 1 << 20 // bytes of a request's body
)

// explain explains the body of a request, made with the caller's own key or, for admins, with
// the one that the parameter key names.
func (a API) explain(r *http.Request) (any, error) {
	caller, err := a.callerNamed(r)
	if err != nil {
		return nil, err
	}
	endpoint := gateway.ChatCompletions
	if named := r.URL.Query().Get("endpoint"); named != "" {
		if endpoint = gateway.EndpointOf(named); endpoint == 0 {
			return nil, gateway.BadRequest("invalid_endpoint", "endpoint", fmt.Sprintf("endpoint is %q, but must be one such as %s.", named, gateway.ChatCompletions.Path()))
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxExplained+1))
	switch {
	case err != nil:
		return nil, gateway.BadRequest("incomplete_body", "", "The request body did not come whole.")
	case len(body) > maxExplained:
		return nil, &gateway.Error{Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Code: "request_too_large",
			Message: fmt.Sprintf("The request body is larger than the %d KiB that this URL takes.", maxExplained>>10)}
	}
	return a.Explainer.Explain(r.Context(), caller, endpoint, body)
}

// left says what is left of the caller's limits and budgets, or of another key's to admins.
func (a API) left(r *http.Request) (any, error) {
	caller, err := a.callerNamed(r)
	if err != nil {
		return nil, err
	}
	return a.Explainer.Left(r.Context(), caller)
}

func (a API) callerNamed(r *http.Request) (*gateway.Caller, error) {
	key := gateway.KeyID(r.URL.Query().Get("key"))
	switch {
	case key == "" || key == callerOf(r).Key.ID:
		return callerOf(r), nil
	case !sees(r.Context(), key):
		return nil, gateway.ErrNoAPIKey
	}
	return a.Explainer.Caller(r.Context(), key)
}

// standing says how the limits of a request stand that the parameter holds. Only processes of
// the gateway's own ask for it.
func (a Agent) standing(r *http.Request) (any, error) {
	var request gateway.LimitedRequest
	if err := json.Unmarshal([]byte(r.URL.Query().Get(standingParam)), &request); err != nil {
		return nil, gateway.BadRequest("invalid_request", standingParam, "request must be a request of limits as JSON.")
	}
	states, err := a.Standing(&request)
	return map[string]any{"data": states}, err
}
