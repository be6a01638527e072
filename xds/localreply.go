package xds

import (
	"net/http"
	"strconv"
	"strings"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	cel "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"ai-gateway/gateway"
)

// ownDetails are the response code details of answers whose body is an envelope
// already: refusals of the ext_proc service, and direct responses of routes.
const ownDetails = "response.code_details == '" + gateway.RefusalDetails + "' || response.code_details == 'direct_response'"

// localReply is Envoy's own answer in one situation.
type localReply struct {
	flags   []string // response flags that match; nil matches by status
	details string   // with flags: text that the response code details must contain; "" for any
	status  uint32   // without flags: the status that matches; 0 matches every answer
	kind    string   // the envelope's type
	code    string
	text    string // may hold Envoy's substitution commands
}

// envoyReplies name the situations in which Envoy answers instead of a provider. The first match
// counts; the last one matches everything. For an unreachable provider they name the kind of
// failure (of the last address, if its host name has several). Envoy's own text goes to the journal
// only.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage#response-flags
var envoyReplies = []localReply{
	{flags: []string{"UF"}, details: "CERTIFICATE_VERIFY_FAILED", kind: "server_error", code: "upstream_unreachable",
		text: "The model's provider could not be reached: its certificate is not trusted."},
	{flags: []string{"UF"}, details: "TLS_error", kind: "server_error", code: "upstream_unreachable",
		text: "The model's provider could not be reached: the TLS handshake failed."},
	{flags: []string{"UF"}, details: "connection_timeout", kind: "server_error", code: "upstream_unreachable",
		text: "The model's provider could not be reached: it did not take the connection in time, at the last of its addresses where it has several."},
	{flags: []string{"UF"}, details: "Connection_refused", kind: "server_error", code: "upstream_unreachable",
		text: "The model's provider could not be reached: it refuses the connection, at the last of its addresses where it has several."},
	{flags: []string{"UF"}, kind: "server_error", code: "upstream_unreachable",
		text: "The model's provider could not be reached: the connection failed."},
	{flags: []string{"UH", "NC"}, kind: "server_error", code: "upstream_unreachable",
		text: "The model's provider could not be reached: its host name does not resolve, or it is down."},
	{flags: []string{"UT"}, kind: "server_error", code: "upstream_timeout",
		text: "The model's provider did not answer in time."},
	{flags: []string{"SI"}, kind: "server_error", code: "idle_timeout",
		text: "Nothing was sent in either direction for too long."},
	{flags: []string{"UPE"}, kind: "server_error", code: "upstream_protocol_error",
		text: "The model's provider did not answer in valid HTTP."},
	{flags: []string{"UC", "UR", "LR", "URX"}, kind: "server_error", code: "upstream_disconnected",
		text: "The model's provider closed the connection before it answered."},
	{flags: []string{"UO"}, kind: "server_error", code: "upstream_overloaded",
		text: "Too many requests wait for the model's provider. Try again in a moment."},
	{flags: []string{"OM"}, kind: "server_error", code: "overloaded",
		text: "The gateway is out of memory for more requests. Try again in a moment."},
	{status: http.StatusRequestEntityTooLarge, kind: "invalid_request_error", code: "request_too_large",
		text: "The request body is larger than this gateway accepts."},
	{status: http.StatusNotFound, kind: unknownPath.Type, code: unknownPath.Code, text: unknownPath.Message},
	{status: http.StatusUpgradeRequired, kind: "invalid_request_error", code: "http_version_not_supported",
		text: "This gateway speaks HTTP/1.1 and HTTP/2. Set a proxy in front of it to one of these (nginx: proxy_http_version 1.1)."},
	{status: http.StatusForbidden, kind: "invalid_request_error", code: "upgrade_not_supported",
		text: "This gateway does not upgrade connections (WebSocket, CONNECT). Send a plain HTTP request."},
	{status: http.StatusRequestTimeout, kind: "invalid_request_error", code: "request_timeout",
		text: "The request did not arrive in time."},
	{status: http.StatusRequestHeaderFieldsTooLarge, kind: "invalid_request_error", code: "headers_too_large",
		text: "The request's headers are larger than this gateway accepts."},
	{status: http.StatusBadRequest, kind: "invalid_request_error", code: "bad_request",
		text: "The request is not valid HTTP for this gateway: %LOCAL_REPLY_BODY%%RESPONSE_CODE_DETAILS%"},
	{kind: "server_error", code: "gateway_error", text: "The gateway could not answer: %RESPONSE_CODE_DETAILS%"},
}

// ofMessages matches requests in Anthropic's API, also after their path became a backend's.
const ofMessages = "(request.url_path.endsWith('/messages') || request.url_path.endsWith('/messages/count_tokens'))"

// localReplies turns every answer of Envoy's own into the envelope of the request's API. The first
// matching mapper counts.
func localReplies(e *encoder) *hcm.LocalReplyConfig {
	config := &hcm.LocalReplyConfig{Mappers: []*hcm.ResponseMapper{
		{Filter: satisfying(e, ownDetails), BodyFormatOverride: jsonText("%LOCAL_REPLY_BODY%")},
		away(e, "xds.route_name.startsWith('"+unplannedName+gateway.Messages.Path()+"')", restarting, gateway.AnthropicAPI),
		away(e, "xds.route_name.startsWith('"+unplannedName+"') || xds.route_name == '"+agentRoute+"'", restarting, gateway.OpenAIAPI),
		away(e, "xds.route_name == '"+apiRoute+"'", apiAway, gateway.OpenAIAPI),
	}}
	for _, reply := range envoyReplies {
		config.Mappers = append(config.Mappers, reply.mapper(e, gateway.AnthropicAPI), reply.mapper(e, gateway.OpenAIAPI))
	}
	return config
}

