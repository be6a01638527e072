package main

import (
	"strings"

	"ai-gateway/gateway"
)

// typed is an event that names its type twice, as OpenAI's responses and Anthropic's messages do.
func typed(kind, members string) string {
	return "event: " + kind + "\ndata: {\"type\":\"" + kind + "\"," + members + "}\n\n"
}

// Events with which streams begin, bring text and end.
var (
	created   = typed("response.created", `"response":{"id":"resp_1","object":"response","status":"in_progress","error":null,"output":[],"service_tier":"auto","usage":null},"sequence_number":0`)
	itemAdded = typed("response.output_item.added", `"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","content":[],"role":"assistant"},"sequence_number":1`)
	textDelta = typed("response.output_text.delta", `"item_id":"msg_1","output_index":0,"content_index":0,"delta":"a \"usage\": {\\ \"error\"","logprobs":[],"sequence_number":2`)
	start     = typed("message_start", `"message":{"id":"msg_1","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":2000,"cache_read_input_tokens":700,"cache_creation":{"ephemeral_5m_input_tokens":1500,"ephemeral_1h_input_tokens":500},"output_tokens":1,"service_tier":"standard"}}`)
	block     = typed("content_block_start", `"index":0,"content_block":{"type":"text","text":""}`) + "event: ping\ndata: {\"type\": \"ping\"}\n\n"
	blockText = typed("content_block_delta", `"index":0,"delta":{"type":"text_delta","text":"a \"usage\": {\\ \"message_stop\""}`) + typed("content_block_stop", `"index":0`)
	stopped   = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
)

// lastEvent is the last event of a response, with its output again.
func lastEvent(kind, members string) string {
	return typed(kind, `"response":{"id":"resp_1","object":"response","output":[{"type":"message","content":[{"type":"output_text","text":"`+strings.Repeat(`a\"}`, 5000)+`"}]}],`+members+`},"sequence_number":9`)
}

const responseUsage = `"usage":{"input_tokens":2117,"input_tokens_details":{"cached_tokens":1024},"output_tokens":419,"output_tokens_details":{"reasoning_tokens":320},"total_tokens":2536}`

