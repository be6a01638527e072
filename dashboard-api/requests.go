package dashboardapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// FilterParameters choose requests.
type FilterParameters struct {
	From    time.Time `query:"from" doc:"When requests started at the earliest"`
	To      time.Time `query:"to" doc:"Before when they started"`
	Model   string    `query:"model"`
	Backend string    `query:"backend"`
	Key     string    `query:"key" doc:"The id of a key"`
	User    string    `query:"user"`
	Team    string    `query:"team"`
	Tag     string    `query:"tag" doc:"A tag of X-Gateway-Tags or of the key, as name=value"`
	Outcome string    `query:"outcome" enum:"ok,failed,provider_error,provider_closed,client_closed,gateway_closed,unknown" doc:"failed stands for provider_error and provider_closed"`
}

func (f FilterParameters) filter() (gateway.RequestFilter, error) {
	filter := gateway.RequestFilter{From: f.From, To: f.To, Model: gateway.Model(f.Model), Backend: f.Backend, Key: gateway.KeyID(f.Key),
		User: f.User, Team: f.Team, Outcome: f.Outcome}
	tag, err := f.tag()
	filter.Tag = tag
	return filter, errors.Join(checkRange(f.From, f.To), err)
}

func (f FilterParameters) tag() (gateway.Tag, error) {
	if f.Tag == "" {
		return gateway.Tag{}, nil
	}
	name, value, ok := strings.Cut(f.Tag, "=")
	if !ok || !gateway.IsTagName(name) {
		return gateway.Tag{}, badParameter("tag", "must be a name and a value, such as feature=search.")
	}
	return gateway.Tag{Name: name, Value: value}, nil
}

// Minima are figures that requests must reach. Without one, or with 0, all do.
type Minima struct {
	Cost     string `query:"min_cost" doc:"USD as a decimal, such as 0.05: the least that requests cost. Those without a price are not chosen"`
	Duration int64  `query:"min_duration_ms" minimum:"0" maximum:"86400000" doc:"How long requests took at least, in milliseconds"`
	TTFT     int64  `query:"min_ttft_ms" minimum:"0" maximum:"86400000" doc:"After how many milliseconds the first byte of the answer came at the earliest"`
}

// addTo adds the figures to a filter.
func (m Minima) addTo(f *gateway.RequestFilter) error {
	f.MinDuration, f.MinTTFT = time.Duration(m.Duration)*time.Millisecond, time.Duration(m.TTFT)*time.Millisecond
	if m.Cost == "" {
		return nil
	}
	var err error
	if f.MinCost, err = gateway.ParseUSD(m.Cost); err != nil {
		return badParameter("min_cost", "must be a decimal number of dollars, such as 0.05, with at most nine decimals.")
	}
	return nil
}

// Request is a request as it is recorded.
type Request struct {
	ID               uuid.UUID `json:"id" format:"uuid"`
	StartedAt        time.Time `json:"started_at"`
	RequestID        string    `json:"request_id" doc:"The client's X-Request-Id, or the gateway's"`
	DurationMS       int64     `json:"duration_ms"`
	TTFTMS           *int64    `json:"ttft_ms" doc:"To the first byte of the answer; null if none came"`
	KeyID            string    `json:"key_id"`
	KeyLabel         string    `json:"key_label"`
	UserID           string    `json:"user_id"`
	ClientIP         string    `json:"client_ip"`
	Endpoint         string    `json:"endpoint"`
	Model            string    `json:"model"`
	Backend          string    `json:"backend"`
	UpstreamModel    string    `json:"upstream_model"`
	Stream           bool      `json:"stream"`
	Status           int       `json:"status" doc:"0 if the client never got one"`
	Outcome          string    `json:"outcome" enum:"ok,provider_error,provider_closed,client_closed,gateway_closed,unknown"`
	Attempts         int       `json:"attempts"`
	PromptTokens     int64     `json:"prompt_tokens"`
	CachedTokens     int64     `json:"cached_tokens" doc:"Part of prompt_tokens"`
	CacheWriteTokens int64     `json:"cache_write_tokens" doc:"Part of prompt_tokens"`
	CacheWrite1h     int64     `json:"cache_write_1h_tokens" doc:"Part of cache_write_tokens: what the cache keeps for an hour"`
	ServerToolCalls  int64     `json:"server_tool_calls" doc:"Calls of tools that the provider ran itself, such as web searches"`
	CompletionTokens int64     `json:"completion_tokens"`
	ReasoningTokens  int64     `json:"reasoning_tokens" doc:"Part of completion_tokens"`
	UsageSource      string    `json:"usage_source" enum:"provider,envoy,counted,estimated,none"`
	Witness          string    `json:"witness" enum:"both,gateway,envoy,none"`
	CostNanoUSD      *int64    `json:"cost_nanousd" doc:"1 USD is 1000000000; null if the price is not known"`
	CostUSD          *string   `json:"cost_usd" doc:"The same as an exact decimal"`
	PriceVersion     string    `json:"price_version"`
	ServiceTier      string    `json:"service_tier" doc:"By which the provider bills; empty if none was named"`
	ErrorCode        string    `json:"error_code"`
}