// away is the answer of routes whose service, one of ours, is down.
func away(e *encoder, routes string, because *gateway.Error, in gateway.API) *hcm.ResponseMapper {
	return &hcm.ResponseMapper{
		Filter:             satisfying(e, "("+routes+") && response.code >= 500"),
		BodyFormatOverride: jsonText(string(because.In(in))),
		HeadersToAdd:       []*core.HeaderValueOption{setHeader("retry-after", strconv.Itoa(because.RetryAfter))},
	}
}

// satisfying filters requests by a CEL expression.
func satisfying(e *encoder, expression string) *accesslog.AccessLogFilter {
	return &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_ExtensionFilter{
		ExtensionFilter: &accesslog.ExtensionFilter{
			Name:       "envoy.access_loggers.extension_filters.cel",
			ConfigType: &accesslog.ExtensionFilter_TypedConfig{TypedConfig: e.any(&cel.ExpressionFilter{Expression: expression})},
		},
	}}
}

func jsonText(format string) *core.SubstitutionFormatString {
	return &core.SubstitutionFormatString{
		Format:      &core.SubstitutionFormatString_TextFormatSource{TextFormatSource: inline(format)},
		ContentType: "application/json",
	}
}

func (r localReply) mapper(e *encoder, in gateway.API) *hcm.ResponseMapper {
	envelope, filter := r.envelope(), r.filter(e)
	if in == gateway.AnthropicAPI {
		envelope, filter = r.messagesEnvelope(), both(satisfying(e, ofMessages), filter)
	}
	m := &hcm.ResponseMapper{
		Filter: filter,
		BodyFormatOverride: &core.SubstitutionFormatString{
			Format: &core.SubstitutionFormatString_JsonFormat{JsonFormat: envelope},
		},
		// Once a plan exists the request has lost the header that Envoy would echo.
		HeadersToAdd: []*core.HeaderValueOption{setHeader("x-request-id", plannedRequestID)},
	}
	if r.status != 0 && r.status != http.StatusRequestTimeout {
		m.HeadersToAdd = append(m.HeadersToAdd, setHeader("x-should-retry", "false")) // a retry would be refused again
	}
	return m
}

func (r localReply) envelope() *structpb.Struct {
	return object(map[string]*structpb.Value{"error": structpb.NewStructValue(object(map[string]*structpb.Value{
		"message": structpb.NewStringValue(r.text),
		"type":    structpb.NewStringValue(r.kind),
		"param":   structpb.NewNullValue(),
		"code":    structpb.NewStringValue(r.code),
	}))})
}

// messagesEnvelope is that of Anthropic's API.
func (r localReply) messagesEnvelope() *structpb.Struct {
	return object(map[string]*structpb.Value{
		"type": structpb.NewStringValue("error"),
		"error": structpb.NewStructValue(object(map[string]*structpb.Value{
			"type":    structpb.NewStringValue(gateway.AnthropicType(r.likelyStatus())),
			"message": structpb.NewStringValue(r.text),
		})),
	})
}

// likelyStatus is the status of the situation, or the closest one.
func (r localReply) likelyStatus() uint32 {
	switch {
	case r.status != 0:
		return r.status
	case r.code == "upstream_timeout" || r.code == "idle_timeout":
		return http.StatusGatewayTimeout
	case strings.HasSuffix(r.code, "overloaded"):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func object(fields map[string]*structpb.Value) *structpb.Struct {
	return &structpb.Struct{Fields: fields}
}

func (r localReply) filter(e *encoder) *accesslog.AccessLogFilter {
	switch {
	case r.details != "":
		return both(r.flagged(), satisfying(e, "response.code_details.contains('"+r.details+"')"))
	case r.flags != nil:
		return r.flagged()
	}
	op := accesslog.ComparisonFilter_GE
	if r.status != 0 {
		op = accesslog.ComparisonFilter_EQ
	}
	return &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_StatusCodeFilter{
		StatusCodeFilter: &accesslog.StatusCodeFilter{Comparison: &accesslog.ComparisonFilter{
			Op:    op,
			Value: &core.RuntimeUInt32{DefaultValue: r.status, RuntimeKey: "gateway.unset"},
		}},
	}}
}

func both(a, b *accesslog.AccessLogFilter) *accesslog.AccessLogFilter {
	return &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_AndFilter{
		AndFilter: &accesslog.AndFilter{Filters: []*accesslog.AccessLogFilter{a, b}},
	}}
}

func (r localReply) flagged() *accesslog.AccessLogFilter {
	return &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_ResponseFlagFilter{
		ResponseFlagFilter: &accesslog.ResponseFlagFilter{Flags: r.flags},
	}}
}

// direct is the action of a route that answers without a backend, in the envelope of an API.
func direct(refusal *gateway.Error, in gateway.API) *route.Route_DirectResponse {
	return &route.Route_DirectResponse{DirectResponse: &route.DirectResponseAction{
		Status: uint32(refusal.Status), Body: inline(string(refusal.In(in))),
	}}
}

func inline(text string) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: text}}
}
