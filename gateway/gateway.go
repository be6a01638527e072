// Package gateway is the vocabulary of the AI Gateway: models, backends, plans, usage, money
// and the errors that clients see. The other packages mostly import only this one, so it does
// no I/O and knows neither Envoy, SQL nor any provider's dialect.
package gateway

import "strings"

// Model is a model id as clients name it, "gpt-4o-mini" or "llama3:8b". It may
// hold any characters that a JSON string can, so it is quoted wherever it is shown.
type Model string

// KeyID identifies an API key without revealing it: "key_" and 16 random hex digits for a
// gateway key, "k_" and 16 hex digits of a keyed hash for a client's own, or AnonymousKey.
type KeyID string

// AnonymousKey is the id of requests that carried no key of their own.
const AnonymousKey KeyID = "anonymous"

// Key is what the gateway remembers of a client's key: never the key itself.
type Key struct {
	ID    KeyID
	Label string // for people: of a gateway key, what its maker says; else the key's first three and last four characters, "sk-…9f2c"
}

// API is a provider's API: the words that requests, answers and errors are written in.
type API uint8

// The APIs that clients may speak. Zero is OpenAI's.
const (
	OpenAIAPI API = iota
	AnthropicAPI
)

// Endpoint is an endpoint of a provider's API that is planned and metered.
type Endpoint uint8

// The metered endpoints. Zero is no endpoint.
const (
	ChatCompletions Endpoint = iota + 1
	Completions
	Embeddings
	Responses
	Messages
	CountTokens // of a message that is not sent: it costs nothing
	Compact     // a conversation of responses, as one that is shorter
	InputTokens // of a response that is not made: it costs nothing

	FetchResponse  // a stored response: this and what follows costs nothing
	DeleteResponse // likewise
	CancelResponse // that is made in the background
	ResponseInput  // the items of a stored response's input

	Passed // a path of which the gateway knows nothing but its backend
)

// Endpoints lists the metered endpoints that take POST requests with a JSON body.
func Endpoints() []Endpoint {
	return []Endpoint{ChatCompletions, Completions, Embeddings, Responses, Messages, CountTokens, Compact, InputTokens}
}

// API is the one that an endpoint belongs to.
func (e Endpoint) API() API {
	if e == Messages || e == CountTokens {
		return AnthropicAPI
	}
	return OpenAIAPI
}

// IsFree reports whether providers answer an endpoint for nothing.
func (e Endpoint) IsFree() bool { return e == CountTokens || e == InputTokens || e.IsStored() }

// IsResponses reports whether an endpoint is one of the Responses API.
func (e Endpoint) IsResponses() bool {
	return e == Responses || e == Compact || e == InputTokens || e.IsStored()
}

// String returns the path below the API's base, "/chat/completions".
func (e Endpoint) String() string {
	switch e {
	case ChatCompletions:
		return "/chat/completions"
	case Completions:
		return "/completions"
	case Embeddings:
		return "/embeddings"
	case Responses:
		return "/responses"
	case Messages:
		return "/messages"
	case CountTokens:
		return "/messages/count_tokens"
	case Compact:
		return "/responses/compact"
	case InputTokens:
		return "/responses/input_tokens"
	case FetchResponse, DeleteResponse:
		return "/responses/{id}"
	case CancelResponse:
		return "/responses/{id}/cancel"
	case ResponseInput:
		return "/responses/{id}/input_items"
	}
	return "none"
}

// Path is the endpoint's path at the gateway, "/v1/chat/completions". Of a stored response it is a
// name with the method, "GET /v1/responses/{id}", as several have one path.
func (e Endpoint) Path() string {
	if e.IsStored() {
		return e.Method() + " " + BasePath + e.String()
	}
	return BasePath + e.String()
}

// BasePath is the base of all APIs at the gateway.
const BasePath = "/v1"

// EndpointAt returns the endpoint of a recorded path. One that EndpointOf does not know was passed,
// and below is the path below the API's base.
func EndpointAt(path string) (e Endpoint, below string) {
	if e := EndpointOf(path); e != 0 {
		return e, ""
	}
	if below, ok := strings.CutPrefix(path, BasePath); ok && strings.HasPrefix(below, "/") {
		return Passed, below
	}
	return 0, ""
}

// EndpointOf returns the endpoint that Path names, or 0.
func EndpointOf(path string) Endpoint {
	for e := ChatCompletions; e <= ResponseInput; e++ {
		if e.Path() == path {
			return e
		}
	}
	return 0
}
