package dashboardapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ai-gateway/gateway"
)

const answerTimeout = 10 * time.Second

// answerer makes an answer that becomes JSON, or an error that becomes the envelope.
type answerer func(*http.Request) (any, error)

// handler answers with what find returns for a path; nil is an unknown one. http.ServeMux
// would redirect the paths of models whose ids hold two slashes, and answer in plain text.
type handler struct {
	find func(path string) answerer
	log  *slog.Logger
}

// ServeHTTP answers in JSON, whatever happens.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	value, err := h.answererOf(r)(r.WithContext(ctx))
	if err != nil {
		h.refuse(w, r, errors.Join(err, ctx.Err())) // databases have errors of their own for a context's end
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
	send(w, statusOf(value), body)
}

func (h handler) answererOf(r *http.Request) answerer {
	answer := h.find(r.URL.Path)
	switch {
	case answer == nil:
		return unknownURL
	case !reads(r):
		return onlyGet
	}
	return answer
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// below returns what follows a path and a slash: ids may hold any characters.
func below(path, whole string) (id string, ok bool) {
	id, ok = strings.CutPrefix(whole, path+"/")
	return id, ok && id != ""
}

func statusOf(value any) int {
	if h, ok := value.(Health); ok && !h.Ready {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func (h handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refusal := refusalOf(r.Context(), h.log, r.URL.Path, err)
	if refusal.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, HEAD")
	}
	if refusal.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(refusal.RetryAfter))
	}
	send(w, refusal.Status, refusal.JSON())
}

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // an error is the client leaving
}

// refusalOf is what a client is told of an error.
func refusalOf(ctx context.Context, log *slog.Logger, path string, err error) *gateway.Error {
	var refusal *gateway.Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, gateway.ErrNoKey):
		return notFound("key_not_found", "key", "No request was made with this key. GET /api/costs lists the ids of those that were used.")
	case errors.Is(err, gateway.ErrNoRequest):
		return notFound("request_not_found", "id", "No such request is recorded. Rows appear about a second after their request has ended.")
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

func unknownURL(r *http.Request) (any, error) {
	return nil, notFound("unknown_url", "", fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path))
}

func onlyGet(*http.Request) (any, error) {
	return nil, &gateway.Error{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
		Message: "This URL takes GET requests."}
}

func alive(*http.Request) (any, error) { return map[string]string{"status": "ok"}, nil }
