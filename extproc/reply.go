package extproc

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"ai-gateway/gateway"
)

// Replies of envoy.service.ext_proc.v3 are encoded here without a protobuf library: one pass
// appends to a buffer and copies constant parts.
// Source: https://github.com/envoyproxy/envoy/blob/v1.40.0/api/envoy/service/ext_proc/v3/external_processor.proto

// opened remembers where a nested message's content begins.
type opened int

// lengthSize is the width of a nested message's length, which is filled in when
// the message is closed: varints may be longer than they need be.
const lengthSize = 4

// open begins a nested message.
func open(b []byte, field protowire.Number) ([]byte, opened) {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = append(b, 0, 0, 0, 0)
	return b, opened(len(b))
}

// close ends the nested message that began at o. It holds at most 256 MiB.
func (o opened) close(b []byte) {
	n := len(b) - int(o)
	length := b[o-lengthSize : o]
	for i := range length {
		length[i] = byte(n>>(7*i)) | 0x80
	}
	length[lengthSize-1] &^= 0x80
}

func appendBytes[T string | []byte](b []byte, field protowire.Number, v T) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendVarint(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

// replyTo returns the field number of the answer to a message: ProcessingResponse
// numbers its variants one below ProcessingRequest.
func (k kind) replyTo() protowire.Number { return protowire.Number(k) - 1 }

// appendPass appends the reply that changes nothing.
func appendPass(b []byte, k kind) []byte {
	return append(b, byte(k.replyTo())<<3|byte(protowire.BytesType), 0)
}

// setHeader is one header to set.
type setHeader struct {
	name  string
	value []byte
}

const overwriteOrAdd = 2 // HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD

// appendHeaders appends a HeaderMutation as the given field; "" removes none.
func appendHeaders(b []byte, field protowire.Number, remove string, set ...setHeader) []byte {
	b, mutation := open(b, field)
	if remove != "" {
		b = appendBytes(b, headerMutationRemoveHeaders, remove)
	}
	for _, h := range set {
		var option, header opened
		b, option = open(b, headerMutationSetHeaders)
		b, header = open(b, headerOptionHeader)
		b = appendBytes(b, headerValueKey, h.name)
		b = appendBytes(b, headerValueRawValue, h.value)
		header.close(b)
		b = appendVarint(b, headerOptionAppendAction, overwriteOrAdd)
		option.close(b)
	}
	mutation.close(b)
	return b
}

// changes are what a reply changes besides continuing.
type changes struct {
	headers   []setHeader
	remove    string // a header to remove; "" for none
	newBody   bool   // body replaces the message's body, also when it is empty
	body      []byte
	newRoute  bool // select the route again
	replyMode []byte
}

// appendChange appends the reply to a headers or body message.
func appendChange(b []byte, k kind, c changes) []byte {
	if len(c.headers) == 0 && !c.newBody && !c.newRoute {
		return append(appendPass(b, k), c.replyMode...)
	}
	b, reply := open(b, k.replyTo())
	b, common := open(b, replyCommonResponse)
	if len(c.headers) > 0 {
		b = appendHeaders(b, commonHeaderMutation, c.remove, c.headers...)
	}
	if c.newBody {
		b = appendBody(b, c.body)
	}
	if c.newRoute {
		b = appendVarint(b, commonClearRouteCache, 1)
	}
	common.close(b)
	reply.close(b)
	return append(b, c.replyMode...)
}

// appendBody appends a BodyMutation that replaces the body; an empty one is cleared.
func appendBody(b, body []byte) []byte {
	b, mutation := open(b, commonBodyMutation)
	if len(body) > 0 {
		b = appendBytes(b, bodyMutationBody, body)
	} else {
		b = appendVarint(b, bodyMutationClearBody, 1)
	}
	mutation.close(b)
	return b
}

// appendRefusal appends an ImmediateResponse with the error envelope of an API.
func appendRefusal(b []byte, e *gateway.Error, a gateway.API, requestID string) []byte {
	b, reply := open(b, responseImmediate)
	b, status := open(b, immediateStatus)
	b = appendVarint(b, httpStatusCode, uint64(e.Status))
	status.close(b)
	set := []setHeader{{"content-type", []byte("application/json")}}
	if e.Wait > 0 {
		set = append(set, waitHeaders(e)...)
	} else if e.Never {
		set = append(set, setHeader{"x-should-retry", []byte("false")})
	} else if e.RetryAfter > 0 {
		set = append(set, setHeader{"retry-after", fmt.Append(nil, e.RetryAfter)})
	} else if e.Status < http.StatusInternalServerError {
		set = append(set, setHeader{"x-should-retry", []byte("false")}) // a retry would be refused again
	}
	if e.Status == http.StatusUnauthorized { // Source: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.2
		set = append(set, setHeader{"www-authenticate", []byte("Bearer")})
	}
	if a == gateway.AnthropicAPI && requestID != "" { // its SDKs read it from there
		set = append(set, setHeader{"request-id", []byte(requestID)})
	}
	b = appendHeaders(b, immediateHeaders, "", set...)
	b = appendBytes(b, immediateBody, e.In(a))
	b = appendBytes(b, immediateDetails, gateway.RefusalDetails)
	reply.close(b)
	return b
}

// Modes of ProcessingMode that are used.
const (
	modeSend            = 1
	modeSkip            = 2
	bodyNone            = 0
	bodyStreamed        = 1
	bodyBuffered        = 2
	bodyBufferedPartial = 3
)

// modeFor is a mode_override that changes how the response's body is sent, and
// repeats what is configured for the rest.
func modeFor(responseBody uint64) []byte {
	b, mode := open(nil, responseModeOverride)
	b = appendVarint(b, modeRequestHeaders, modeSend)
	b = appendVarint(b, modeResponseHeaders, modeSend)
	b = appendVarint(b, modeRequestBody, bodyBuffered)
	b = appendVarint(b, modeResponseBody, responseBody)
	b = appendVarint(b, modeRequestTrailers, modeSkip)
	b = appendVarint(b, modeResponseTrailers, modeSkip)
	mode.close(b)
	return b
}

// appendString appends an entry key → string to a Struct's fields.
func appendString(b []byte, key, v string) []byte {
	b, entry := open(b, structFields)
	b = appendBytes(b, entryKey, key)
	b, value := open(b, entryValue)
	b = appendBytes(b, valueString, v)
	value.close(b)
	entry.close(b)
	return b
}

// appendNumber appends an entry key → number to a Struct's fields.
func appendNumber(b []byte, key string, v float64) []byte {
	b, entry := open(b, structFields)
	b = appendBytes(b, entryKey, key)
	b, value := open(b, entryValue)
	b = protowire.AppendTag(b, valueNumber, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(v))
	value.close(b)
	entry.close(b)
	return b
}

// plan is the dynamic metadata of a planned request.
type plan struct {
	intent        *gateway.Intent
	path          string            // below a backend's base
	body          gateway.Rewritten // as it is sent to the first backend
	renamed       bool              // Envoy needs the model's name at each backend
	silent        []string          // backends that are not asked for the usage, while others are
	query         string            // that goes to the backend
	authorization string            // the client's own, if a backend accepts it
	apiKey        string            // likewise
	firstByte     time.Duration     // until an answer begins; 0 sets no bound
	clusters      bool              // Envoy needs the backends' clusters in the plan
}

// appendPlan appends the dynamic_metadata that Envoy needs to go on without us:
// for the access log, the path and the model's names; for the cluster of each attempt; and
// the client's own key. A string that is not UTF-8 would
// make Envoy reject the whole message; the dialect lets no such model pass.
func appendPlan(b []byte, p plan) []byte {
	b, metadata := open(b, responseDynamicMetadata)
	b = appendStruct(b, gateway.PlanNamespace, func(b []byte) []byte {
		b = appendString(b, gateway.PlanID, p.intent.ID.String())
		b = appendString(b, gateway.PlanRequestID, p.intent.RequestID)
		b = appendString(b, gateway.PlanPath, p.path)
		if p.intent.Endpoint.IsStored() {
			b = appendString(b, gateway.PlanMethod, p.intent.Endpoint.Method())
		}
		if p.query != "" {
			b = appendString(b, gateway.PlanQuery, p.query)
		}
		if len(p.intent.Steps) > 1 {
			b = appendString(b, gateway.PlanSeveral, "true")
		}
		if p.firstByte > 0 {
			b = appendString(b, gateway.PlanFirstByte, strconv.FormatInt(p.firstByte.Milliseconds(), 10))
		}
		if p.renamed || len(p.silent) > 0 {
			b = appendNames(b, p)
		}
		if len(p.silent) > 0 {
			b = appendSilent(b, p)
		}
		return b
	})
	b = appendStruct(b, gateway.RouteNamespace, func(b []byte) []byte {
		if p.clusters {
			b = appendString(b, gateway.RouteBackend, p.intent.Steps[0].Backend)
		}
		return appendGroups(b, p.intent.Steps, p.clusters)
	})
	if p.authorization != "" || p.apiKey != "" {
		b = appendStruct(b, gateway.ClientNamespace, func(b []byte) []byte { return appendClientKeys(b, p) })
	}
	metadata.close(b)
	return b
}

// appendClientKeys appends the client's own key, for each way in which backends take it.
func appendClientKeys(b []byte, p plan) []byte {
	if p.authorization != "" {
		b = appendString(b, gateway.ClientKey, p.authorization)
	}
	switch {
	case p.intent.Endpoint.API() != gateway.AnthropicAPI && p.intent.Endpoint != gateway.Passed:
		return b
	case p.apiKey != "":
		return appendString(b, gateway.ClientAPIKey, p.apiKey)
	}
	return appendString(b, gateway.ClientToken, p.authorization)
}

// appendNames appends which model is where in the body, the body's length, and the
// model's name at each backend.
func appendNames(b []byte, p plan) []byte {
	b = appendString(b, gateway.PlanModel, string(p.intent.Steps[0].UpstreamModel))
	b = appendString(b, gateway.PlanLength, strconv.Itoa(len(p.body.Body)))
	b = appendNumber(b, gateway.PlanModelFrom, float64(p.body.ModelAt.From))
	b = appendNumber(b, gateway.PlanModelTo, float64(p.body.ModelAt.To))
	for i, step := range p.intent.Steps {
		b = appendString(b, gateway.PlanModelAt+strconv.Itoa(i+1), string(step.UpstreamModel))
	}
	return b
}

// appendSilent appends the text that asks for the usage, the text that it replaced, and the
// backends that are not asked.
func appendSilent(b []byte, p plan) []byte {
	b = appendNumber(b, gateway.PlanAskedFrom, float64(p.body.AskedAt.From))
	b = appendNumber(b, gateway.PlanAskedTo, float64(p.body.AskedAt.To))
	b = appendString(b, gateway.PlanAskedWas, p.body.AskedWas)
	for _, backend := range p.silent {
		b = appendString(b, gateway.PlanSilentAt+backend, "true")
	}
	return b
}

// appendStruct appends an entry key → Struct whose fields the callback appends.
func appendStruct(b []byte, key string, fields func([]byte) []byte) []byte {
	b, entry := open(b, structFields)
	b = appendBytes(b, entryKey, key)
	b, value := open(b, entryValue)
	b, inner := open(b, valueStruct)
	b = fields(b)
	inner.close(b)
	value.close(b)
	entry.close(b)
	return b
}

// appendGroups appends priority_groups: [{name: backend}, …], one a step, with their clusters if
// Envoy needs them.
func appendGroups(b []byte, steps []gateway.Step, clusters bool) []byte {
	b, entry := open(b, structFields)
	b = appendBytes(b, entryKey, gateway.RouteGroups)
	b, value := open(b, entryValue)
	b, list := open(b, valueList)
	for _, step := range steps {
		b = appendGroup(b, step.Backend, clusters)
	}
	list.close(b)
	value.close(b)
	entry.close(b)
	return b
}

// appendGroup appends the element {name: …} to a ListValue.
func appendGroup(b []byte, name string, cluster bool) []byte {
	return appendObject(b, func(b []byte) []byte {
		b = appendString(b, gateway.RouteGroupName, name)
		if cluster {
			b = appendClusters(b, gateway.ClusterOf(name))
		}
		return b
	})
}

// appendClusters appends clusters: [{cluster_name: …, weight: 1}].
func appendClusters(b []byte, name string) []byte {
	b, entry := open(b, structFields)
	b = appendBytes(b, entryKey, gateway.RouteClusters)
	b, value := open(b, entryValue)
	b, list := open(b, valueList)
	b = appendObject(b, func(b []byte) []byte {
		return appendNumber(appendString(b, gateway.RouteCluster, name), gateway.RouteWeight, 1)
	})
	list.close(b)
	value.close(b)
	entry.close(b)
	return b
}

// appendObject appends an element to a ListValue, whose fields the callback appends.
func appendObject(b []byte, fields func([]byte) []byte) []byte {
	b, element := open(b, listValueValues)
	b, object := open(b, valueStruct)
	b = fields(b)
	object.close(b)
	element.close(b)
	return b
}
