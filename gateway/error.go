package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Error is an answer that the gateway itself gives in OpenAI's error envelope.
// Source: https://platform.openai.com/docs/guides/error-codes
type Error struct {
	Status     int    // HTTP status
	Type       string // "invalid_request_error", "server_error", …
	Code       string // for programs: "model_not_found"; empty becomes null
	Param      string // the field at fault; empty becomes null
	Message    string // for people: what, where and what would be right
	RetryAfter int    // seconds for Retry-After; 0 sends none

	Wait   time.Duration  // until a limit lets the client repeat the request, told to the millisecond; 0 where no limit refuses
	Never  bool           // with Wait: the limit will not let it pass then either
	Limits *LimitStanding // of a request that one refuses; nil for none
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// JSON returns the envelope {"error":{"message","type","param","code"}}.
func (e *Error) JSON() []byte {
	type fields struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	b, err := json.Marshal(map[string]fields{"error": {e.Message, e.Type, optional(e.Param), optional(e.Code)}})
	if err != nil {
		panic(err) // strings alone always marshal
	}
	return b
}

// In returns the envelope of an API.
func (e *Error) In(a API) []byte {
	if a == AnthropicAPI {
		return e.anthropicJSON()
	}
	return e.JSON()
}

// EventFor returns the data of an event that ends a stream of an endpoint. One of responses has a
// type, and the error in an envelope, where the official SDKs look for it.
func (e *Error) EventFor(of Endpoint) []byte {
	if !of.IsResponses() {
		return e.In(of.API())
	}
	return append([]byte(`{"type":"error",`), e.JSON()[1:]...)
}

// anthropicJSON returns the envelope {"type":"error","error":{"type","message"}}. It has no
// place for a code or a field, so the message says all.
// Source: https://docs.anthropic.com/en/api/errors
func (e *Error) anthropicJSON() []byte {
	type fields struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	b, err := json.Marshal(struct {
		Type  string `json:"type"`
		Error fields `json:"error"`
	}{"error", fields{AnthropicType(uint32(e.Status)), e.Message}})
	if err != nil {
		panic(err) // strings alone always marshal
	}
	return b
}

// statusOverloaded is what Anthropic answers while it has too much to do.
const statusOverloaded = 529

// AnthropicType is the type that errors with a status have in Anthropic's API.
func AnthropicType(status uint32) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusPaymentRequired:
		return "billing_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusGatewayTimeout:
		return "timeout_error"
	case http.StatusServiceUnavailable, statusOverloaded:
		return "overloaded_error"
	}
	if status < http.StatusInternalServerError {
		return "invalid_request_error"
	}
	return "api_error"
}

// Codes of errors of which the provider told none.
const (
	CodeNoAnswer      = "upstream_no_answer" // a status of success, and no answer
	CodeUpstreamError = "upstream_error"     // an error in the place of an answer, or behind a part of one
	CodeRedirect      = "upstream_redirect"  // the provider is elsewhere
)

// BadRequest is a 400 that names the field at fault ("" for the whole body).
func BadRequest(code, param, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: code, Param: param, Message: message}
}

// NotJSON is the answer to a request whose body is of another type. Browsers send other sites'
// requests unasked for a few content types, and with none; JSON is not among them. So this
// also keeps web pages from spending a key that they cannot see.
// Source: https://fetch.spec.whatwg.org/#cors-safelisted-request-header
func NotJSON() *Error {
	return &Error{Status: http.StatusUnsupportedMediaType, Type: "invalid_request_error", Code: "unsupported_content_type",
		Message: "The request body must be JSON. Send the header Content-Type: application/json."}
}

// UpgradeType is the content type that Envoy's script gives to an answer by which a provider
// changes the protocol (status 101). No provider is believed to send it.
const UpgradeType = "application/x-protocol-upgrade"

// maxNamed is how many passed paths an error names.
const maxNamed = 50

// UnknownURL is the answer to a path that the gateway does not serve: it names those that it does,
// and those that it passes.
func UnknownURL(passed []PassedPath) *Error {
	var served []string
	for _, e := range Endpoints() {
		served = append(served, e.Path())
	}
	message := "Unknown URL. This gateway serves POST " + strings.Join(served, ", ") + ", and GET " + BasePath + "/models. " +
		"Stored responses are at " + BasePath + FetchResponse.String() + "."
	var others []string
	for _, p := range passed[:min(len(passed), maxNamed)] {
		others = append(others, p.Path)
	}
	if len(others) > 0 {
		message += " It passes " + strings.Join(others, ", ") + " to a backend."
	}
	return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url", Message: message}
}

// ShuttingDown is the answer to new requests while running ones may finish.
func ShuttingDown() *Error {
	return &Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "shutting_down", RetryAfter: 1,
		Message: "The gateway is shutting down and takes no new requests. Nothing was sent to a provider or billed. Try again in a moment."}
}

// NoModel is the answer to a model that has no route, in OpenAI's words.
func NoModel(m Model) *Error {
	return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found", Param: "model",
		Message: fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", string(m))}
}

// NotServedAt is the answer to a model whose backends do not speak an endpoint's API.
func NotServedAt(m Model, e Endpoint) *Error {
	speaks, at := "OpenAI's", ChatCompletions.Path()+" and "+Responses.Path()
	if e.API() == OpenAIAPI {
		speaks, at = "Anthropic's", Messages.Path()
	}
	return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_served_here", Param: "model",
		Message: fmt.Sprintf("The model `%s` is not served at %s: its backends speak %s API. Ask for it at %s.", string(m), e.Path(), speaks, at)}
}
