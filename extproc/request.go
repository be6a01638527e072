package extproc

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// head is the part of the request's headers that is kept.
type head struct {
	endpoint          gateway.Endpoint
	requestID, client string
	keys              [4]string // sent by the client, with their schemes
	query             string    // of the URL, without the question mark
	response          string    // the id of the stored response that is asked for; "" for none
	passed            string    // the path below the API's base, of a passed one
	isJSON            bool      // the body of a passed one is
	tags              string    // of the request and of its key, as a JSON object; "" for none
}

func (x *exchange) onRequestHeaders(m message, reply []byte) ([]byte, error) {
	if x.state != awaitRequestHeaders {
		return nil, errOrder
	}
	x.readHeaders(m)
	x.state = awaitRequestBody
	r := x.request
	x.request = nil
	if r == nil {
		return appendPass(reply, m.kind), nil
	}
	x.state = awaitResponseHeaders
	return x.send(reply, m, r), nil
}

// readHeaders reads the request's headers, once. They make a request if they say all of it, or why it
// is refused.
func (x *exchange) readHeaders(m message) {
	if !x.started.IsZero() {
		return
	}
	x.started = x.c.Now()
	refusal := x.readHead(m)
	switch {
	case refusal != nil:
		x.request = &readRequest{refusal: refusal}
	case m.end && x.head.endpoint == gateway.Passed:
		x.request = x.readPassed(nil)
	case m.end:
		x.request = &readRequest{}
	}
}

// readHead keeps the needed headers, and refuses requests that are wrong whatever their body.
func (x *exchange) readHead(m message) *gateway.Error {
	h := m.headers
	path, query, _ := bytes.Cut(h.path, []byte("?"))
	x.readPath(string(h.method), string(path))
	x.head.requestID = string(h.requestID)
	if !validRequestID(x.head.requestID) {
		x.head.requestID = uuid.NewString()
	}
	x.head.query = string(query)
	switch {
	case x.head.endpoint == 0:
		return errUnknownURL
	case !printable(h.path) || !h.credentialsPrintable():
		return errNotASCII
	}
	if refusal := x.admit(&h); refusal != nil {
		return refusal
	}
	if x.admission.Caller.Role() < gateway.Member {
		return errRole
	}
	if refusal := x.checkBody(m); refusal != nil {
		return refusal
	}
	return x.readTags(h.tags)
}

// readPath finds the endpoint.
func (x *exchange) readPath(method, path string) {
	h := &x.head
	if h.endpoint = gateway.EndpointOf(path); h.endpoint != 0 {
		return
	}
	if h.endpoint, h.response = gateway.StoredOf(method, path); h.endpoint != 0 {
		return
	}
	if x.rules.passes(path) && slices.Contains(gateway.PassedMethods(), method) {
		h.endpoint, h.passed = gateway.EndpointAt(path)
	}
}

// checkBody refuses a body by its headers. Requests for stored responses need none, and those of passed
// paths may have any.
func (x *exchange) checkBody(m message) *gateway.Error {
	h := m.headers
	switch {
	case x.head.endpoint.IsStored():
		return x.checkSize(h.contentLength)
	case x.head.endpoint == gateway.Passed:
		x.head.isJSON = isMediaType(h.contentType, jsonType) && !isEncoded(h)
		return x.checkSize(h.contentLength)
	case isEncoded(h):
		return errEncoded
	case !isMediaType(h.contentType, jsonType):
		return errNotJSON
	case !isUTF8(h.contentType):
		return errNotUTF8
	case m.end:
		return errNoBody
	}
	return x.checkSize(h.contentLength)
}

const jsonType = "application/json"

// isEncoded reports whether a body is compressed.
func isEncoded(h headers) bool {
	return len(h.contentEncoding) > 0 && !bytes.EqualFold(h.contentEncoding, []byte("identity"))
}

// admit identifies the caller before the body is read.
func (x *exchange) admit(h *headers) (refusal *gateway.Error) {
	x.head.client = string(bytes.ToValidUTF8(h.client(), nil))
	c := gateway.Credentials{
		Authorization: string(h.authorization), APIKey: string(h.apiKey), XAPIKey: string(h.xAPIKey), ProviderKey: string(h.providerKey),
		Repeated: string(h.repeated), Client: x.head.client,
	}
	if len(h.cookie) > 0 {
		c = c.WithSession(gateway.PageHeaders{Cookie: string(h.cookie), FetchSite: string(h.fetchSite), Origin: string(h.origin), Host: string(h.authority)})
	}
	x.head.keys = [...]string{c.Authorization, c.APIKey, c.XAPIKey, c.ProviderKey}
	x.admission, refusal = x.c.Admit(c)
	x.budgeted = refusal == nil && x.c.Budgeted != nil && x.c.Budgeted(x.admission.Caller)
	return refusal
}

