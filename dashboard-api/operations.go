package dashboardapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"ai-gateway/gateway"
)

// operations is the part of the API that its OpenAPI document describes.
type operations struct {
	a    API
	mux  *http.ServeMux
	api  huma.API
	all  []Endpoint
	live *live
}

// useEnvelope has huma write errors as the rest of the API does. Its hook for that is a
// variable of its package.
var useEnvelope = sync.OnceFunc(func() { huma.NewError = newEnvelope })

func newOperations(a API) *operations {
	useEnvelope()
	config := huma.DefaultConfig("AI Gateway", "1")
	config.Info.Description = "What the gateway recorded, and how it is. The models themselves are asked through OpenAI's API below /v1."
	config.DocsPath, config.OpenAPIPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	config.RejectUnknownQueryParameters = true
	config.Formats = map[string]huma.Format{
		"application/json": {Marshal: marshalJSON, Unmarshal: json.Unmarshal},
		"json":             {Marshal: marshalJSON, Unmarshal: json.Unmarshal},
		"text/csv":         {Marshal: marshalCSV},
	}
	mux := http.NewServeMux()
	o := &operations{a: a, mux: mux, api: humago.New(mux, config), all: []Endpoint{{http.MethodGet, openAPIPath, 0}}, live: newLive()}
	o.addLive()
	o.addRequests()
	o.addCosts()
	o.addPrompts()
	o.addUsage()
	o.addSystem()
	return o
}

// OpenAPI returns the document that describes the API.
func OpenAPI() ([]byte, error) {
	document, err := json.MarshalIndent(newOperations(API{}).api.OpenAPI(), "", "  ")
	return append(document, '\n'), err
}

// takes reports whether a request is an operation's.
func (o *operations) takes(r *http.Request) bool {
	if r.URL.Path == openAPIPath {
		return reads(r)
	}
	if strings.Contains(r.URL.Path, "//") || strings.Contains(r.URL.Path, "/.") {
		return false // the mux would redirect
	}
	_, pattern := o.mux.Handler(r)
	return pattern != ""
}

const openAPIPath = "/api/openapi.json"

// ServeHTTP answers a request that it takes, if the caller may ask.
func (o *operations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, e := range o.all {
		if _, ok := e.match(r.URL.Path); !ok {
			continue
		}
		admitted, err := o.a.Entry.admit(r, e)
		if err != nil {
			handler{log: o.a.Log}.refuse(w, r, err)
			return
		}
		r = admitted
		break
	}
	if r.URL.Path == openAPIPath {
		o.describe(w, r)
		return
	}
	timeout := answerTimeout
	if r.URL.Path == livePath {
		timeout = liveFor
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	o.mux.ServeHTTP(w, r.WithContext(ctx))
}

func (o *operations) describe(w http.ResponseWriter, r *http.Request) {
	handler{log: o.a.Log}.answer(w, r, o.api.OpenAPI())
}

// register adds a GET operation for callers of a role. What answer returns as an error is
// refused as everywhere.
func register[I, O any](o *operations, role gateway.Role, path, id, summary string, answer func(context.Context, *I) (*O, error)) {
	o.all = append(o.all, Endpoint{http.MethodGet, path, role})
	huma.Register(o.api, huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary,
		Errors: []int{http.StatusBadRequest, http.StatusInternalServerError, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *I) (*O, error) {
			out, err := answer(ctx, in)
			if err == nil {
				return out, nil
			}
			refusal := refusalOf(ctx, o.a.Log, path, errors.Join(err, ctx.Err()))
			return nil, envelopeOf(refusal)
		})
}

// envelope is an error as clients get it.
type envelope struct {
	Fields     envelopeFields `json:"error"`
	status     int
	retryAfter int
}

type envelopeFields struct {
	Message string  `json:"message" doc:"For people: what, where, and what would be right"`
	Type    string  `json:"type"`
	Param   *string `json:"param" doc:"The parameter at fault"`
	Code    *string `json:"code" doc:"For programs"`
}

func envelopeOf(e *gateway.Error) *envelope {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return &envelope{envelopeFields{e.Message, e.Type, optional(e.Param), optional(e.Code)}, e.Status, e.RetryAfter}
}

// Error returns the message.
func (e *envelope) Error() string { return e.Fields.Message }

// GetStatus returns the HTTP status.
func (e *envelope) GetStatus() int { return e.status }

// GetHeaders returns when to try again.
func (e *envelope) GetHeaders() http.Header {
	h := http.Header{}
	if e.retryAfter > 0 {
		h.Set("Retry-After", "1")
	}
	return h
}

// ContentType is JSON, whatever the client asked for.
func (e *envelope) ContentType(string) string { return "application/json" }

// newEnvelope makes the error of a request that does not fit the document.
func newEnvelope(status int, message string, faults ...error) huma.StatusError {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	e := gateway.Error{Status: status, Type: "invalid_request_error", Code: "invalid_request", Message: message + "."}
	for _, fault := range faults {
		var detailed huma.ErrorDetailer
		if !errors.As(fault, &detailed) {
			continue
		}
		detail := detailed.ErrorDetail()
		_, e.Param, _ = strings.Cut(detail.Location, ".")
		e.Code = "invalid_parameter"
		e.Message = e.Param + ": " + detail.Message + "."
		break
	}
	if status >= http.StatusInternalServerError {
		e.Type, e.Code = "server_error", "internal_error"
	}
	return envelopeOf(&e)
}

func marshalJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// badParameter refuses a parameter that the document's types let pass.
func badParameter(name, message string) error {
	return gateway.BadRequest("invalid_parameter", name, name+": "+message)
}

// timeRange reads from and to, which are RFC 3339. Without from it is the day before to.
func timeRange(from, to time.Time, now time.Time) (time.Time, time.Time, error) {
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	if !from.Before(to) {
		return from, to, badParameter("from", "must be before to.")
	}
	return from, to, nil
}
