package extproc

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"ai-gateway/gateway"
)

func wantReply(t *testing.T, got, want *extprocv3.ProcessingResponse) {
	t.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

// set is a header mutation as replies hold it.
func set(pairs ...string) *extprocv3.HeaderMutation {
	m := &extprocv3.HeaderMutation{}
	for i := 0; i < len(pairs); i += 2 {
		m.SetHeaders = append(m.SetHeaders, &core.HeaderValueOption{
			Header:       &core.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])},
			AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return m
}

// headersOf are the headers that a reply sets.
func headersOf(r *extprocv3.ProcessingResponse) map[string]string {
	common := r.GetResponseHeaders().GetResponse()
	if r.GetResponseBody() != nil {
		common = r.GetResponseBody().GetResponse()
	}
	if r.GetRequestBody() != nil {
		common = r.GetRequestBody().GetResponse()
	}
	got := map[string]string{}
	for _, h := range common.GetHeaderMutation().GetSetHeaders() {
		got[h.Header.Key] = string(h.Header.RawValue)
	}
	return got
}

func TestGoodHeadersAreLetThrough(t *testing.T) {
	x := New(fakeConfig(&books{})).newExchange()
	wantReply(t, say(t, x, chatHeaders()), &extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{}}})
}

func TestHeadersThatNoBodyCanMendAreRefused(t *testing.T) {
	headers := func(end bool, pairs ...string) *extprocv3.ProcessingRequest {
		return requestHeadersOf(end, append([]string{":path", "/v1/embeddings"}, pairs...)...)
	}
	rows := map[string]struct {
		message *extprocv3.ProcessingRequest
		status  int
		code    string
	}{
		"compressed":         {chatHeaders("content-encoding", "gzip"), 415, "unsupported_content_encoding"},
		"another charset":    {chatHeaders("content-type", "application/json; charset=utf-7"), 415, "unsupported_charset"},
		"bad parameters":     {chatHeaders("content-type", "application/json; charset=a; charset=b"), 415, "unsupported_charset"},
		"a form":             {headers(false, "content-type", "text/plain"), 415, "unsupported_content_type"},
		"no content type":    {headers(false), 415, "unsupported_content_type"},
		"no body":            {headers(true, "content-type", "application/json"), 400, "empty_body"},
		"too long":           {chatHeaders("content-length", strconv.Itoa(1<<20+1)), 413, "request_too_large"},
		"another path":       {chatHeaders(":path", "/v1/files"), 404, "unknown_url"},
		"a path of no UTF-8": {chatHeaders(":path", "/v1/embeddings?\xff"), 400, "invalid_header"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var b books
			x := New(fakeConfig(&b)).newExchange()
			wantRefusal(t, say(t, x, row.message), row.status, row.code)
			say(t, x, responseHeadersOf(false, ":status", strconv.Itoa(row.status)))
			x.end()
			if len(b.all()) != 0 {
				t.Error("a refused request was settled")
			}
		})
	}
}

func TestIdentityEncodingAndAnyCaseOfTheContentTypeAreAccepted(t *testing.T) {
	x := New(fakeConfig(&books{})).newExchange()
	r := say(t, x, chatHeaders("content-encoding", "Identity", "content-type", "Application/JSON"))
	if r.GetRequestHeaders() == nil {
		t.Errorf("refused: %v", r)
	}
}

// wantRefusal checks an ImmediateResponse.
func wantRefusal(t *testing.T, r *extprocv3.ProcessingResponse, status int, code string) {
	t.Helper()
	retry := []string{"x-should-retry", "false"}
	if status == http.StatusServiceUnavailable {
		retry = []string{"retry-after", "1"}
	}
	wantRefusalOf(t, r, status, code, retry)
}