// readTags keeps the request's tags and those of its key.
func (x *exchange) readTags(header []byte) *gateway.Error {
	x.head.tags = x.admission.Caller.Tags
	if len(header) == 0 {
		return nil
	}
	sent, err := gateway.ParseTags(string(header))
	if err != nil {
		return gateway.BadRequest("invalid_tags", gateway.TagsHeader, "The header X-Gateway-Tags "+err.Error()+".")
	}
	x.head.tags = gateway.WithOwnTags(sent, x.head.tags)
	return nil
}

// checkSize refuses a declared length early. It reserves nothing, because otherwise clients that
// declare much and send nothing would keep others out.
func (x *exchange) checkSize(contentLength []byte) *gateway.Error {
	n, err := strconv.ParseInt(string(contentLength), 10, 64)
	if err != nil {
		return nil // chunked; the body is checked when it comes
	}
	if n > x.rules.MaxBody {
		return errTooLarge(x.rules.MaxBody)
	}
	if x.inFlight.Load()+n > x.rules.MaxInFlight {
		return errOverloaded
	}
	return nil
}

func (x *exchange) onRequestBody(m message, reply []byte) ([]byte, error) {
	if x.state != awaitRequestBody {
		return nil, errOrder
	}
	x.state = awaitResponseHeaders
	if x.request == nil {
		x.request = x.readRequest(m)
	}
	r := x.request
	x.request = nil
	if ended := x.admission.Ended; r.refusal == nil && ended != nil && ended(x.c.Now()) {
		r.refusal = errKeyEndedEarly
	}
	return x.send(reply, m, r), nil
}

// send asks the limits of a request, records it and sends it on its way.
func (x *exchange) send(reply []byte, m message, r *readRequest) []byte {
	x.reserve(r)
	if r.refusal != nil {
		return x.refuse(reply, r.refusal)
	}
	if err := x.plan(r); err != nil {
		x.c.Log.Debug("a request could not be recorded and was refused", "request_id", x.head.requestID, "error", err)
		return x.refuse(reply, errNotRecorded)
	}
	return x.appendPlanned(reply, m, r.Request, r.plan)
}

// readRequest is a request's body as it was read, with its plan or why it is refused.
type readRequest struct {
	gateway.Request
	plan    gateway.Plan
	refusal *gateway.Error

	made time.Time // when the stored response was that is asked for; zero for none
}

// pricedAt is when the price held by which what is learnt from the answer is billed.
func (r *readRequest) pricedAt(started time.Time) time.Time {
	if r.made.IsZero() {
		return started
	}
	return r.made
}

func (x *exchange) readRequest(m message) *readRequest {
	if !m.end {
		return &readRequest{refusal: errInPieces} // refused rather than misread
	}
	if refusal := x.hold(int64(len(m.body))); refusal != nil {
		return &readRequest{refusal: refusal}
	}
	if x.head.endpoint.IsStored() {
		return &readRequest{} // its body means nothing
	}
	if x.head.endpoint == gateway.Passed {
		return x.readPassed(m.body)
	}
	request, err := x.rules.Dialect.ReadRequest(x.head.endpoint, m.body)
	if err != nil {
		return &readRequest{refusal: asRefusal(err)}
	}
	p, ok := x.rules.Plan(x.api(), request.Model)
	switch {
	case !x.mayUse(request.Model, p, ok):
		return &readRequest{refusal: errModel}
	case !ok:
		return &readRequest{refusal: x.notServed(request.Model)}
	}
	return &readRequest{Request: request, plan: p}
}

// api is the API that the client uses.
func (x *exchange) api() gateway.API { return x.head.endpoint.API() }

// notServed says why a model has no plan: nothing serves it, or only in another API.
func (x *exchange) notServed(m gateway.Model) *gateway.Error {
	if _, elsewhere := x.rules.Plan(gateway.AnthropicAPI-x.api(), m); elsewhere {
		return gateway.NotServedAt(m, x.head.endpoint)
	}
	return gateway.NoModel(m)
}

// mayUse reports whether the caller may use a model, by the requested name or, if that is an alias,
// by the model's own name.
func (x *exchange) mayUse(asked gateway.Model, p gateway.Plan, planned bool) bool {
	caller := x.admission.Caller
	return caller.MayUse(asked) || planned && caller.MayUse(p.Model)
}

// hold counts the body's bytes until the exchange ends, because Envoy keeps them that long for
// retries.
func (x *exchange) hold(n int64) *gateway.Error {
	if n > x.rules.MaxBody {
		return errTooLarge(x.rules.MaxBody)
	}
	if x.inFlight.Add(n) > x.rules.MaxInFlight {
		x.inFlight.Add(-n)
		return errOverloaded
	}
	x.held = n
	return nil
}

