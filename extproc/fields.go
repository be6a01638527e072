package extproc

import "google.golang.org/protobuf/encoding/protowire"

// Field numbers of the messages that this package reads and writes, named after their messages and
// fields.
// Source: https://github.com/envoyproxy/envoy/blob/v1.40.0/api/envoy/service/ext_proc/v3/external_processor.proto
const (
	httpBodyBody        protowire.Number = 1
	httpBodyEndOfStream protowire.Number = 2

	httpHeadersHeaders     protowire.Number = 1
	httpHeadersEndOfStream protowire.Number = 3

	// of ProcessingResponse
	responseImmediate       protowire.Number = 7
	responseDynamicMetadata protowire.Number = 8
	responseModeOverride    protowire.Number = 9

	// of HeadersResponse and BodyResponse
	replyCommonResponse protowire.Number = 1

	commonHeaderMutation  protowire.Number = 2
	commonBodyMutation    protowire.Number = 3
	commonClearRouteCache protowire.Number = 5

	headerMutationSetHeaders    protowire.Number = 1
	headerMutationRemoveHeaders protowire.Number = 2

	bodyMutationBody      protowire.Number = 1
	bodyMutationClearBody protowire.Number = 2

	immediateStatus  protowire.Number = 1
	immediateHeaders protowire.Number = 2
	immediateBody    protowire.Number = 3
	immediateDetails protowire.Number = 5
)

// Of envoy.config.core.v3 and envoy.type.v3.
// Source: https://github.com/envoyproxy/envoy/blob/v1.40.0/api/envoy/config/core/v3/base.proto
const (
	headerMapHeaders protowire.Number = 1

	headerValueKey      protowire.Number = 1
	headerValueValue    protowire.Number = 2
	headerValueRawValue protowire.Number = 3

	headerOptionHeader       protowire.Number = 1
	headerOptionAppendAction protowire.Number = 3

	httpStatusCode protowire.Number = 1
)

// Of ProcessingMode.
// Source: https://github.com/envoyproxy/envoy/blob/v1.40.0/api/envoy/extensions/filters/http/ext_proc/v3/processing_mode.proto
const (
	modeRequestHeaders   protowire.Number = 1
	modeResponseHeaders  protowire.Number = 2
	modeRequestBody      protowire.Number = 3
	modeResponseBody     protowire.Number = 4
	modeRequestTrailers  protowire.Number = 5
	modeResponseTrailers protowire.Number = 6
)

// Of google.protobuf.Struct, Value and ListValue.
// Source: https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/struct.proto
const (
	structFields    protowire.Number = 1
	entryKey        protowire.Number = 1 // of any map
	entryValue      protowire.Number = 2
	valueNumber     protowire.Number = 2
	valueString     protowire.Number = 3
	valueStruct     protowire.Number = 5
	valueList       protowire.Number = 6
	listValueValues protowire.Number = 1
)

// A tag is a field's number and its wire type. A field of another type than declared is an
// unknown field to protobuf, so both count.

func bytesTag(n protowire.Number) uint64  { return protowire.EncodeTag(n, protowire.BytesType) }
func varintTag(n protowire.Number) uint64 { return protowire.EncodeTag(n, protowire.VarintType) }
