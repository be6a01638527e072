package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"ai-gateway/gateway"
)

// make makes a request's span, and one of each call of a backend below it. Names and attributes are
// those of the conventions where there are any.
// Source: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
func (t *traces) make(ctx context.Context, r *gateway.Row) {
	operation := operationOf(r.Endpoint)
	ctx, span := t.tracer.Start(parentOf(ctx, r), operation+" "+string(r.Model), trace.WithTimestamp(r.StartedAt), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(t.attributes(operation, r)...))
	for n := range r.Tries {
		t.makeTry(ctx, r, n)
	}
	if r.Outcome != gateway.OK {
		span.SetStatus(codes.Error, r.ErrorCode)
	}
	span.End(trace.WithTimestamp(r.StartedAt.Add(r.Duration)))
}

func (t *traces) makeTry(ctx context.Context, r *gateway.Row, n int) {
	try := &r.Tries[n]
	at := r.StartedAt.Add(try.Start)
	_, span := t.tracer.Start(context.WithValue(ctx, tryKey{}, n), "call "+try.Backend, trace.WithTimestamp(at), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		text("gen_ai.operation.name", operationOf(r.Endpoint)), text("gen_ai.provider.name", t.name(try.Backend)), text("ai_gateway.backend", try.Backend),
		attribute.Int("ai_gateway.attempt", n+1), attribute.Int("http.response.status_code", try.Status), attribute.Int64("http.response.body.size", try.Bytes)))
	if try.Status == 0 || try.Status >= 400 {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(text("error.type", strconv.Itoa(try.Status)))
	}
	span.End(trace.WithTimestamp(at.Add(max(try.Duration, time.Microsecond))))
}

func (t *traces) attributes(operation string, r *gateway.Row) []attribute.KeyValue {
	all := []attribute.KeyValue{
		text("gen_ai.operation.name", operation), text("gen_ai.provider.name", t.name(r.Backend)), text("gen_ai.request.model", string(r.Model)),
		text("gen_ai.response.model", string(r.UpstreamModel)), attribute.Int64("gen_ai.usage.input_tokens", r.Usage.Prompt),
		attribute.Int64("gen_ai.usage.output_tokens", r.Usage.Completion), attribute.Int64("gen_ai.usage.cache_read.input_tokens", r.Usage.Cached),
		attribute.Int64("gen_ai.usage.cache_creation.input_tokens", r.Usage.CacheWrite), attribute.Int("http.response.status_code", r.Status),
		text("http.route", r.Path()), text("client.address", r.ClientIP), text("ai_gateway.id", r.ID.String()), text("ai_gateway.request_id", r.RequestID),
		text("ai_gateway.key", string(r.KeyID)), text("ai_gateway.user", r.UserID), text("ai_gateway.team", r.Team), text("ai_gateway.backend", r.Backend),
		text("ai_gateway.outcome", r.Outcome.String()), text("ai_gateway.usage_source", r.Source.String()), attribute.Bool("gen_ai.request.stream", r.Stream),
	}
	if r.Cost.Amount != nil {
		all = append(all, attribute.Float64("ai_gateway.cost_usd", dollars(*r.Cost.Amount)))
	}
	if r.TTFT > 0 {
		all = append(all, attribute.Float64("gen_ai.response.time_to_first_chunk", r.TTFT.Seconds()))
	}
	if r.Outcome != gateway.OK {
		all = append(all, text("error.type", r.Outcome.String()))
	}
	if r.Prompt != "" || r.Answer != "" {
		all = append(all, text("gen_ai.input.messages", message("user", r.Prompt)), text("gen_ai.output.messages", message("assistant", r.Answer)))
	}
	return all
}

func text(name, value string) attribute.KeyValue { return attribute.String(name, value) }

// message is a message as the conventions have them.
func message(role, content string) string {
	type part struct {
		Type    string `json:"type"`
		Content string `json:"content"`
	}
	type entry struct {
		Role  string `json:"role"`
		Parts []part `json:"parts"`
	}
	written, err := json.Marshal([]entry{{role, []part{{"text", content}}}})
	if err != nil {
		return "" // texts always marshal
	}
	return string(written)
}

type (
	requestKey struct{} // of a context, for the ids of its spans
	tryKey     struct{}
)

// parentOf is the context in which a request's span begins: below the span that the client's
// traceparent names, if it is one. Without, the request's id is the trace's.
func parentOf(ctx context.Context, r *gateway.Row) context.Context {
	ctx = context.WithValue(ctx, requestKey{}, r.ID)
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": r.TraceParent, "tracestate": r.TraceState})
}

// requestIDs makes ids of spans out of the ids of requests. A request that is traced once more, by
// the next process, has the same ones.
type requestIDs struct{}

// NewIDs makes the ids of a trace.
func (requestIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, _ := ctx.Value(requestKey{}).(uuid.UUID)
	return trace.TraceID(id), requestIDs{}.NewSpanID(ctx, trace.TraceID(id))
}

// NewSpanID makes the id of a span: of a request, or of a call for it.
func (requestIDs) NewSpanID(ctx context.Context, _ trace.TraceID) (span trace.SpanID) {
	id, _ := ctx.Value(requestKey{}).(uuid.UUID)
	try, isTry := ctx.Value(tryKey{}).(int)
	if !isTry {
		try = -1
	}
	sum := fnv.New64a()
	_, _ = sum.Write(append(id[:], strconv.Itoa(try)...)) // never fails
	binary.BigEndian.PutUint64(span[:], max(sum.Sum64(), 1))
	return span
}
