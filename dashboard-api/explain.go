package dashboardapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"ai-gateway/gateway"
)

// Explainer predicts what happens to requests, and reports what is left of limits and budgets.
type Explainer interface {
	Explain(ctx context.Context, by Requester, e gateway.Endpoint, body []byte) (gateway.Explanation, error)
	Left(ctx context.Context, by Requester) (gateway.Allowance, error)
	// Caller is the caller with a gateway key, or gateway.ErrNoAPIKey.
	Caller(ctx context.Context, id gateway.KeyID) (*gateway.Caller, error)
}

// Requester is who would make a request.
type Requester struct {
	*gateway.Caller
	Client string // the client's address; "" if unknown, as for another key than the caller's own
}

const (
	explainPath   = "/api/explain"
	leftPath      = "/api/limits"
	standingPath  = "/limits" // of an agent; Envoy has no route to it
	standingParam = "request"
	maxExplained  = 1 << 20 // bytes of a request's body
)

// Allowance is what is left of limits and budgets for a caller.
type Allowance struct{ gateway.Allowance }

// AnyRequest is the body of a request as it would be sent to a model.
type AnyRequest map[string]any

// WhoseParameters choose whose limits and budgets apply.
type WhoseParameters struct {
	Key gateway.KeyID `query:"key" doc:"The id of a key; without it the caller's own"`
}

type explainInput struct {
	WhoseParameters
	Endpoint string `query:"endpoint" default:"/v1/chat/completions" doc:"The path that it would be sent to"`
}

func (in *explainInput) endpoint() (gateway.Endpoint, error) {
	endpoint := gateway.EndpointOf(in.Endpoint)
	if endpoint == 0 {
		return 0, badParameter("endpoint", fmt.Sprintf("must be one such as %s.", gateway.ChatCompletions.Path()))
	}
	return endpoint, nil
}

func (o *operations) addExplain() {
	type explained struct{ Body gateway.Explanation }
	explain := huma.Operation{OperationID: "explain-request", Method: http.MethodPost, Path: explainPath,
		Summary: "What would become of a request, without calling anyone"}
	registerChange(o, gateway.Member, explain, reflect.TypeFor[AnyRequest](), func(ctx context.Context, in *explainInput) (*explained, error) {
		body, err := o.explain(ctx, in)
		return &explained{body}, err
	})
	type allowance struct{ Body Allowance }
	register(o, gateway.Member, leftPath, "get-limits", "What is left of limits and budgets", func(ctx context.Context, in *WhoseParameters) (*allowance, error) {
		by, err := o.requester(ctx, in.Key)
		if err != nil {
			return nil, err
		}
		body, err := o.a.Explainer.Left(ctx, by)
		return &allowance{Allowance{body}}, err
	})
}

// explain explains a request with the caller's own key or, for admins, with another one.
func (o *operations) explain(ctx context.Context, in *explainInput) (gateway.Explanation, error) {
	by, err := o.requester(ctx, in.Key)
	if err != nil {
		return gateway.Explanation{}, err
	}
	endpoint, err := in.endpoint()
	if err != nil {
		return gateway.Explanation{}, err
	}
	body, err := bodyOf(ctx, maxExplained)
	if err != nil {
		return gateway.Explanation{}, err
	}
	return o.a.Explainer.Explain(ctx, by, endpoint, body)
}

// requester is the caller, or who has another key that the caller may see.
func (o *operations) requester(ctx context.Context, key gateway.KeyID) (Requester, error) {
	own := callerIn(ctx)
	if key == "" || key == own.Key.ID {
		return Requester{own, clientOf(requestIn(ctx))}, nil
	}
	if _, err := o.ownKey(ctx, key); err != nil {
		return Requester{}, err
	}
	caller, err := o.a.Explainer.Caller(ctx, key)
	return Requester{Caller: caller}, err
}

// standing reports the limits of the request in the parameter. Only the gateway's own processes
// call it.
func (a Agent) standing(r *http.Request) (any, error) {
	var request gateway.LimitedRequest
	if err := json.Unmarshal([]byte(r.URL.Query().Get(standingParam)), &request); err != nil {
		return nil, gateway.BadRequest("invalid_request", standingParam, "request must be a request of limits as JSON.")
	}
	states, err := a.Standing(&request)
	return map[string]any{"data": states}, err
}