func newRequest(r *gateway.RecordedRequest) Request {
	return Request{
		ID: r.ID, StartedAt: r.StartedAt, RequestID: r.RequestID, DurationMS: r.Duration.Milliseconds(), TTFTMS: milliseconds(r.TTFT),
		KeyID: string(r.Key.ID), KeyLabel: r.Key.Label, UserID: r.UserID, ClientIP: r.ClientIP, Endpoint: r.Endpoint, Model: string(r.Model),
		Backend: r.Backend, UpstreamModel: string(r.UpstreamModel), Stream: r.Stream, Status: r.Status, Outcome: r.Outcome, Attempts: r.Attempts,
		PromptTokens: r.Usage.Prompt, CachedTokens: r.Usage.Cached, CacheWriteTokens: r.Usage.CacheWrite, CacheWrite1h: r.Usage.CacheWriteHour, ServerToolCalls: r.Usage.ServerTools,
		CompletionTokens: r.Usage.Completion,
		ReasoningTokens:  r.Usage.Reasoning, UsageSource: r.Source, Witness: r.Witness, CostNanoUSD: (*int64)(r.Cost.Amount),
		CostUSD: decimal(r.Cost.Amount), PriceVersion: r.Cost.Version, ServiceTier: r.ServiceTier, ErrorCode: r.ErrorCode,
	}
}

func milliseconds(d *time.Duration) *int64 {
	if d == nil {
		return nil
	}
	ms := d.Milliseconds()
	return &ms
}

func decimal(m *gateway.Money) *string {
	if m == nil {
		return nil
	}
	text := m.String()
	return &text
}

// RequestPage is a page of requests.
type RequestPage struct {
	Data []Request `json:"data" nullable:"false"`
	Next *string   `json:"next" doc:"The cursor of the page behind this one; null at the end. A page may have fewer requests than it could, even none, where the search took long: go on with next"`
}

type requestsInput struct {
	FilterParameters
	Minima
	RequestID string `query:"request_id" doc:"The client's X-Request-Id, or the gateway's"`
	PageParameters
}

// Attempt is one call of a backend.
type Attempt struct {
	Attempt       int     `json:"attempt"`
	Backend       string  `json:"backend"`
	Status        int     `json:"status" doc:"0 if no answer came"`
	StartMS       int64   `json:"start_ms" doc:"From the first attempt's start"`
	DurationMS    int64   `json:"duration_ms" doc:"To the answer's headers, of the last attempt to the answer's end"`
	ResponseBytes int64   `json:"response_bytes"`
	CostNanoUSD   *int64  `json:"cost_nanousd"`
	CostUSD       *string `json:"cost_usd"`
}

// PriceLine is one kind of tokens and what it cost.
type PriceLine struct {
	Kind           string `json:"kind" enum:"input,cached_input,cache_write,cache_write_1h,output,reasoning"`
	Tokens         int64  `json:"tokens"`
	NanoPerMillion int64  `json:"nanousd_per_million_tokens"`
	CostNanoUSD    int64  `json:"cost_nanousd"`
}

