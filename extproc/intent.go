package extproc

import (
	"encoding/json"
	"strconv"
	"time"

	"ai-gateway/gateway"
)

// appendIntent appends the JSON of an intent, as encoding/json would write it in
// substance, at a fraction of its cost.
func appendIntent(b []byte, i *gateway.Intent) []byte {
	id, _ := i.ID.MarshalText() // never fails
	b = append(b, `{"id":"`...)
	b = append(b, id...)
	b = appendField(b, "request_id", i.RequestID)
	b = append(b, `","started_at":"`...)
	b = i.StartedAt.AppendFormat(b, time.RFC3339Nano)
	b = appendField(b, "key_id", string(i.KeyID))
	b = appendField(b, "key_label", i.KeyLabel)
	if i.UserID != "" {
		b = appendField(b, "user_id", i.UserID)
	}
	b = appendField(b, "client_ip", i.ClientIP)
	b = appendField(b, "endpoint", i.Endpoint.Path())
	b = appendField(b, "model", string(i.Model))
	b = append(b, `","steps":[`...)
	for n, step := range i.Steps {
		b = appendStep(b, n, step)
	}
	b = append(b, `],"stream":`...)
	b = strconv.AppendBool(b, i.Stream)
	b = append(b, `,"prompt_tokens":`...)
	b = strconv.AppendInt(b, i.PromptTokens, 10)
	return append(b, '}')
}

func appendStep(b []byte, n int, s gateway.Step) []byte {
	if n > 0 {
		b = append(b, ',')
	}
	b = append(b, `{"backend":"`...)
	b = appendQuotable(b, s.Backend)
	b = appendField(b, "upstream_model", string(s.UpstreamModel))
	return append(b, `"}`...)
}

// appendField ends the string before it and appends a field whose string it leaves open.
func appendField(b []byte, name, value string) []byte {
	b = append(b, `","`...)
	b = append(b, name...)
	b = append(b, `":"`...)
	return appendQuotable(b, value)
}

// appendQuotable appends the inside of a JSON string.
func appendQuotable(b []byte, value string) []byte {
	if plain(value) {
		return append(b, value...)
	}
	quoted, _ := json.Marshal(value) // a string always marshals
	return append(b, quoted[1:len(quoted)-1]...)
}

// plain reports whether a string stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// printable reports whether b holds nothing but printable ASCII characters.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

const maxRequestID = 128

// validRequestID reports whether a label is at most 128 of [A-Za-z0-9._-].
func validRequestID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
