package extproc

import (
	"maps"
	"slices"
	"testing"
	"time"

	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"ai-gateway/gateway"
)

// wantHeaders checks the names of the headers that a reply sets, and the cost.
func wantHeaders(t *testing.T, r *extprocv3.ProcessingResponse, cost string) {
	t.Helper()
	got := headersOf(r)
	if got["x-response-time-ms"] == "" {
		t.Errorf("no x-response-time-ms among %v", got)
	}
	delete(got, "x-response-time-ms")
	want := map[string]string{"x-cost-usd": cost}
	if cost == "" {
		want = map[string]string{}
	}
	if !maps.Equal(got, want) {
		t.Errorf("headers %v, want %v", got, want)
	}
}

func wantMode(t *testing.T, r *extprocv3.ProcessingResponse, body filterv3.ProcessingMode_BodySendMode) {
	t.Helper()
	want := &filterv3.ProcessingMode{
		RequestHeaderMode: filterv3.ProcessingMode_SEND, ResponseHeaderMode: filterv3.ProcessingMode_SEND,
		RequestBodyMode: filterv3.ProcessingMode_BUFFERED, ResponseBodyMode: body,
		RequestTrailerMode: filterv3.ProcessingMode_SKIP, ResponseTrailerMode: filterv3.ProcessingMode_SKIP,
	}
	if diff := cmp.Diff(want, r.ModeOverride, protocmp.Transform()); diff != "" {
		t.Errorf("mode (-want +got):\n%s", diff)
	}
}

func TestAJSONAnswerIsReadPricedAndSettled(t *testing.T) {
	var b books
	x := planned(t, &b, "gpt")
	wantReply(t, say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "application/json", "content-length", "12")),
		&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{}}})
	r := say(t, x, responseBodyOf(`{"usage":{}}`, true))
	wantHeaders(t, r, "0.005")
	if r.GetResponseBody().GetResponse().GetBodyMutation() != nil {
		t.Error("the body was changed")
	}
	x.end()
	s := b.only(t)
	if s.Status != 200 || !s.Finished || s.Prompt != "hello" || s.TTFT <= 0 || s.Duration < s.TTFT {
		t.Errorf("settlement %+v", s)
	}
	if diff := cmp.Diff(fromProvider, s.Answer); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestAJSONAnswerThatMayNotFitIsBufferedAsFarAsItDoes(t *testing.T) {
	for _, length := range []string{"", "x", "1048577"} {
		var b books
		x := planned(t, &b, "gpt")
		headers := []string{":status", "200", "content-type", "application/json"}
		if length != "" {
			headers = append(headers, "content-length", length)
		}
		wantMode(t, say(t, x, responseHeadersOf(false, headers...)), filterv3.ProcessingMode_BUFFERED_PARTIAL)
		x.end()
	}
}

func TestAStreamLosesItsLengthOnlyWhereTheUsageIsTakenOut(t *testing.T) {
	for _, asked := range []bool{false, true} {
		var b books
		x := planned(t, &b, map[bool]string{false: "gpt stream", true: "gpt stream usage"}[asked])
		r := say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream", "content-length", "12"))
		removed := r.GetResponseHeaders().GetResponse().GetHeaderMutation().GetRemoveHeaders()
		if slices.Contains(removed, "content-length") == asked {
			t.Errorf("asked %t: removed %v", asked, removed)
		}
		x.end()
	}
}

func TestTheCostHeaderSaysWhatIsKnown(t *testing.T) {
	for name, row := range map[string]struct {
		model, status, body string
		complete            bool
		cost                string
		usage               gateway.Usage
	}{
		"counted":            {"gpt", "200", "no figures", true, "0.000015", gateway.Usage{Prompt: 9, Completion: 3}},
		"no price":           {"unpriced", "200", "{}", true, "unknown", fromProvider.Usage},
		"an error":           {"gpt", "429", "{}", true, "0", gateway.Usage{}},
		"an unpriced error":  {"unpriced", "500", "{}", true, "0", gateway.Usage{}},
		"cut off by Envoy":   {"gpt", "200", "no figures", false, "unknown", gateway.Usage{Prompt: 9, Completion: 3}},
		"an empty last body": {"gpt", "503", "", true, "0", gateway.Usage{}},
	} {
		t.Run(name, func(t *testing.T) {
			var b books
			x := planned(t, &b, row.model)
			say(t, x, responseHeadersOf(false, ":status", row.status, "content-type", "application/json"))
			wantHeaders(t, say(t, x, responseBodyOf(row.body, row.complete)), row.cost)
			if !row.complete {
				wantReply(t, say(t, x, responseBodyOf("rest", true)), &extprocv3.ProcessingResponse{
					Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{}}})
			}
			x.end()
			if s := b.only(t); s.Answer.Usage != row.usage || !s.Finished {
				t.Errorf("settled %+v, want usage %+v", s, row.usage)
			}
		})
	}
}

