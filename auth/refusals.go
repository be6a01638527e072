package auth

import (
	"net/http"
	"time"

	"ai-gateway/gateway"
)

var (
	errNoKey    = unauthorized("This gateway needs a key of its own. Send one (agw_…) as Authorization: Bearer, api-key or x-api-key; a provider's key goes into X-Provider-Key.")
	errWrongKey = unauthorized("Incorrect API key provided. An administrator of this gateway can make you one.")
	errRevoked  = unauthorized("This API key was revoked. An administrator of this gateway can make you another one.")
	errExpired  = unauthorized("This API key has expired. An administrator of this gateway can make you another one.")
	errTwoKeys  = unauthorized("The request carries two different keys of this gateway. Send one of them.")

	errNoSession      = unsigned("session_ended", "You are not signed in any more. Sign in again.")
	errSessionExpired = unsigned("session_expired", "Your session has expired. Sign in again.")
	errBlocked        = forbidden("user_blocked", "", "An administrator of this gateway has blocked you, and your keys with you.")
	errNotAllowed     = forbidden("user_not_allowed", "", "Your address may not use this gateway any more. An administrator can invite you.")

	errNetwork     = forbidden("network_not_allowed", "", "This API key may not be used from your network.")
	errProviderKey = forbidden("provider_key_not_allowed", "", "This API key does not allow a provider's key of your own. Leave X-Provider-Key out.")

	errOwnKeyForProvider = gateway.BadRequest("invalid_provider_key", "",
		"X-Provider-Key holds a key of this gateway, which no provider may see. It takes the key of a provider.")
	errNotLoaded = &gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "keys_not_loaded", RetryAfter: 1,
		Message: "The gateway has not read its keys yet, so it cannot admit requests. Try again in a second."}
)

// refusals are the answers to secrets that were valid once.
var refusals = [...]*gateway.Error{isUnknown: errWrongKey, isRevoked: errRevoked, hasExpired: errExpired}

// NoKey is the answer to a caller without a key who needs one.
func NoKey() *gateway.Error { return errNoKey }

// KeyRefusal is the answer to a key with a status; nil if the key works.
func KeyRefusal(s gateway.KeyStatus) *gateway.Error {
	switch s {
	case gateway.KeyRevoked:
		return errRevoked
	case gateway.KeyExpired:
		return errExpired
	}
	return nil
}

func unauthorized(message string) *gateway.Error {
	return &gateway.Error{Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key", Message: message}
}

func unsigned(code, message string) *gateway.Error {
	return &gateway.Error{Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: code, Message: message}
}

func forbidden(code, param, message string) *gateway.Error {
	return &gateway.Error{Status: http.StatusForbidden, Type: "invalid_request_error", Code: code, Param: param, Message: message}
}

func errRepeated(name string) *gateway.Error {
	return unauthorized("The request carries the header " + name + " more than once, with different values. Send it once.")
}

func errTooManyFailures(wait time.Duration) *gateway.Error {
	return &gateway.Error{Status: http.StatusTooManyRequests, Type: "invalid_request_error", Code: "too_many_failed_keys",
		RetryAfter: int((wait + time.Second - 1) / time.Second),
		Message:    "Too many wrong API keys came from your address. A key that works is let in all the same."}
}
