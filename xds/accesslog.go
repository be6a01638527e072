package xds

import (
	"strconv"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	fileaccesslog "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ai-gateway/gateway"
)

// accessLogs is the journal, if one is configured.
func (c Config) accessLogs(e *encoder) []*accesslog.AccessLog {
	if c.Journal == "" {
		return nil
	}
	return []*accesslog.AccessLog{c.accessLog(e)}
}

// accessLog is the journal: one JSON line for each planned request. Envoy writes it, so it works
// while the gateway process is down. It holds no query strings, bodies or keys, and no headers
// except those of the client's trace.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
func (c Config) accessLog(e *encoder) *accesslog.AccessLog {
	line := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for key, operator := range map[string]string{
		gateway.LineVersion:   strconv.Itoa(gateway.AccessLogVersion),
		gateway.LineID:        metadata(gateway.PlanNamespace, gateway.PlanID),
		gateway.LineUsage:     metadata(gateway.SeenNamespace, gateway.SeenUsage),
		gateway.LineTries:     metadata(gateway.SeenNamespace, gateway.SeenTries),
		gateway.LineStatus:    "%RESPONSE_CODE%",
		gateway.LineDuration:  "%DURATION%",
		gateway.LineTTFT:      "%RESPONSE_DURATION%",
		gateway.LineAttempts:  "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
		gateway.LineBackend:   "%UPSTREAM_CLUSTER_RAW%",
		gateway.LineBytesSent: "%BYTES_SENT%",
		gateway.LineFlags:     "%RESPONSE_FLAGS%",
		gateway.LineParent:    "%REQ(TRACEPARENT):64%",
		gateway.LineState:     "%REQ(TRACESTATE):512%",
		"bytes_received":      "%BYTES_RECEIVED%",
		"details":             "%RESPONSE_CODE_DETAILS%",
	} {
		line.Fields[key] = structpb.NewStringValue(operator)
	}
	return &accesslog.AccessLog{
		Name: "journal",
		Filter: &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_MetadataFilter{
			MetadataFilter: &accesslog.MetadataFilter{Matcher: planHas(gateway.PlanID), MatchIfKeyNotFound: wrapperspb.Bool(false)},
		}},
		ConfigType: &accesslog.AccessLog_TypedConfig{TypedConfig: e.any(&fileaccesslog.FileAccessLog{
			Path: c.Journal,
			AccessLogFormat: &fileaccesslog.FileAccessLog_LogFormat{LogFormat: &core.SubstitutionFormatString{
				Format: &core.SubstitutionFormatString_JsonFormat{JsonFormat: line},
			}},
		})},
	}
}

// metadata is Envoy's command for a value of the dynamic metadata.
func metadata(namespace, key string) string {
	return "%DYNAMIC_METADATA(" + namespace + ":" + key + ")%"
}

// planHas matches requests whose plan has a key: all plans have gateway.PlanID. Dynamic
// metadata comes from the ext_proc service alone; a client cannot set it.
func planHas(key string) *matcher.MetadataMatcher {
	return &matcher.MetadataMatcher{
		Filter: gateway.PlanNamespace,
		Path:   []*matcher.MetadataMatcher_PathSegment{{Segment: &matcher.MetadataMatcher_PathSegment_Key{Key: key}}},
		Value:  &matcher.ValueMatcher{MatchPattern: &matcher.ValueMatcher_PresentMatch{PresentMatch: true}},
	}
}