func TestAStreamIsReadPieceByPiece(t *testing.T) {
	var b books
	x := planned(t, &b, "gpt stream")
	r := say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream; charset=utf-8"))
	wantHeaders(t, r, "")
	wantMode(t, r, filterv3.ProcessingMode_STREAMED)
	for _, row := range []struct {
		piece string
		last  bool
		want  *extprocv3.BodyMutation
	}{
		{"", false, nil},
		{"data", false, nil},
		{"short", false, &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: []byte("long")}}},
		{"usage", false, &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_ClearBody{ClearBody: true}}},
		{"", true, nil},
	} {
		r := say(t, x, responseBodyOf(row.piece, row.last))
		if diff := cmp.Diff(row.want, r.GetResponseBody().GetResponse().GetBodyMutation(), protocmp.Transform()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", row.piece, diff)
		}
	}
	x.end()
	s := b.only(t)
	// The clock ticks at every look: at the start, at x-response-time-ms, at the first byte.
	if !s.Finished || s.TTFT != 2*time.Millisecond || s.Answer != counted(fakePrompt, 5) {
		t.Errorf("settlement %+v", s)
	}
}

func TestTheRequestAndTheLengthSayWhetherAnAnswerComesInPieces(t *testing.T) {
	const pieces, whole, part = filterv3.ProcessingMode_STREAMED, filterv3.ProcessingMode_BUFFERED, filterv3.ProcessingMode_BUFFERED_PARTIAL
	for _, row := range []struct {
		contentType, length string
		status              string
		stream, single      filterv3.ProcessingMode_BodySendMode // of a request for a stream, and of one for JSON
	}{
		{"text/event-stream", "", "200", pieces, pieces},
		{"Text/Event-Stream; charset=utf-8", "9", "200", pieces, whole},
		{"application/json", "", "200", pieces, part},
		{"Application/JSON;charset=utf-8", "", "200", pieces, part},
		{"application/json", "9", "200", whole, whole},
		{"application/json", "9999999999", "200", pieces, part},
		{"text/plain", "", "200", pieces, part},
		{"text/plain", "9", "200", pieces, whole},
		{"application/octet-stream", "", "200", pieces, part},
		{"application/x-ndjson", "", "200", pieces, part},
		{"", "", "200", pieces, part},
		{"", "", "429", part, part},
		{"text/event-stream", "9", "429", whole, whole},
		{"application/json", "9", "500", whole, whole},
	} {
		for body, want := range map[string]filterv3.ProcessingMode_BodySendMode{"gpt stream usage": row.stream, "gpt": row.single} {
			x := planned(t, &books{}, body)
			headers := []string{":status", row.status, "content-type", row.contentType, "content-length", row.length}
			r := say(t, x, responseHeadersOf(false, headers...))
			if got := r.GetModeOverride(); want == whole && got != nil || want != whole && got.GetResponseBodyMode() != want {
				t.Errorf("%q for %q: mode %v, want %v", headers, body, got, want)
			}
		}
	}
}

func TestAStreamThatCameWholeLosesTheUsageThatNobodyAskedFor(t *testing.T) {
	for body, want := range map[string]string{"gpt stream": "long", "gpt stream usage": ""} {
		x := planned(t, &books{}, body)
		say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "application/json", "content-length", "5"))
		r := say(t, x, responseBodyOf("short", true))
		if got := string(r.GetResponseBody().GetResponse().GetBodyMutation().GetBody()); got != want {
			t.Errorf("%s: got %q", body, got)
		}
		if got := headersOf(r); want != "" && got["content-length"] != "4" || got["x-cost-usd"] == "" {
			t.Errorf("%s: headers %v", body, got)
		}
	}
}

func TestUsageThatTheClientAskedForIsNotDropped(t *testing.T) {
	var b books
	x := planned(t, &b, "gpt stream usage")
	say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream"))
	if r := say(t, x, responseBodyOf("usage", true)); r.GetResponseBody().GetResponse() != nil {
		t.Errorf("changed: %v", r)
	}
}

func TestAnswersThatCannotBeReadPassWithTheirCostUnknown(t *testing.T) {
	for _, headers := range [][]string{
		{"content-type", "audio/mpeg"},
		{"content-type", "application/json", "content-encoding", "gzip"},
		{"content-type", "text/event-stream", "content-encoding", "br"},
	} {
		var b books
		x := planned(t, &b, "gpt")
		r := say(t, x, responseHeadersOf(false, append(headers, ":status", "200")...))
		wantHeaders(t, r, "unknown")
		wantMode(t, r, filterv3.ProcessingMode_NONE)
		x.end()
		if s := b.only(t); s.Answer.Source != 0 || s.Status != 200 {
			t.Errorf("%v: settled %+v", headers, s)
		}
	}
}

