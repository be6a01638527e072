package dashboardapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"ai-gateway/gateway"
)

// operations is the documented part of the API: the OpenAPI document describes it.
type operations struct {
	a    API
	mux  *http.ServeMux
	api  huma.API
	all  []Endpoint
	live *live
}

// useEnvelope makes huma write errors like the rest of the API. Huma's only hooks for that are
// package variables.
var useEnvelope = sync.OnceFunc(func() {
	huma.NewError = newEnvelope
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, faults ...error) huma.StatusError {
		return newEnvelope(status, message, append(faults, unknownIn(ctx.Context())...)...)
	}
})

func newOperations(a API) *operations {
	useEnvelope()
	config := huma.DefaultConfig("AI Gateway", "1")
	config.Info.Description = "What the gateway recorded, and how it is. The models themselves are asked through OpenAI's API below /v1."
	config.DocsPath, config.OpenAPIPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{securityScheme: {Type: "http", Scheme: "bearer",
		Description: "A key of the gateway, agw_…. An open gateway needs none."}}
	config.Formats = map[string]huma.Format{
		"application/json": {Marshal: marshalJSON, Unmarshal: json.Unmarshal},
		"json":             {Marshal: marshalJSON, Unmarshal: json.Unmarshal},
		"text/csv":         {Marshal: marshalCSV},
	}
	mux := http.NewServeMux()
	o := &operations{a: a, mux: mux, api: humago.New(mux, config), live: newLive()}
	o.api.UseMiddleware(findUnknown)
	o.nameTypes()
	o.addDocument()
	o.addLive()
	o.addRequests()
	o.addCosts()
	o.addPrompts()
	o.addUsage()
	o.addSystem()
	o.addChecks()
	o.addSession()
	o.addKeys()
	o.addPeople()
	o.addExplain()
	o.addBudgets()
	return o
}

// nameTypes declares the JSON types of Go types with their own MarshalJSON.
func (o *operations) nameTypes() {
	schemas := o.api.OpenAPI().Components.Schemas
	schemas.RegisterTypeAlias(reflect.TypeFor[gateway.Dollars](), reflect.TypeFor[float64]())
	schemas.RegisterTypeAlias(reflect.TypeFor[json.Number](), reflect.TypeFor[float64]())
	schemas.RegisterTypeAlias(reflect.TypeFor[json.RawMessage](), reflect.TypeFor[map[string]any]())
	schemas.RegisterTypeAlias(reflect.TypeFor[gateway.KeyBudget](), reflect.TypeFor[KeyBudget]())
}

// OpenAPI returns the document that describes the API.
func OpenAPI() ([]byte, error) {
	document, err := json.MarshalIndent(newOperations(API{}).api.OpenAPI(), "", "  ")
	return append(document, '\n'), err
}

// takes reports whether a request matches an operation.
func (o *operations) takes(r *http.Request) bool {
	if strings.Contains(r.URL.Path, "//") || strings.Contains(r.URL.Path, "/.") {
		return false // the mux would redirect
	}
	_, pattern := o.mux.Handler(r)
	return pattern != ""
}

const (
	openAPIPath    = "/api/openapi.json"
	securityScheme = "gateway key"
)

// ServeHTTP answers a request that it takes, if the caller is allowed to call it.
func (o *operations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r, err := o.admit(r)
	if err != nil {
		handler{log: o.a.Log}.refuse(w, r, err)
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
	o.mux.ServeHTTP(w, r.WithContext(context.WithValue(ctx, requestKey{}, r)))
}

// admit returns the request with its caller, or refuses it. Unknown endpoints are refused to
// everybody.
func (o *operations) admit(r *http.Request) (*http.Request, error) {
	for _, e := range o.all {
		if _, ok := e.match(r.URL.Path); ok && slices.Contains(e.methods(), r.Method) {
			admitted, err := o.a.Entry.admit(r, e)
			return cmp.Or(admitted, r), err
		}
	}
	return r, notFound("unknown_url", "", "There is nothing at this URL.")
}

// requestKey is where an operation's context has its request.
type requestKey struct{}

// requestIn is the request that an operation answers, for what is not in its input.
func requestIn(ctx context.Context) *http.Request { return ctx.Value(requestKey{}).(*http.Request) }

// addDocument adds the document itself.
func (o *operations) addDocument() {
	type answer struct{ Body any }
	o.all = append(o.all, Endpoint{http.MethodGet, openAPIPath, 0})
	handle(o, huma.Operation{OperationID: "get-openapi", Method: http.MethodGet, Path: openAPIPath, Summary: "This document",
		Responses: map[string]*huma.Response{"200": {Description: "OK",
			Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}}}},
	}, func(context.Context, *struct{}) (*answer, error) { return &answer{o.api.OpenAPI()}, nil })
}