// wantRefusalOf checks an ImmediateResponse that says in a header whether to try again.
func wantRefusalOf(t *testing.T, r *extprocv3.ProcessingResponse, status int, code string, retry []string) {
	t.Helper()
	refusal := r.GetImmediateResponse()
	if refusal == nil {
		t.Fatalf("not refused: %v", r)
	}
	var envelope struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(refusal.Body, &envelope); err != nil {
		t.Fatalf("body %q: %v", refusal.Body, err)
	}
	if int(refusal.Status.Code) != status || envelope.Error.Code != code || envelope.Error.Message == "" {
		t.Errorf("refused with %v %q, want %d %q", refusal.Status, refusal.Body, status, code)
	}
	want := &extprocv3.ImmediateResponse{
		Status:  &typev3.HttpStatus{Code: typev3.StatusCode(status)},
		Headers: set(append([]string{"content-type", "application/json"}, retry...)...),
		Body:    refusal.Body, Details: gateway.RefusalDetails,
	}
	if diff := cmp.Diff(want, refusal, protocmp.Transform()); diff != "" {
		t.Errorf("refusal (-want +got):\n%s", diff)
	}
}

func TestAPlanCarriesItsIntentRouteAndKey(t *testing.T) {
	var b books
	x := New(fakeConfig(&b)).newExchange()
	say(t, x, chatHeaders())
	r := say(t, x, requestBodyOf("gpt", true))
	x.end()
	intent := b.intents[0]
	if settled := b.only(t).ID; settled != intent.ID {
		t.Errorf("recorded is %s, settled %s", intent.ID, settled)
	}
	metadata, err := structpb.NewStruct(map[string]any{
		gateway.PlanNamespace:   map[string]any{"id": intent.ID.String(), "request_id": "req-1", "path": "/chat/completions"},
		gateway.RouteNamespace:  map[string]any{"priority_groups": []any{map[string]any{"name": "openai"}}},
		gateway.ClientNamespace: map[string]any{"authorization": "Bearer sk-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantReply(t, r, &extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{
			HeaderMutation: set("accept-encoding", "identity"), ClearRouteCache: true}}},
		DynamicMetadata: metadata,
	})
	want := gateway.Intent{
		ID: intent.ID, RequestID: "req-1", StartedAt: start.Add(time.Millisecond).UTC().Truncate(time.Microsecond),
		KeyID: "k_0123456789abcdef", KeyLabel: "sk-…9f2c", ClientIP: "192.0.2.1", Endpoint: gateway.ChatCompletions,
		Model: "gpt", Steps: []gateway.Step{{Backend: "openai", UpstreamModel: "gpt"}}, PromptTokens: 7,
		Price: &gateway.Price{Rates: gateway.Rates{Input: gateway.USD, Output: 2 * gateway.USD}},
	}
	if diff := cmp.Diff(want, intent); diff != "" {
		t.Errorf("intent (-want +got):\n%s", diff)
	}
	sec, nsec := intent.ID.Time().UnixTime()
	if intent.ID.Version() != 7 || time.Unix(sec, nsec).UnixMilli() != intent.StartedAt.UnixMilli() {
		t.Errorf("id %v is no UUIDv7 of %v", intent.ID, intent.StartedAt)
	}
}

func TestAQueryReachesNoBackend(t *testing.T) {
	for _, path := range []string{"/v1/chat/completions?key=sk-1", "/v1/embeddings?a=b&api-version=1", "/v1/completions??"} {
		x := New(fakeConfig(&books{})).newExchange()
		say(t, x, chatHeaders(":path", path))
		r := say(t, x, requestBodyOf("gpt", true))
		want, _, _ := strings.Cut(path, "?")
		if got := headersOf(r)[":path"]; got != want {
			t.Errorf("%q: sent to %q", path, got)
		}
		if got := r.GetDynamicMetadata().GetFields()[gateway.PlanNamespace].GetStructValue().GetFields()["path"].GetStringValue(); "/v1"+got != want {
			t.Errorf("%q: planned as %q", path, got)
		}
	}
}

func TestAChangeOfProtocolIsRefused(t *testing.T) {
	for _, headers := range [][]string{{":status", "101", "upgrade", "websocket"}, {":status", "101"}, {":status", "502", "content-type", gateway.UpgradeType}} {
		var b books
		x := planned(t, &b, "gpt")
		wantRefusalOf(t, say(t, x, responseHeadersOf(false, headers...)), 502, "upstream_protocol_error", nil)
		x.end()
		if s := b.only(t); s.Status != 502 || !s.Finished || s.Answer.Usage != (gateway.Usage{}) {
			t.Errorf("settled %+v", s)
		}
	}
}