// Preview is a request's entry in the prompt log.
type Preview struct {
	Prompt string `json:"prompt" doc:"The last message, redacted and cut"`
	Answer string `json:"answer"`
}

// RequestDetail is everything that is recorded of a request.
type RequestDetail struct {
	Request
	Tries      []Attempt   `json:"tries" nullable:"false"`
	PriceLines []PriceLine `json:"price_lines" nullable:"false" doc:"Empty if the price is not known, or has changed since"`
	Preview    *Preview    `json:"preview" doc:"Null where no prompt is kept"`
	PromptLog  bool        `json:"prompt_log" doc:"Whether prompts are logged now"`
}

func (o *operations) addRequests() {
	type page struct {
		PageHeaders
		Body RequestPage
	}
	register(o, gateway.Viewer, "/api/requests", "list-requests", "Requests, newest first", func(ctx context.Context, in *requestsInput) (*page, error) {
		body, err := o.requests(ctx, in)
		return &page{in.headers(body.Next), body}, err
	})
	type detail struct{ Body RequestDetail }
	type one struct {
		ID uuid.UUID `path:"id" format:"uuid"`
	}
	register(o, gateway.Viewer, "/api/requests/{id}", "get-request", "All that is recorded of a request", func(ctx context.Context, in *one) (*detail, error) {
		record, err := o.a.Store.Request(ctx, in.ID)
		switch {
		case err != nil:
			return nil, err
		case !sees(ctx, record.Key.ID, record.UserID):
			return nil, gateway.ErrNoRequest
		}
		if callerIn(ctx).Role() == gateway.Viewer {
			record.Prompt = nil
		}
		c, err := o.a.Configuration()
		return &detail{detailOf(&record, c)}, err
	})
}

func (o *operations) requests(ctx context.Context, in *requestsInput) (RequestPage, error) {
	limit, after, err := in.read()
	if err != nil {
		return RequestPage{}, err
	}
	filter, err := in.filter()
	if err != nil {
		return RequestPage{}, err
	}
	filter.RequestID = in.RequestID
	if err := in.addTo(&filter); err != nil {
		return RequestPage{}, err
	}
	found, err := o.a.Store.Requests(ctx, ownOnly(ctx, filter), after, limit)
	page := RequestPage{Data: []Request{}}
	for i := range found.Requests {
		page.Data = append(page.Data, newRequest(&found.Requests[i]))
	}
	if found.More != (gateway.RequestPlace{}) {
		page.Next = nextOf(found.More.StartedAt, found.More.ID)
	}
	return page, err
}

func detailOf(r *gateway.RequestRecord, c Configuration) RequestDetail {
	d := RequestDetail{Request: newRequest(&r.RecordedRequest), Tries: []Attempt{}, PriceLines: priceLines(&r.RecordedRequest, c), PromptLog: c.LogsPrompts}
	for _, t := range r.Tries {
		d.Tries = append(d.Tries, Attempt{t.Attempt, t.Backend, t.Status, t.Start.Milliseconds(), t.Duration.Milliseconds(), t.Bytes, (*int64)(t.Cost), decimal(t.Cost)})
	}
	if r.Prompt != nil {
		d.Preview = &Preview{r.Prompt.Prompt, r.Prompt.Answer}
	}
	return d
}

// priceLines splits a cost by kinds of tokens. There are none unless the cost was computed with
// today's price.
func priceLines(r *gateway.RecordedRequest, c Configuration) []PriceLine {
	lines := []PriceLine{}
	if c.Price == nil || r.Cost.Amount == nil {
		return lines
	}
	price, known := c.Price(r.Model, r.StartedAt)
	if !known || price.Version != r.Cost.Version {
		return lines
	}
	if cost, known := price.Cost(r.Usage, r.ServiceTier); !known || cost != *r.Cost.Amount {
		return lines
	}
	for _, l := range price.Lines(r.Usage, r.ServiceTier) {
		lines = append(lines, PriceLine{l.Kind, l.Tokens, int64(l.Rate), int64(l.Cost)})
	}
	return lines
}