// register adds a GET operation for callers of a role. Errors of answer are sent as the envelope.
func register[I, O any](o *operations, role gateway.Role, path, id, summary string, answer func(context.Context, *I) (*O, error)) {
	add(o, role, huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary}, answer)
}

// registerChange adds an operation that takes a body of a type, for callers of a role. Its answer
// reads the body itself, by bodyOf: its field readers give better error messages than a schema can.
func registerChange[I, O any](o *operations, role gateway.Role, op huma.Operation, body reflect.Type, answer func(context.Context, *I) (*O, error)) {
	add(o, role, op, answer)
	item, schemas := o.api.OpenAPI().Paths[op.Path], o.api.OpenAPI().Components.Schemas
	described := map[string]*huma.Operation{http.MethodPost: item.Post, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete}[op.Method]
	described.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(body, true, "")}}}
}

func add[I, O any](o *operations, role gateway.Role, op huma.Operation, answer func(context.Context, *I) (*O, error)) {
	o.all = append(o.all, Endpoint{op.Method, op.Path, role})
	op.Errors = errorsOf(op.Path, role)
	if role > 0 {
		op.Security = []map[string][]string{{securityScheme: {}}}
	}
	if !isTabular[O]() {
		op.Middlewares = append(op.Middlewares, jsonOnly)
	}
	handle(o, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := answer(ctx, in)
		if err == nil {
			return out, nil
		}
		if len(faultsOf(resolved(err))) > 0 {
			return nil, newEnvelope(http.StatusBadRequest, "", resolved(err)...)
		}
		return nil, envelopeOf(refusalOf(ctx, o.a.Log, op.Path, errors.Join(err, ctx.Err())))
	})
	if isTabular[O]() {
		answers := o.api.OpenAPI().Paths[op.Path].Get.Responses
		answers["200"].Content["text/csv"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
}

// errorsOf are the statuses of the errors that an operation may answer with.
func errorsOf(path string, role gateway.Role) []int {
	all := []int{http.StatusBadRequest, http.StatusInternalServerError, http.StatusServiceUnavailable}
	if role > 0 {
		all = append(all, http.StatusUnauthorized, http.StatusForbidden)
	}
	if strings.Contains(path, idMark) {
		all = append(all, http.StatusNotFound)
	}
	return all
}

// envelope is an error in the form that clients get.
type envelope struct {
	Fields     envelopeFields `json:"error"`
	status     int
	retryAfter int
}

type envelopeFields struct {
	Message string  `json:"message" doc:"For people: what, where, and what would be right"`
	Type    string  `json:"type"`
	Param   *string `json:"param" doc:"The parameter at fault, the first of several"`
	Code    *string `json:"code" doc:"For programs"`
	Faults  []Fault `json:"errors,omitempty" doc:"All that is wrong with the parameters"`
}

func envelopeOf(e *gateway.Error) *envelope {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return &envelope{envelopeFields{Message: e.Message, Type: e.Type, Param: optional(e.Param), Code: optional(e.Code)}, e.Status, e.RetryAfter}
}

// Error returns the message.
func (e *envelope) Error() string { return e.Fields.Message }

// GetStatus returns the HTTP status.
func (e *envelope) GetStatus() int { return e.status }

// GetHeaders returns when to try again, and that a key is needed.
func (e *envelope) GetHeaders() http.Header {
	h := http.Header{}
	if e.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if e.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(e.retryAfter))
	}
	return h
}

// ContentType is JSON, whatever the client asked for.
func (e *envelope) ContentType(string) string { return "application/json" }

func marshalJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
