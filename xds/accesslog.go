package xds

import (
	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	fileaccesslog "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// accessLogs is the journal, where one is written.
func (c Config) accessLogs(e *encoder) []*accesslog.AccessLog {
	if c.Journal == "" {
		return nil
	}
	return []*accesslog.AccessLog{c.accessLog(e)}
}

// accessLog is the journal: one JSON line a planned request, written by Envoy
// itself, so it is there also when the gateway process is not. It holds no query
// strings, bodies or keys.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
func (c Config) accessLog(e *encoder) *accesslog.AccessLog {
	line := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for key, operator := range map[string]string{
		"id":             "%DYNAMIC_METADATA(" + planNamespace + ":id)%",
		"usage":          "%DYNAMIC_METADATA(" + seenNamespace + ":usage)%",
		"tries":          "%DYNAMIC_METADATA(" + seenNamespace + ":tries)%",
		"status":         "%RESPONSE_CODE%",
		"duration_ms":    "%DURATION%",
		"ttft_ms":        "%RESPONSE_DURATION%",
		"attempts":       "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
		"backend":        "%UPSTREAM_CLUSTER_RAW%",
		"bytes_sent":     "%BYTES_SENT%",
		"bytes_received": "%BYTES_RECEIVED%",
		"flags":          "%RESPONSE_FLAGS%",
		"details":        "%RESPONSE_CODE_DETAILS%",
	} {
		line.Fields[key] = structpb.NewStringValue(operator)
	}
	return &accesslog.AccessLog{
		Name: "journal",
		Filter: &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_MetadataFilter{
			MetadataFilter: &accesslog.MetadataFilter{Matcher: hasPlan(), MatchIfKeyNotFound: wrapperspb.Bool(false)},
		}},
		ConfigType: &accesslog.AccessLog_TypedConfig{TypedConfig: e.any(&fileaccesslog.FileAccessLog{
			Path: c.Journal,
			AccessLogFormat: &fileaccesslog.FileAccessLog_LogFormat{LogFormat: &core.SubstitutionFormatString{
				Format: &core.SubstitutionFormatString_JsonFormat{JsonFormat: line},
			}},
		})},
	}
}

// hasPlan matches requests that the ext_proc service has planned. Dynamic
// metadata comes from that service alone; a client cannot set it.
func hasPlan() *matcher.MetadataMatcher {
	return &matcher.MetadataMatcher{
		Filter: planNamespace,
		Path:   []*matcher.MetadataMatcher_PathSegment{{Segment: &matcher.MetadataMatcher_PathSegment_Key{Key: "id"}}},
		Value:  &matcher.ValueMatcher{MatchPattern: &matcher.ValueMatcher_PresentMatch{PresentMatch: true}},
	}
}
