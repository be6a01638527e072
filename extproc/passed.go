package extproc

import (
	"bytes"
	"cmp"
	"strings"

	"ai-gateway/gateway"
)

// passes reports whether a path is one that goes to a backend as it is.
func (r *Rules) passes(path string) bool {
	if r.Passed == nil {
		return false
	}
	_, ok := r.Passed(path, "")
	return ok
}

// readPassed reads the body of a request of a passed path. Its model is the one that a JSON object names,
// else the path.
func (x *exchange) readPassed(body []byte) *readRequest {
	request := gateway.Request{UsageWanted: true}
	if x.head.isJSON {
		var err error
		if request, err = x.rules.Dialect.ReadRequest(gateway.Passed, body); err != nil {
			return &readRequest{refusal: asRefusal(err)}
		}
	}
	path := gateway.BasePath + x.head.passed
	request.Model = cmp.Or(request.Model, gateway.Model(path))
	p, ok := x.rules.Passed(path, request.Model)
	switch {
	case !ok: // it was taken out meanwhile
		return &readRequest{refusal: errUnknownURL}
	case !x.admission.Caller.MayUse(request.Model):
		return &readRequest{refusal: errModel}
	}
	return &readRequest{Request: request, plan: p}
}

// mayPass reports whether a message of headers may be that of a passed path.
func (x *exchange) mayPass(msg []byte) bool {
	for _, path := range x.rules.PassedPaths {
		if bytes.Contains(msg, []byte(path.Path)) {
			return true
		}
	}
	return false
}

// mayHaveUsage reports whether an answer of a passed path may tell its usage: files and sounds do not.
func mayHaveUsage(h headers) bool {
	kind, _, _ := strings.Cut(strings.ToLower(string(h.contentType)), ";")
	kind = strings.TrimSpace(kind)
	return kind == "" || kind == jsonType || strings.HasSuffix(kind, "+json") || strings.HasPrefix(kind, "text/")
}
