package extproc

import (
	"errors"
	"fmt"
	"net/http"

	"ai-gateway/gateway"
)

var (
	errUnknownURL = gateway.UnknownURL(nil)
	errNotASCII   = gateway.BadRequest("invalid_header", "",
		"The URL and the headers with keys may hold printable ASCII characters only: percent-encode the URL's others.")
	errModel = &gateway.Error{Status: http.StatusForbidden, Type: "invalid_request_error", Code: "model_not_allowed", Param: "model",
		Message: "This API key may not use this model. GET /v1/models lists those that it may use."}
	errRole = &gateway.Error{Status: http.StatusForbidden, Type: "invalid_request_error", Code: "member_required",
		Message: "Viewers see usage and call no models. An administrator of this gateway can make you a member."}
	errKeyEnded = &gateway.Error{Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key",
		Message: "The API key was revoked or has expired. The answer ends here."}
	errKeyEndedEarly = &gateway.Error{Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key",
		Message: "The API key was revoked or has expired while the request's body came. Nothing was sent to a provider."}
	errEncoded = &gateway.Error{Status: http.StatusUnsupportedMediaType, Type: "invalid_request_error", Code: "unsupported_content_encoding",
		Message: "The request body is compressed (Content-Encoding). Send it as it is."}
	errNotJSON     = gateway.NotJSON()
	errNoBody      = gateway.BadRequest("empty_body", "", "The request has no body. Send a JSON object with at least a model.")
	errInPieces    = gateway.BadRequest("body_in_pieces", "", "The request body did not come as one whole. Send it without trailers.")
	errNotRecorded = &gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "usage_store_full", RetryAfter: 1,
		Message: "The gateway cannot record more usage, so it lets no request out. Nothing was sent to a provider or billed."}
	errNotUTF8 = &gateway.Error{Status: http.StatusUnsupportedMediaType, Type: "invalid_request_error", Code: "unsupported_charset",
		Message: "The request body must be UTF-8. Leave the charset out of the Content-Type header."}
	errUpgraded = &gateway.Error{Status: http.StatusBadGateway, Type: "server_error", Code: "upstream_protocol_error",
		Message: "The model's provider answered with a change of protocol (HTTP 101), which was not requested."}
	errOverloaded = &gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "overloaded", RetryAfter: 1,
		Message: "The gateway holds as many request bodies as it can. Try again in a moment."}
)

// errRedirected names the target of a provider's redirect, if there is one.
func errRedirected(place []byte) *gateway.Error {
	to := ""
	if len(place) > 0 {
		to = fmt.Sprintf(" to %s", place)
	}
	return &gateway.Error{Status: http.StatusBadGateway, Type: "server_error", Code: gateway.CodeRedirect,
		Message: fmt.Sprintf("The model's provider redirects%s. The gateway follows no redirects: the backend's base_url must name the place itself.", to)}
}

func errTooLarge(limit int64) *gateway.Error {
	return &gateway.Error{Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Code: "request_too_large",
		Message: fmt.Sprintf("The request body is larger than the %s that this gateway accepts.", size(limit))}
}

// asRefusal is the answer to an error of the dialect.
func asRefusal(err error) *gateway.Error {
	var refusal *gateway.Error
	if errors.As(err, &refusal) {
		return refusal
	}
	return gateway.BadRequest("invalid_request", "", err.Error())
}

// size shows a number of bytes in the largest unit that divides it.
func size(n int64) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n > 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
