package extproc

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"ai-gateway/gateway"
)

// parseGenerated reads a message by the generated types, as parse should.
func parseGenerated(b []byte) (message, error) {
	var p extprocv3.ProcessingRequest
	if err := proto.Unmarshal(b, &p); err != nil {
		return message{}, err
	}
	switch r := p.Request.(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return message{kind: requestHeaders, headers: generatedHeaders(r.RequestHeaders), end: r.RequestHeaders.GetEndOfStream()}, nil
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		return message{kind: responseHeaders, headers: generatedHeaders(r.ResponseHeaders), end: r.ResponseHeaders.GetEndOfStream()}, nil
	case *extprocv3.ProcessingRequest_RequestBody:
		return message{kind: requestBody, body: r.RequestBody.GetBody(), end: r.RequestBody.GetEndOfStream()}, nil
	case *extprocv3.ProcessingRequest_ResponseBody:
		return message{kind: responseBody, body: r.ResponseBody.GetBody(), end: r.ResponseBody.GetEndOfStream()}, nil
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return message{kind: requestTrailers}, nil
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		return message{kind: responseTrailers}, nil
	}
	return message{}, nil
}

func generatedHeaders(in *extprocv3.HttpHeaders) headers {
	var h headers
	for _, header := range in.GetHeaders().GetHeaders() {
		field := h.field([]byte(header.GetKey()))
		switch {
		case field == nil:
		case len(header.GetRawValue()) > 0:
			*field = header.GetRawValue()
		default:
			*field = []byte(header.GetValue())
		}
	}
	return h
}

// wantSameMessage holds parse against the generated types.
func wantSameMessage(t *testing.T, b []byte) {
	t.Helper()
	got, gotErr := parse(b)
	want, err := parseGenerated(b)
	if err != nil {
		return // parse may overlook a fault in a field that it does not read
	}
	if want.kind == 0 {
		if gotErr == nil {
			t.Errorf("read %+v, want an error for a message of no variant", got)
		}
		return
	}
	if gotErr != nil {
		t.Fatalf("parsing %x: %v", b, gotErr)
	}
	same := cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) })
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(message{}, headers{}), same); diff != "" {
		t.Errorf("message %x (-want +got):\n%s", b, diff)
	}
}

func sampleMessages() []*extprocv3.ProcessingRequest {
	older := &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{
		Headers: &core.HeaderMap{Headers: []*core.HeaderValue{{Key: ":path", Value: "/old"}, {Key: "x-other", Value: "y"}}}}},
		MetadataContext: &core.Metadata{}}
	return []*extprocv3.ProcessingRequest{
		chatHeaders("content-length", "12", "content-encoding", "identity", "x-envoy-external-address", "::1"), older,
		requestBodyOf("body", true), requestBodyOf("", false), responseHeadersOf(true, ":status", "200"),
		responseBodyOf("data: {}\n\n", false),
		{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{Trailers: headerMap("a", "b")}}},
		{Request: &extprocv3.ProcessingRequest_ResponseTrailers{}}, {},
	}
}

func TestMessagesReadAsTheGeneratedTypesReadThem(t *testing.T) {
	for _, m := range sampleMessages() {
		b := marshal(t, m)
		wantSameMessage(t, b)
		for i := range b {
			wantSameMessage(t, b[:i])
			for _, flip := range []byte{1, 8, 0x80, 0xff} {
				corrupted := bytes.Clone(b)
				corrupted[i] ^= flip
				wantSameMessage(t, corrupted)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range sampleMessages() {
		f.Add(marshal(f, m))
	}
	f.Fuzz(wantSameMessage)
}

// FuzzExchange feeds any two messages between good ones: no panic, no reply that is
// none, one settlement for each plan.
func FuzzExchange(f *testing.F) {
	for _, m := range sampleMessages() {
		f.Add(marshal(f, m), marshal(f, responseBodyOf("usage", true)))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var b books
		x := New(fakeConfig(&b)).newExchange()
		for _, m := range [][]byte{first, marshal(t, chatHeaders()), marshal(t, requestBodyOf("gpt stream", true)),
			second, marshal(t, responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream")), second} {
			reply, err := x.answer(m, nil)
			if err != nil {
				break
			}
			decode(t, reply)
		}
		planned := x.planned
		x.end()
		if got := len(b.all()); planned && got != 1 || !planned && got != 0 {
			t.Errorf("%d settlements, planned %v", got, planned)
		}
	})
}

// FuzzPlan checks that a plan's metadata is valid, whatever a client wrote.
func FuzzPlan(f *testing.F) {
	f.Add("gpt", "Bearer sk-1", true)
	f.Add("a\"b\\c\u2028<>&", "", false)
	f.Fuzz(func(t *testing.T, model, authorization string, renamed bool) {
		if !utf8.ValidString(model) || !printable([]byte(authorization)) {
			return // no such request is planned
		}
		i := gateway.Intent{ID: uuid.New(), Endpoint: gateway.Embeddings, RequestID: "r", Steps: []gateway.Step{{Backend: "a", UpstreamModel: gateway.Model(model)}, {Backend: "b"}}}
		fields := decode(t, appendPlan(nil, plan{intent: &i, path: i.Endpoint.String(), renamed: renamed, authorization: authorization})).GetDynamicMetadata().GetFields()
		plan := fields[gateway.PlanNamespace].GetStructValue().GetFields()
		if plan["id"].GetStringValue() != i.ID.String() || plan["path"].GetStringValue() != "/embeddings" || renamed && plan["model@1"].GetStringValue() != model {
			t.Errorf("plan %v", plan)
		}
		if fields[gateway.ClientNamespace].GetStructValue().GetFields()["authorization"].GetStringValue() != authorization {
			t.Errorf("client %v", fields[gateway.ClientNamespace])
		}
	})
}

// FuzzRefusal checks that any message makes a valid refusal.
func FuzzRefusal(f *testing.F) {
	f.Add("no such \"model\"", 404, 0)
	f.Add("\xff", 503, 1)
	f.Fuzz(func(t *testing.T, text string, status, retryAfter int) {
		if status < 400 || status > 511 {
			return
		}
		e := &gateway.Error{Status: status, Message: text, RetryAfter: retryAfter}
		r := decode(t, appendRefusal(nil, e, gateway.API(retryAfter&1), "a label")).GetImmediateResponse()
		if int(r.GetStatus().GetCode()) != status || !json.Valid(r.GetBody()) || r.GetDetails() != gateway.RefusalDetails {
			t.Errorf("refusal %v", r)
		}
	})
}

func TestOnlyWhatEnvoyItselfAddedTellsTheClient(t *testing.T) {
	for want, h := range map[string]headers{
		"192.0.2.1": {forwardedFor: []byte("6.6.6.6, 192.0.2.1 ")},
		"192.0.2.2": {forwardedFor: []byte("192.0.2.2")},
		"192.0.2.3": {forwardedFor: []byte("6.6.6.6"), peer: []byte("192.0.2.3")},
		"":          {},
	} {
		if got := string(h.client()); got != want {
			t.Errorf("client %q, want %q", got, want)
		}
	}
}
