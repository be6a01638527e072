package dashboardapi

import (
	"log/slog"
	"net/http"

	"ai-gateway/gateway"
)

// WaitingHandler answers for an agent that waits for its database: it is live, and not ready. reason
// says what the database does.
func WaitingHandler(version string, reason func() string, log *slog.Logger) http.Handler {
	health := func(r *http.Request) (any, error) {
		h := Health{Version: version, Parts: map[string]string{"serve": "ok"}}
		h.refuse("store", reason())
		if clientOf(r) != "" { // the reason names hosts
			return briefHealth{Status: h.Status, Version: h.Version, ready: h.Ready}, nil
		}
		return h, nil
	}
	refuse := func(*http.Request) (any, error) {
		return nil, &gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "gateway_restarting", RetryAfter: 1,
			Message: "The gateway waits for its database. Nothing was sent to a provider or billed. Try again in a moment."}
	}
	return handler{[]endpoint{
		{Endpoint{http.MethodGet, "/livez", 0}, alive},
		{Endpoint{http.MethodGet, "/health", 0}, health},
		{Endpoint{http.MethodGet, modelsPath, 0}, refuse},
		{Endpoint{http.MethodGet, modelsPath + "/" + idMark, 0}, refuse},
	}, Entry{}, log}
}
