package dashboardapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ai-gateway/gateway"
)

const answerTimeout = 10 * time.Second

// answerer returns an answer, which is sent as JSON, or an error, which is sent as the envelope.
type answerer func(*http.Request) (any, error)

// handler answers what its endpoints list. http.ServeMux would redirect the paths of models
// whose ids hold two slashes, and answer in plain text.
type handler struct {
	endpoints []endpoint
	entry     Entry
	log       *slog.Logger
}

// ServeHTTP answers in JSON, whatever happens.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	value, err := h.ask(r.WithContext(ctx))
	if err != nil {
		h.refuse(w, r, errors.Join(err, ctx.Err())) // databases return their own errors when a context ends
		return
	}
	h.answer(w, r, value)
}

func (h handler) answer(w http.ResponseWriter, r *http.Request, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	if v, ok := value.(interface{ setHeader(http.Header) }); ok {
		v.setHeader(w.Header())
	}
	send(w, statusOf(value), body)
}

// ask finds the endpoint, and calls it if the caller is allowed to.
func (h handler) ask(r *http.Request) (any, error) {
	found, err := find(h.endpoints, r)
	if err != nil {
		return nil, err
	}
	if r, err = h.entry.admit(r, found.Endpoint); err != nil {
		return nil, err
	}
	return found.answer(r)
}

func statusOf(value any) int {
	if v, ok := value.(interface{ status() int }); ok {
		return v.status()
	}
	return http.StatusOK
}

func (h handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refusal := refusalOf(r.Context(), h.log, r.URL.Path, err)
	switch refusal.Status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", strings.Join(methodsOf(h.endpoints, r.URL.Path), ", "))
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if refusal.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(refusal.RetryAfter))
	}
	send(w, refusal.Status, refusal.In(apiOf(r)))
}

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // an error is the client leaving
}

// refusalOf is the client's version of an error.
func refusalOf(ctx context.Context, log *slog.Logger, path string, err error) *gateway.Error {
	var refusal *gateway.Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, gateway.ErrNoKey):
		return notFound("key_not_found", "key", "No request was made with this key. GET /api/costs lists the ids of those that were used.")
	case errors.Is(err, gateway.ErrNoRequest):
		return notFound("request_not_found", "id", "No such request is recorded. Rows appear about a second after their request has ended.")
	case errors.Is(err, gateway.ErrNoSpending):
		return notFound("no_spending", "name", "Nothing was ever spent under this name, so there is nothing to correct.")
	case errors.Is(err, gateway.ErrOtherCorrection):
		return &gateway.Error{Status: http.StatusConflict, Type: "invalid_request_error", Code: "id_in_use", Param: "id",
			Message: "Another correction was made with this id. GET /api/spending-corrections lists it; a new correction needs a new id."}
	case errors.Is(err, gateway.ErrNoAPIKey):
		return notFound("api_key_not_found", "id", "There is no gateway key of this id. GET /api/keys lists them.")
	case errors.Is(err, gateway.ErrNoUser):
		return notFound("user_not_found", "id", "There is no user of this id. GET /api/users lists them.")
	case errors.Is(err, gateway.ErrNoSession):
		return notFound("session_not_found", "id", "There is no session of this id that runs. GET /api/sessions lists yours.")
	case ctx.Err() != nil: // the client left, or the gateway ends
		return tooSlow()
	}
	log.Error("an API request could not be answered", "path", path, "error", err)
	if errors.Is(err, context.DeadlineExceeded) {
		return tooSlow()
	}
	return &gateway.Error{Status: http.StatusInternalServerError, Type: "server_error", Code: "internal_error",
		Message: "The gateway could not answer; its log says why."}
}

func tooSlow() *gateway.Error {
	return &gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "timeout", RetryAfter: 1,
		Message: "The gateway could not answer in time; try again."}
}

func notFound(code, param, message string) *gateway.Error {
	return &gateway.Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: code, Param: param, Message: message}
}

func alive(*http.Request) (any, error) { return map[string]string{"status": "ok"}, nil }