func TestARequestThatCannotBeRecordedDoesNotGoOut(t *testing.T) {
	b := books{full: errors.New("the disk is full")}
	s := New(fakeConfig(&b))
	x := s.newExchange()
	say(t, x, chatHeaders())
	r := say(t, x, requestBodyOf("gpt", true))
	wantRefusal(t, r, 503, "usage_store_full")
	if r.GetDynamicMetadata() != nil {
		t.Errorf("it has a plan: %v", r)
	}
	x.end()
	if len(b.all()) != 0 || s.inFlight.Load() != 0 {
		t.Errorf("it left %d settlements, %d bytes", len(b.all()), s.inFlight.Load())
	}
}

func TestTheClientsKeyStaysWhereTheBackendMayNotHaveIt(t *testing.T) {
	for _, may := range []bool{false, true} {
		config := fakeConfig(&books{})
		config.Rules().Plan = func(_ gateway.API, m gateway.Model) (gateway.Plan, bool) {
			return gateway.Plan{Model: m, Steps: []gateway.Step{{Backend: "b", UpstreamModel: m}}, ClientKeys: map[bool][]string{true: {"b"}}[may]}, true
		}
		for _, authorization := range []string{"", "Bearer sk-1"} {
			x := New(config).newExchange()
			say(t, x, chatHeaders("authorization", authorization))
			_, passed := say(t, x, requestBodyOf("gpt", true)).GetDynamicMetadata().GetFields()[gateway.ClientNamespace]
			if want := may && authorization != ""; passed != want {
				t.Errorf("may pass %t, authorization %q: passed %v, want %v", may, authorization, passed, want)
			}
		}
	}
}

