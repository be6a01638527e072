package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// StoredEndpoints lists the metered endpoints of responses that a provider keeps.
func StoredEndpoints() []Endpoint {
	return []Endpoint{FetchResponse, DeleteResponse, CancelResponse, ResponseInput}
}

// IsStored reports whether an endpoint is about a response that a provider keeps.
func (e Endpoint) IsStored() bool { return slices.Contains(StoredEndpoints(), e) }

// Method is the HTTP method that an endpoint takes.
func (e Endpoint) Method() string {
	switch e {
	case FetchResponse, ResponseInput:
		return http.MethodGet
	case DeleteResponse:
		return http.MethodDelete
	}
	return http.MethodPost
}

// For is the endpoint's path below the API's base for a response: "/responses/resp_1/cancel".
func (e Endpoint) For(response string) string {
	return strings.Replace(e.String(), "{id}", response, 1)
}

// PathPattern is a regular expression of the paths at the gateway that StoredOf reads. Ids are of
// characters that no encoding changes, so that the id which is looked up is the one that the provider reads.
func (e Endpoint) PathPattern() string {
	return BasePath + e.For("[A-Za-z0-9_~:=-][A-Za-z0-9._~:=-]{0,255}")
}

// StoredOf returns the endpoint of a stored response that a method and a path without query name,
// and the response's id; 0 for none.
func StoredOf(method, path string) (Endpoint, string) {
	below, ok := strings.CutPrefix(path, BasePath+"/responses/")
	id, _, _ := strings.Cut(below, "/")
	if !ok || len(id) > maxResponseID || !isPathID(id) {
		return 0, ""
	}
	for _, e := range StoredEndpoints() {
		if e.Method() == method && BasePath+e.For(id) == path {
			return e, id
		}
	}
	return 0, ""
}

// maxResponseID is the longest id of a response that is remembered, in bytes.
const maxResponseID = 256

func isPathID(id string) bool {
	return id != "" && id[0] != '.' && !strings.ContainsFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._~:=-", c)
	})
}

// IsResponseID reports whether an id of a response is remembered: visible ASCII without what JSON
// escapes, as the script in Envoy reads it.
func IsResponseID(id string) bool {
	return id != "" && len(id) <= maxResponseID && !strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}

// StoredResponse is what is remembered of a response that a provider keeps.
type StoredResponse struct {
	ID        string
	Backend   string // that made it
	Model     Model
	Key       KeyID     // who has it
	User      string    // likewise; "" for nobody that is known
	Request   uuid.UUID // that made it
	StartedAt time.Time // of the request
	Prompt    int64     // tokens of the request's prompt, as far as they are known
	Tokens    int64     // that a response which goes on from it begins with; 0 while that is not known
	Pending   bool      // it is made in the background, and what it used is not known
}

// BelongsTo reports whether a caller may use a response: with the key that made it, or as the user
// whom it was booked to. Backends are called with keys that many share, so they cannot tell.
func (s *StoredResponse) BelongsTo(c *Caller) bool {
	return s.Key == c.Key.ID || s.User != "" && s.User == c.User
}

// Error codes of rows of background responses whose estimate stays until somebody fetches them, as what they
// used could not be learnt.
const (
	CodeResponseGone    = "response_gone"    // its backend does not have it, or not for the backend's own key
	CodeResponseUnknown = "response_unknown" // its backend has not told it for a day
	// CodeResponseCancelled is that of a response that was cancelled, without figures of its provider's.
	CodeResponseCancelled = "response_cancelled"
)

// ErrNoResponse says that no response of an id is remembered.
var ErrNoResponse = errors.New("no such response is known")

// NoResponse is the answer to a stored response that is not known, or another caller's, in OpenAI's words.
func NoResponse(id string) *Error {
	return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Message: fmt.Sprintf("Response with id '%s' not found.", id)}
}

// NoPreviousResponse is the answer to a request that goes on from such a response, in OpenAI's words.
func NoPreviousResponse(id string) *Error {
	return BadRequest("previous_response_not_found", previousResponse, fmt.Sprintf("Previous response with id '%s' not found.", id))
}

