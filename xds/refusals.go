package xds

import (
	"net/http"
	"strings"

	"ai-gateway/gateway"
)

// The answers that Envoy gives without the gateway process.
var (
	restarting = &gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "gateway_restarting", RetryAfter: 1,
		Message: "The gateway is restarting and took no request. Nothing was sent to a provider or billed. Try again in a second."}
	apiAway = &gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "api_unavailable", RetryAfter: 1,
		Message: "The gateway's API is not running; models are served all the same. Try again in a second."}
	wrongHost = &gateway.Error{Status: http.StatusMisdirectedRequest, Type: "invalid_request_error", Code: "wrong_host",
		Message: "This gateway answers to localhost alone. To answer to other host names, make a gateway key (`ai-gateway keys create`), or set AI_GATEWAY_OPEN=true (`listen.open`)."}
	twoHosts = gateway.BadRequest("two_hosts", "", "The request has more than one Host header.")
	comeBack = &gateway.Error{Status: http.StatusLoopDetected, Type: "invalid_request_error", Code: "loop_detected",
		Message: "This request has passed through this gateway before, or through too many: a backend's address leads back here."}
	notPost      = wrongMethod("This endpoint takes POST requests with a JSON body.")
	notStored    = wrongMethod("A stored response takes GET and DELETE requests.")
	notCancelled = wrongMethod("A response is cancelled by a POST request.")
	notListed    = wrongMethod("The items of a response's input take GET requests.")
	notPassed    = wrongMethod("This path takes GET, POST and DELETE requests.")
	unknownPath  = gateway.UnknownURL(nil)
)

func wrongMethod(message string) *gateway.Error {
	return &gateway.Error{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed", Message: message}
}

// allowedInstead are the methods that a path takes whose request is refused for another; "" for other refusals.
func allowedInstead(because *gateway.Error) string {
	switch because {
	case notPost, notCancelled:
		return http.MethodPost
	case notStored:
		return http.MethodGet + ", " + http.MethodDelete
	case notListed:
		return http.MethodGet
	case notPassed:
		return strings.Join(gateway.PassedMethods(), ", ")
	}
	return ""
}

// Restarting is the answer to a request without a plan.
func Restarting() gateway.Error { return *restarting }