func TestAPlanTellsEnvoyTheModelsNameAtEachBackend(t *testing.T) {
	x := New(fakeConfig(&books{})).newExchange()
	say(t, x, chatHeaders())
	r := say(t, x, requestBodyOf("fallback now", true))
	if got := string(r.GetRequestBody().GetResponse().GetBodyMutation().GetBody()); got != "first now usage" {
		t.Errorf("the first backend's body is %q", got)
	}
	fields := r.GetDynamicMetadata().GetFields()
	want, err := structpb.NewStruct(map[string]any{
		"model": "first", "length": "15", "model_from": 0, "model_to": 5, "model@1": "first", "model@2": "second", "request_id": "req-1", "path": "/chat/completions", "several": "true",
		"id": x.intent.ID.String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, fields[gateway.PlanNamespace].GetStructValue(), protocmp.Transform()); diff != "" {
		t.Errorf("aigw (-want +got):\n%s", diff)
	}
	groups, err := structpb.NewStruct(map[string]any{"priority_groups": []any{map[string]any{"name": "azure"}, map[string]any{"name": "openai"}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(groups, fields[gateway.RouteNamespace].GetStructValue(), protocmp.Transform()); diff != "" {
		t.Errorf("aigw.route (-want +got):\n%s", diff)
	}
}

func TestAStreamThatDoesNotAskForUsageIsMadeToAsk(t *testing.T) {
	x := New(fakeConfig(&books{})).newExchange()
	say(t, x, chatHeaders())
	common := say(t, x, requestBodyOf("gpt stream", true)).GetRequestBody().GetResponse()
	want := &extprocv3.CommonResponse{
		HeaderMutation:  set("accept-encoding", "identity", "content-length", "16"),
		BodyMutation:    &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: []byte("gpt stream usage")}},
		ClearRouteCache: true,
	}
	if diff := cmp.Diff(want, common, protocmp.Transform()); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

func TestABodyIsRefusedForWhatItHolds(t *testing.T) {
	for body, want := range map[string]struct {
		status int
		code   string
	}{
		" ":                            {400, "empty"},
		"missing":                      {404, "model_not_found"},
		strings.Repeat("x", (1<<20)+1): {413, "request_too_large"},
	} {
		var b books
		s := New(fakeConfig(&b))
		x := s.newExchange()
		say(t, x, chatHeaders())
		wantRefusal(t, say(t, x, requestBodyOf(body, true)), want.status, want.code)
		x.end()
		if len(b.all()) != 0 || s.inFlight.Load() != 0 {
			t.Errorf("a refused request left %d settlements, %d bytes", len(b.all()), s.inFlight.Load())
		}
	}
}

func TestABodyInPiecesIsRefusedRatherThanMisread(t *testing.T) {
	x := New(fakeConfig(&books{})).newExchange()
	say(t, x, chatHeaders())
	wantRefusal(t, say(t, x, requestBodyOf("gpt", false)), 400, "body_in_pieces")
}

func TestBodiesInFlightAreBoundedUntilTheirExchangesEnd(t *testing.T) {
	config := fakeConfig(&books{})
	config.Rules().MaxInFlight = 10
	s := New(config)
	first, second, third := s.newExchange(), s.newExchange(), s.newExchange()
	for _, x := range []*exchange{first, second} {
		say(t, x, chatHeaders())
	}
	say(t, first, requestBodyOf("123456", true))
	wantRefusal(t, say(t, second, requestBodyOf("12345", true)), 503, "overloaded")
	second.end()
	wantRefusal(t, say(t, third, chatHeaders("content-length", "5")), 503, "overloaded")
	third.end()
	first.end()
	last := s.newExchange()
	say(t, last, chatHeaders("content-length", "10"))
	if r := say(t, last, requestBodyOf("1234567890", true)); r.GetRequestBody() == nil {
		t.Errorf("refused with nothing in flight: %v", r)
	}
	last.end()
	if n := s.inFlight.Load(); n != 0 {
		t.Errorf("%d bytes in flight after the last exchange", n)
	}
}

func TestMessagesOutOfOrderEndTheExchange(t *testing.T) {
	body, json := requestBodyOf("gpt", true), responseHeadersOf(false, ":status", "200")
	for name, messages := range map[string][]*extprocv3.ProcessingRequest{
		"body before headers":          {body},
		"response body before headers": {chatHeaders(), body, responseBodyOf("", true)},
		"headers twice":                {chatHeaders(), chatHeaders()},
		"body twice":                   {chatHeaders(), body, body},
		"response headers twice":       {chatHeaders(), body, json, json},
		"no variant":                   {{}},
	} {
		t.Run(name, func(t *testing.T) {
			x := New(fakeConfig(&books{})).newExchange()
			last := len(messages) - 1
			for _, m := range messages[:last] {
				say(t, x, m)
			}
			if _, err := x.answer(marshal(t, messages[last]), nil); err == nil {
				t.Error("no error")
			}
			x.end()
		})
	}
}

func TestTruncatedMessagesEndTheExchange(t *testing.T) {
	x := New(fakeConfig(&books{})).newExchange()
	if _, err := x.answer([]byte{0x12, 0x05, 0x01}, nil); !errors.Is(err, errTruncated) {
		t.Errorf("error %v, want %v", err, errTruncated)
	}
}

func TestTrailersPass(t *testing.T) {
	x := New(fakeConfig(&books{})).newExchange()
	wantReply(t, say(t, x, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{
		ResponseTrailers: &extprocv3.HttpTrailers{Trailers: headerMap("a", "b")}}}),
		&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{}}})
	if !proto.Equal(say(t, x, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{}}),
		&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: &extprocv3.TrailersResponse{}}}) {
		t.Error("request trailers did not pass")
	}
}

func TestALimitIsToldInItsUnit(t *testing.T) {
	for n, want := range map[int64]string{32 << 20: "32 MiB", 2 << 10: "2 KiB", 1500: "1500 bytes", 1<<20 + 1<<10: "1025 KiB"} {
		if got := errTooLarge(n).Message; !strings.Contains(got, want) {
			t.Errorf("%d: %q lacks %q", n, got, want)
		}
	}
}