func TestErrorsOfAnyContentTypeAreRead(t *testing.T) {
	var b books
	x := planned(t, &b, "gpt")
	say(t, x, responseHeadersOf(false, ":status", "502", "content-type", "text/html"))
	wantHeaders(t, say(t, x, responseBodyOf("<h1>Bad Gateway</h1>", true)), "0")
	x.end()
	if s := b.only(t); s.Answer.ErrorCode != "refused" || s.Status != 502 {
		t.Errorf("settled %+v", s)
	}
}

func TestAnAnswerWithoutABodyIsSettledByItsHeaders(t *testing.T) {
	var b books
	x := planned(t, &b, "gpt")
	wantHeaders(t, say(t, x, responseHeadersOf(true, ":status", "503")), "0")
	x.end()
	if s := b.only(t); !s.Finished || s.Status != 503 || s.TTFT != 0 {
		t.Errorf("settled %+v", s)
	}
}

func TestAnInformationalAnswerIsNotTheEnd(t *testing.T) {
	var b books
	x := planned(t, &b, "gpt")
	say(t, x, responseHeadersOf(false, ":status", "103"))
	say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "application/json"))
	wantHeaders(t, say(t, x, responseBodyOf("{}", true)), "0.005")
	x.end()
	if s := b.only(t); s.Status != 200 {
		t.Errorf("settled %+v", s)
	}
}

func TestAnAnswerOfEnvoysOwnBeforeThePlanPasses(t *testing.T) {
	var b books
	x := New(fakeConfig(&b)).newExchange()
	say(t, x, chatHeaders())
	wantMode(t, say(t, x, responseHeadersOf(false, ":status", "408")), filterv3.ProcessingMode_NONE)
	x.end()
	if len(b.all()) != 0 {
		t.Error("settled without a plan")
	}
}

func TestAClientThatLeftBeforeTheAnswerIsSettledAsUnfinished(t *testing.T) {
	var b books
	x := planned(t, &b, "gpt")
	x.end()
	if s := b.only(t); s.Finished || s.Status != 0 || s.Answer != counted(fakePrompt, 0) {
		t.Errorf("settled %+v", s)
	}
}

func TestARowSaysWhereItsTokensComeFrom(t *testing.T) {
	events := responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream")
	json := responseHeadersOf(false, ":status", "200", "content-type", "application/json", "content-length", "10")
	nothing := gateway.Answer{Source: gateway.Estimated}
	for name, row := range map[string]struct {
		said []*extprocv3.ProcessingRequest
		want gateway.Answer
	}{
		"figures in a stream":               {[]*extprocv3.ProcessingRequest{events, responseBodyOf("figures", true)}, fromProvider},
		"figures, then a hang-up":           {[]*extprocv3.ProcessingRequest{events, responseBodyOf("figures", false)}, fromProvider},
		"a hang-up in mid-stream":           {[]*extprocv3.ProcessingRequest{events, responseBodyOf("data", false)}, counted(fakePrompt, 1)},
		"a hang-up before the first event":  {[]*extprocv3.ProcessingRequest{events}, counted(fakePrompt, 0)},
		"a hang-up before the first header": {nil, counted(fakePrompt, 0)},
		"a hang-up before the JSON":         {[]*extprocv3.ProcessingRequest{json}, counted(fakePrompt, 0)},
		"JSON without figures":              {[]*extprocv3.ProcessingRequest{json, responseBodyOf("no figures", true)}, counted(fakePrompt, 3)},
		"JSON of which only a part was read": {[]*extprocv3.ProcessingRequest{json, responseBodyOf("no figures", false)},
			gateway.Answer{Usage: gateway.Usage{Prompt: 9, Completion: 3}, Source: gateway.Estimated, Partial: true}},
		"a stream of an error": {[]*extprocv3.ProcessingRequest{
			responseHeadersOf(false, ":status", "500", "content-type", "text/event-stream"), responseBodyOf("data", true)}, nothing},
		"an error without a body": {[]*extprocv3.ProcessingRequest{responseHeadersOf(true, ":status", "429")},
			gateway.Answer{Source: gateway.Estimated, ErrorCode: "refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			var b books
			x := planned(t, &b, "gpt stream usage")
			for _, m := range row.said {
				say(t, x, m)
			}
			x.end()
			if s := b.only(t); s.Answer != row.want {
				t.Errorf("settled %+v, want %+v", s.Answer, row.want)
			}
			if x.text != (gateway.PromptText{}) {
				t.Errorf("%+v of the prompt is still held", x.text)
			}
		})
	}
}

func TestAnAnswerThatCannotBeCountedIsSettledAsUnread(t *testing.T) {
	var b books
	config := fakeConfig(&b)
	d := wordDialect()
	d.readAnswer = func(gateway.PromptText, int, []byte) gateway.Answer { panic("no tokenizer") }
	config.Rules().Dialect = d
	x := New(config).newExchange()
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("gpt", true))
	func() {
		defer func() { _ = recover() }() // as the server does
		x.end()
	}()
	if s := b.only(t); s.Answer != (gateway.Answer{}) {
		t.Errorf("settled %+v", s.Answer)
	}
}