// MadeElsewhere is the answer to a request that goes on from a response whose backend does not serve
// the model.
func MadeElsewhere(id string, m Model) *Error {
	return BadRequest("previous_response_not_found", previousResponse,
		fmt.Sprintf("Previous response with id '%s' not found: the backend that made it does not serve the model `%s`.", id, string(m)))
}

const previousResponse = "previous_response_id"

// ResponsesAway is the answer while nobody can tell who made a response.
func ResponsesAway() *Error {
	return &Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "responses_unavailable", RetryAfter: 1,
		Message: "The gateway cannot look up which backend made this response. Try again in a moment."}
}

// ResponseState says how far a response is.
type ResponseState uint8

// The states of responses. Zero is not known.
const (
	ResponseRuns      ResponseState = iota + 1 // it is queued, or made now
	ResponseEnded                              // it was made, or given up
	ResponseFailed                             // it ended with an error
	ResponseCancelled                          // its client gave it up
)

// ResponseStateOf reads a response's status; 0 for one that is not known.
// Source: https://platform.openai.com/docs/api-reference/responses/object#responses/object-status
func ResponseStateOf(status string) ResponseState {
	switch status {
	case "queued", "in_progress":
		return ResponseRuns
	case "completed", "incomplete":
		return ResponseEnded
	case "failed":
		return ResponseFailed
	case "cancelled":
		return ResponseCancelled
	}
	return 0
}

// HasEnded reports whether nothing more is used by the response.
func (s ResponseState) HasEnded() bool { return s >= ResponseEnded }

// ResponseWord is what an answer tells of a response.
type ResponseWord struct {
	ID    string // "" for none
	State ResponseState

	// Of a response that was fetched: what it used. That of one which is made is the answer's own.
	Usage       Usage
	Source      Source // 0 if nothing is known
	ServiceTier string
	ErrorCode   string
}

// ResponseEnd is what a response has used that is known after its request had a row.
type ResponseEnd struct {
	ID          string
	Failed      bool
	Usage       Usage
	Source      Source // 0 leaves the row's estimate
	Cost        Cost
	ServiceTier string // "" leaves that of the row
	ErrorCode   string // likewise
}

// End is what a word that a response has ended tells of what it used. The object of one that was cancelled
// may show nothing of what its client has read of it, so without the provider's figures the estimate stays.
func (w *ResponseWord) End() *ResponseEnd {
	e := &ResponseEnd{ID: w.ID, Failed: w.State == ResponseFailed, Usage: w.Usage, Source: w.Source, ServiceTier: w.ServiceTier, ErrorCode: w.ErrorCode}
	if w.State == ResponseCancelled && w.Source < FromEnvoy {
		e.Usage, e.Source, e.ErrorCode = Usage{}, 0, CodeResponseCancelled
	}
	return e
}

// PendingUsage is the usage of a background response while it is not known: the most that it may use, as
// budgets have to count it.
func (i *Intent) PendingUsage(known Usage) Usage {
	return Usage{Prompt: max(known.Prompt, i.PromptTokens), Completion: max(known.Completion, i.AnswerTokens)}
}

// Pends reports whether an answer leaves open what its request will have used: the response is still made.
func (i *Intent) Pends(w ResponseWord, status int) bool {
	return i.Background && w.ID != "" && !w.State.HasEnded() && status < http.StatusMultipleChoices
}

// Made is the response that a request made at a backend, nil if it made none that is kept.
func (i *Intent) Made(w ResponseWord, status int, backend string, u Usage) *StoredResponse {
	if !i.Stored || w.ID == "" || status >= http.StatusMultipleChoices {
		return nil
	}
	s := &StoredResponse{ID: w.ID, Backend: backend, Model: i.Model, Key: i.KeyID, User: i.UserID, Request: i.ID, StartedAt: i.StartedAt,
		Prompt: i.PromptTokens, Pending: i.Pends(w, status)}
	if !s.Pending {
		s.Tokens = u.Prompt + u.Completion
	}
	return s
}