// typedTellings are answers of the endpoints whose streams have events of many types.
func typedTellings() []told {
	response := gateway.Usage{Prompt: 2117, Cached: 1024, Completion: 419, Reasoning: 320}
	message := gateway.Usage{Prompt: 2725, Cached: 700, CacheWrite: 2000, CacheWriteHour: 500, Completion: 15}
	searched := message
	searched.Prompt, searched.Completion, searched.ServerTools = 12725, 510, 3
	return []told{
		{"a response", gateway.Responses, `{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"output":[{"type":"reasoning","summary":[]},{"type":"message","content":[{"type":"output_text","text":"a"}]}],"service_tier":"default",` + responseUsage + `}`,
			heard{Usage: response, Tier: "default"}.at("resp_1", gateway.ResponseEnded)},
		{"a response that failed", gateway.Responses, `{"object":"response","status":"failed","error":{"code":"server_error","message":"no"},"output":[],"usage":null}`, heard{Failed: true, Missing: true}.at("", gateway.ResponseFailed)},
		{"a response that is still made", gateway.Responses, `{"object":"response","status":"queued","error":null,"output":[],"usage":null}`, heard{}.at("", gateway.ResponseRuns)},
		{"a response without a state", gateway.Responses, `{"object":"response","output":[]}`, heard{Missing: true}},
		{"a refused response", gateway.Responses, `{"error":{"message":"no","type":"invalid_request_error","code":"model_not_found"}}`, heard{Failed: true, Missing: true}},
		{"a stream of a response", gateway.Responses, created + itemAdded + textDelta + textDelta + lastEvent("response.completed", `"status":"completed","error":null,"service_tier":"flex",`+responseUsage),
			heard{Usage: response, Tier: "flex", Ended: true}.at("resp_1", gateway.ResponseEnded)},
		{"a stream of a response that is too short", gateway.Responses, created + itemAdded + textDelta + lastEvent("response.incomplete", `"incomplete_details":{"reason":"max_output_tokens"},"error":null,`+responseUsage),
			heard{Usage: response, Tier: "auto", Ended: true}.at("resp_1", gateway.ResponseEnded)},
		{"a stream of a response that failed", gateway.Responses, created + typed("response.failed", `"response":{"error":{"code":"rate_limit_exceeded","message":"no"},"output":[],"usage":null}`),
			heard{Failed: true, Missing: true, Tier: "auto", Ended: true}.at("resp_1", gateway.ResponseFailed)},
		{"an error in a stream of a response", gateway.Responses, created + itemAdded + textDelta + typed("error", `"code":"server_error","message":"no","param":null,"sequence_number":3`), heard{Failed: true, Tier: "auto"}.at("resp_1", gateway.ResponseRuns)},
		{"a stream of a response that broke off", gateway.Responses, created + itemAdded + textDelta, heard{Tier: "auto"}.at("resp_1", gateway.ResponseRuns)},
		{"a response that began", gateway.Responses, created, heard{Missing: true, Tier: "auto"}.at("resp_1", gateway.ResponseRuns)},
		{"a response with its type behind it", gateway.Responses, itemAdded + event(`{"response":{`+responseUsage+`},"type":"response.completed"}`), heard{Usage: response, Ended: true}.at("", gateway.ResponseEnded)},
		{"a usage beside a response", gateway.Responses, itemAdded + event(`{"item":{"usage":{"input_tokens":9,"output_tokens":9}},"x":{`+responseUsage+`}}`), heard{}},
		{"a failure whose type is replaced", gateway.Responses, itemAdded + event(`{"type": "response.failed","type":{"error":1}}`), heard{}},
		{"a failure of two types", gateway.Responses, itemAdded + event(`{"type":"response.completed","response":{},"type":"response.failed"}`), heard{Failed: true, Ended: true}.at("", gateway.ResponseFailed)},
		{"a failure without a response", gateway.Responses, itemAdded + event(`{"type":"response.failed"}`), heard{Failed: true, Ended: true}.at("", gateway.ResponseFailed)},
		{"a response of a chat", gateway.Responses, `{"choices":[{"message":{"content":"a"}}]}`, heard{Missing: true}},

		{"a message", gateway.Messages, `{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn","usage":{"input_tokens":25,"cache_creation_input_tokens":2000,"cache_read_input_tokens":700,"cache_creation":{"ephemeral_5m_input_tokens":1500,"ephemeral_1h_input_tokens":500},"output_tokens":15,"service_tier":"standard"}}`,
			heard{Usage: message, Tier: "standard"}},
		{"a message of nothing", gateway.Messages, `{"type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":25,"output_tokens":0}}`, usage(gateway.Usage{Prompt: 25})},
		{"a message all from the cache", gateway.Messages, `{"type":"message","content":[],"usage":{"input_tokens":0,"cache_read_input_tokens":700,"output_tokens":3}}`, usage(gateway.Usage{Prompt: 700, Cached: 700, Completion: 3})},
		{"more for an hour than was written", gateway.Messages, `{"content":[{}],"usage":{"input_tokens":5,"cache_creation_input_tokens":7,"cache_creation":{"ephemeral_1h_input_tokens":8},"output_tokens":3}}`,
			usage(gateway.Usage{Prompt: 12, CacheWrite: 7, Completion: 3})},
		{"a refused message", gateway.Messages, `{"type":"error","error":{"type":"rate_limit_error","message":"no"},"request_id":"req_1"}`, heard{Failed: true, Missing: true}},
		{"a stream of a message", gateway.Messages, start + block + blockText + typed("message_delta", `"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}`) + stopped,
			heard{Usage: message, Tier: "standard", Ended: true}},
		{"a stream of a message with all counts again", gateway.Messages, start + block + blockText +
			typed("message_delta", `"delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":25,"cache_creation_input_tokens":2000,"cache_read_input_tokens":700,"output_tokens":15}`) + stopped,
			heard{Usage: message, Tier: "standard", Ended: true}},
		{"a stream of a message that has searched", gateway.Messages, start + block + blockText +
			typed("message_delta", `"delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":10025,"cache_creation_input_tokens":null,"output_tokens":510,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1}}`) + stopped,
			heard{Usage: searched, Tier: "standard", Ended: true}},
		{"counts that get smaller", gateway.Messages, start + block + typed("message_delta", `"delta":{},"usage":{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":15}`) +
			typed("message_delta", `"delta":{},"usage":{"output_tokens":7}`) + stopped, heard{Usage: message, Tier: "standard", Ended: true}},
		{"a message whose conversation was made shorter", gateway.Messages, `{"type":"message","content":[{"type":"compaction","content":"a"},{"type":"text","text":"b"}],"usage":{"input_tokens":23000,"output_tokens":1000,` +
			`"iterations":[{"type":"compaction","input_tokens":180000,"output_tokens":3500},{"type":"message","input_tokens":23000,"output_tokens":1000}]}}`, usage(gateway.Usage{Prompt: 203000, Completion: 4500})},
		{"a conversation made shorter without a message", gateway.Messages, `{"type":"message","content":[{"type":"compaction","content":"a"}],"usage":{"iterations":[{"type":"compaction","input_tokens":100,"cache_read_input_tokens":800,` +
			`"cache_creation_input_tokens":70,"cache_creation":{"ephemeral_1h_input_tokens":60},"output_tokens":35}],"input_tokens":0,"output_tokens":0}}`,
			usage(gateway.Usage{Prompt: 970, Cached: 800, CacheWrite: 70, CacheWriteHour: 60, Completion: 35})},
		{"a stream of a message that took advice", gateway.Messages, start + block + blockText + typed("message_delta", `"delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":25,"output_tokens":531,"iterations":[`+
			`{"type":"message","input_tokens":25,"cache_read_input_tokens":700,"cache_creation_input_tokens":2000,"output_tokens":89},{"type":"advisor_message","model":"claude-opus-4-6","input_tokens":823,"output_tokens":1612},`+
			`{"type":"message","input_tokens":1348,"output_tokens":442}]}`) + stopped,
			heard{Usage: gateway.Usage{Prompt: 4896, Cached: 700, CacheWrite: 2000, CacheWriteHour: 500, Completion: 2143}, Tier: "standard", Ended: true}},
		{"a message of one run", gateway.Messages, `{"type":"message","content":[{}],"usage":{"input_tokens":25,"output_tokens":15,"output_tokens_details":{"thinking_tokens":7},"iterations":[{"type":"message","input_tokens":25,"output_tokens":15}]}}`,
			usage(gateway.Usage{Prompt: 25, Completion: 15, Reasoning: 7})},
		{"a message in fast mode", gateway.Messages, `{"type":"message","content":[{}],"usage":{"input_tokens":25,"output_tokens":15,"speed":"fast","service_tier":"standard"}}`,
			heard{Usage: gateway.Usage{Prompt: 25, Completion: 15}, Tier: "fast"}},
		{"a message that broke off", gateway.Messages, start + block + blockText, heard{Tier: "standard"}},
		{"a message that began", gateway.Messages, start, heard{Missing: true, Tier: "standard"}},
		{"an error in a stream of a message", gateway.Messages, start + block + blockText + typed("error", `"error":{"type":"overloaded_error","message":"Overloaded"}`), heard{Failed: true, Tier: "standard"}},
		{"a message of a server that tells all at the end", gateway.Messages, typed("message_start", `"message":{"usage":{"input_tokens":0,"output_tokens":0}}`) + block + blockText +
			typed("message_delta", `"delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":31,"output_tokens":17}`) + stopped, heard{Usage: gateway.Usage{Prompt: 31, Completion: 17}, Ended: true}},
		{"data after the end of a message", gateway.Messages, start + block + typed("message_delta", `"usage":{"output_tokens":15}`) + stopped + typed("message_delta", `"usage":{"output_tokens":9999}`),
			heard{Usage: message, Tier: "standard", Ended: true}},

		{"a conversation made shorter", gateway.Compact, `{"id":"resp_1","object":"response.compaction","output":[{"type":"compaction","encrypted_content":"AAAA"}],` + responseUsage + `}`, heard{Usage: response}.at("resp_1", 0)},
		{"a response that is fetched", gateway.FetchResponse, `{"id":"resp_1","object":"response","status":"completed","error":null,"output":[{"type":"message","content":[]}],"service_tier":"flex",` + responseUsage + `}`,
			heard{Usage: response, Tier: "flex"}.at("resp_1", gateway.ResponseEnded)},
		{"a response that is made while it is fetched", gateway.FetchResponse, `{"id":"resp_1","status":"in_progress","output":[],"usage":null}`, heard{}.at("resp_1", gateway.ResponseRuns)},
		{"a failed response that is fetched", gateway.FetchResponse, `{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"no"},"output":[],"usage":null}`, heard{}.at("resp_1", gateway.ResponseFailed)},
		{"a response that is cancelled", gateway.CancelResponse, `{"id":"resp_1","status":"cancelled","output":[],"usage":null}`, heard{}.at("resp_1", gateway.ResponseCancelled)},
		{"a response that is not found", gateway.FetchResponse, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}`, heard{Failed: true, Missing: true}},
		{"the events of a response that is fetched", gateway.FetchResponse, created + itemAdded + textDelta + lastEvent("response.completed", `"status":"completed","error":null,"service_tier":"flex",`+responseUsage),
			heard{Usage: response, Tier: "flex", Ended: true}.at("resp_1", gateway.ResponseEnded)},
		{"the last events of a response that is fetched", gateway.FetchResponse, textDelta + typed("response.failed", `"response":{"id":"resp_1","status":"failed","error":{"code":"server_error"},"output":[]}`),
			heard{Ended: true}.at("resp_1", gateway.ResponseFailed)},
		{"an id that JSON escapes", gateway.Responses, `{"id":"resp\u005f1","status":"queued"}`, heard{}.at("", gateway.ResponseRuns)},
		{"an id with a blank", gateway.Responses, `{"id":"resp 1","status":"queued"}`, heard{}.at("", gateway.ResponseRuns)},
		{"an id of all that may be in one", gateway.Responses, `{"id":"!#$%&'()*+,-./09:;<=>?@AZ[]^_` + "`" + `az{|}~","status":"queued"}`, heard{}.at("!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", gateway.ResponseRuns)},
		{"an id that is too long", gateway.Responses, `{"id":"` + strings.Repeat("r", 257) + `","status":"queued"}`, heard{}.at("", gateway.ResponseRuns)},
		{"the longest id", gateway.Responses, `{"id":"` + strings.Repeat("r", 256) + `","status":"queued"}`, heard{}.at(strings.Repeat("r", 256), gateway.ResponseRuns)},
		{"the input of a response", gateway.ResponseInput, `{"object":"list","data":[{"id":"msg_1","status":"completed"}],"first_id":"msg_1","last_id":"msg_1","has_more":false}`, heard{}},
		{"a response that is deleted", gateway.DeleteResponse, `{"id":"resp_1","object":"response","deleted":true}`, heard{}},
		{"no answer to a fetch", gateway.FetchResponse, `{}`, heard{Missing: true}},
		{"a count of a response's tokens", gateway.InputTokens, `{"object":"response.input_tokens","input_tokens":11}`, heard{}},
		{"a count of tokens", gateway.CountTokens, `{"input_tokens":2095}`, heard{}},
		{"no count of tokens", gateway.CountTokens, `{}`, heard{Missing: true}},
	}
}

// at is what a witness makes of an answer that tells of a response.
func (h heard) at(id string, state gateway.ResponseState) heard {
	h.Response, h.State = id, state
	return h
}

// endsTyped reports whether a stream announces its end by the type of an event.
func endsTyped(e gateway.Endpoint, body string) bool {
	switch e {
	case gateway.Responses, gateway.FetchResponse:
		return strings.Contains(body, `"type":"response.completed"`) || strings.Contains(body, `"type":"response.incomplete"`) || strings.Contains(body, `"type":"response.failed"`)
	case gateway.Messages:
		return strings.Contains(body, `"type":"message_stop"`)
	}
	return false
}