// plan records the request before it is sent, so that it will have a row in any case.
func (x *exchange) plan(r *readRequest) error {
	request, p := r.Request, r.plan
	started := x.started.UTC().Truncate(time.Microsecond)
	id, err := newID(started)
	if err != nil {
		return fmt.Errorf("minting a request's id: %w", err)
	}
	caller := x.admission.Caller
	x.intent = gateway.Intent{
		ID: id, RequestID: x.head.requestID, StartedAt: started,
		KeyID: caller.Key.ID, KeyLabel: caller.Key.Label, UserID: caller.User, Team: caller.Team, Tags: x.head.tags,
		ClientIP: x.head.client,
		Endpoint: x.head.endpoint, Model: p.Model, Steps: p.Steps,
		Stream: request.Stream, PromptTokens: request.PromptTokens, ServiceTier: request.ServiceTier,
		Passed: x.head.passed,
		Stored: x.head.endpoint == gateway.Responses && (!request.Unstored || request.Background), Background: request.Background, Response: x.head.response,
	}
	if request.Background {
		x.intent.AnswerTokens = x.mostTokens(&request)
	}
	if price, ok := x.rules.Price(p.Model, r.pricedAt(started)); ok {
		x.intent.Price = &price
	}
	if x.money != nil {
		x.money.Planned(id)
	}
	if err := x.c.Begin(&x.intent); err != nil {
		return err
	}
	x.prompt, x.text = request.Prompt, request.Text
	x.keepSecret(p.Secrets)
	x.planned = true
	return nil
}

// keepSecret hides keys from now on. Keys that the client sent are hidden in the prompt log only,
// not in answers to the client.
func (x *exchange) keepSecret(keys []gateway.Secret) {
	for _, key := range keys {
		x.secrets = append(x.secrets, string(key))
	}
	if x.admission.Backend != "" { // a saved key: the client did not send it and may not know it
		x.secrets = append(x.secrets, strings.TrimPrefix(x.admission.Authorization, "Bearer "))
	}
	x.mask = newMasker(x.secrets...)
	for _, sent := range x.head.keys {
		if key := strings.TrimSpace(sent[strings.IndexByte(sent, ' ')+1:]); key != "" {
			x.secrets = append(x.secrets, key)
		}
	}
}

// appendPlanned appends the reply that sends a request on its way, with the model's name at the
// first backend. Envoy itself makes the changes for other attempts.
func (x *exchange) appendPlanned(reply []byte, m message, request gateway.Request, p gateway.Plan) []byte {
	if request.Stream && !request.UsageWanted {
		x.question = x.ask(m.body, p)
		x.unasked = len(x.question.asked) > 0
	}
	c := changes{headers: identityOnly, newRoute: true}
	metadata := plan{intent: &x.intent, path: x.target(), body: gateway.Rewritten{Body: m.body, ModelAt: request.ModelAt}, renamed: p.Renamed, firstByte: p.FirstByte, clusters: p.NamesClusters}
	if x.unasked {
		metadata.silent = x.question.silent
	}
	if as := p.Steps[0].UpstreamModel; x.unasked || as != request.Model {
		c.newBody = true
		metadata.body = x.rules.Dialect.Rewrite(m.body, request, as, x.unasked)
		c.body = metadata.body.Body
		c.headers = []setHeader{identityOnly[0], {"content-length", strconv.AppendInt(nil, int64(len(c.body)), 10)}}
	}
	if x.head.query != "" { // only known parameters are kept, because others may be keys
		metadata.query = x.head.endpoint.Query(x.head.query)
		path := strings.TrimSuffix(gateway.BasePath+x.target()+"?"+metadata.query, "?")
		c.headers = append(c.headers[:len(c.headers):len(c.headers)], setHeader{":path", []byte(path)})
	}
	metadata.authorization, metadata.apiKey = x.admission.For(&p)
	return appendPlan(appendChange(reply, m.kind, c), metadata)
}

// target is the request's path below the API's base.
func (x *exchange) target() string {
	if x.head.endpoint == gateway.Passed {
		return x.head.passed
	}
	return x.head.endpoint.For(x.head.response)
}

// identityOnly asks the provider for an answer that can be read. Envoy also needs a header mutation
// to select the route again.
var identityOnly = []setHeader{{"accept-encoding", []byte("identity")}}

func (x *exchange) refuse(reply []byte, because *gateway.Error) []byte {
	x.state = awaitNothing
	return appendRefusal(reply, because, x.api(), x.head.requestID)
}

// newID makes a UUID of version 7 with the request's own time.
// Source: https://www.rfc-editor.org/rfc/rfc9562#section-5.7
func newID(at time.Time) (uuid.UUID, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return id, err
	}
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	return id, nil
}
