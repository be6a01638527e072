package dashboardapi

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"ai-gateway/gateway"
)

// Fault is what is wrong with one parameter.
type Fault struct {
	Location string `json:"location" doc:"Where it is, such as query.limit"`
	Message  string `json:"message" doc:"What is wrong, or what would be right"`
}

// newEnvelope makes the error of a request that does not fit the document. It names every
// parameter at fault, so that a client need not find them one by one.
func newEnvelope(status int, message string, faults ...error) huma.StatusError {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	e := gateway.Error{Status: status, Type: "invalid_request_error", Code: "invalid_request", Message: message + "."}
	if status >= http.StatusInternalServerError {
		e.Type, e.Code = "server_error", "internal_error"
	}
	all := faultsOf(faults)
	if len(all) > 0 {
		e.Code = "invalid_parameter"
		_, e.Param, _ = strings.Cut(all[0].Location, ".")
		e.Message = messageOf(all)
	}
	envelope := envelopeOf(&e)
	envelope.Fields.Faults = all
	return envelope
}

// faultsOf are the faults of errors, each once: parts of a query that overlap find the same.
func faultsOf(all []error) (faults []Fault) {
	for _, err := range all {
		var detailed huma.ErrorDetailer
		if !errors.As(err, &detailed) {
			continue
		}
		detail := detailed.ErrorDetail()
		if fault := (Fault{detail.Location, detail.Message}); !slices.Contains(faults, fault) {
			faults = append(faults, fault)
		}
	}
	return faults
}

func messageOf(faults []Fault) string {
	texts := make([]string, len(faults))
	for i, f := range faults {
		_, name, _ := strings.Cut(f.Location, ".")
		texts[i] = name + ": " + strings.TrimSuffix(f.Message, ".") + "."
	}
	return strings.Join(texts, " ")
}

// badParameter refuses a parameter of the query that the document's types let pass.
func badParameter(name, message string) error {
	return &huma.ErrorDetail{Location: "query." + name, Message: message}
}

// resolved are the faults of a query as huma's resolvers return them. Huma adds them to those of
// the document's types.
func resolved(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, resolved(one)...)
	}
	return all
}

// unknownKey is where a context has the faults that findUnknown has found.
type unknownKey struct{}

func unknownIn(ctx context.Context) []error {
	faults, _ := ctx.Value(unknownKey{}).([]error)
	return faults
}

// findUnknown looks for parameters of the query that the operation does not have, and for texts
// that no database takes. Huma would stop at unknown ones, and not look at the others.
func findUnknown(ctx huma.Context, next func(huma.Context)) {
	var known []string
	var faults []error
	for _, p := range ctx.Operation().Parameters {
		switch {
		case p.In == "query":
			known = append(known, p.Name)
		case p.In == "path" && !isText(ctx.Param(p.Name)):
			faults = append(faults, &huma.ErrorDetail{Location: "path." + p.Name, Message: noText})
		}
	}
	slices.Sort(known)
	query, hint := ctx.URL(), "there are none here"
	if len(known) > 0 {
		hint = "it must be one of " + strings.Join(known, ", ")
	}
	values := query.Query()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(known, name):
			faults = append(faults, badParameter(name, "is not a parameter of this URL: "+hint+"."))
		case !isText(strings.Join(values[name], "")):
			faults = append(faults, badParameter(name, noText))
		}
	}
	next(huma.WithValue(ctx, unknownKey{}, faults))
}

const noText = "must be text in UTF-8 without NUL."

func isText(value string) bool { return utf8.ValidString(value) && !strings.Contains(value, "\x00") }

// handle registers an operation, which is not asked with parameters that it does not have.
func handle[I, O any](o *operations, op huma.Operation, answer func(context.Context, *I) (*O, error)) {
	huma.Register(o.api, op, func(ctx context.Context, in *I) (*O, error) {
		if faults := unknownIn(ctx); len(faults) > 0 {
			return nil, newEnvelope(http.StatusBadRequest, "", faults...)
		}
		return answer(ctx, in)
	})
}

// checkRange refuses times that hold no moment. A zero time is open.
func checkRange(from, to time.Time) error {
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return badParameter("from", "must be before to.")
	}
	return nil
}

// timeRange reads from and to, which are RFC 3339. Without from it is the day before to.
func timeRange(from, to time.Time, now time.Time) (time.Time, time.Time, error) {
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	return from, to, checkRange(from, to)
}

// Resolve checks what the document's types let pass.
func (in *PageParameters) Resolve(huma.Context) []error {
	_, _, err := in.read()
	return resolved(err)
}

// Resolve checks what the document's types let pass.
func (f FilterParameters) Resolve(huma.Context) []error {
	_, err := f.filter()
	return resolved(err)
}

// Resolve checks what the document's types let pass.
func (m Minima) Resolve(huma.Context) []error { return resolved(m.addTo(&gateway.RequestFilter{})) }

// Resolve checks what the document's types let pass.
func (in *promptsInput) Resolve(huma.Context) []error {
	return append(in.PageParameters.Resolve(nil), resolved(checkRange(in.From, in.To))...)
}

// Resolve checks what the document's types let pass.
func (in *usageInput) Resolve(huma.Context) []error {
	_, _, err := in.query(time.Now())
	return resolved(err)
}

// Resolve checks what the document's types let pass.
func (in *CostParameters) Resolve(huma.Context) []error {
	filter, err := in.filter()
	if err == nil {
		_, err = costBounds(filter, in.Group, time.Now())
	}
	return resolved(err)
}

// Resolve checks what the document's types let pass.
func (in *explainInput) Resolve(huma.Context) []error {
	_, err := in.endpoint()
	return resolved(err)
}
