// Package provider reads and edits the bytes of OpenAI's dialect: the model, the stream flag and
// the size of the prompt in a request, the usage in an answer, and both in a stream of server-sent
// events. It does not depend on Envoy and does no I/O.
//
// It has its own JSON reader, because the gateway authorises what it reads, and the provider serves
// what it reads. Common readers disagree on duplicate keys, on case and on trailing data, so such
// requests are refused. Readers that descend by recursion can also be made to exhaust the stack.
package provider

// OpenAI is the dialect of the OpenAI API.
// Source: https://platform.openai.com/docs/api-reference/chat
type OpenAI struct {
	Preview int     // runes kept of a prompt's or an answer's text; 0 keeps none
	Memory  *Memory // for unfinished events; nil for no bound
}

// bytesPerToken is the rule of thumb behind every estimate: English text has about
// four bytes a token.
// Source: https://help.openai.com/en/articles/4936856
const bytesPerToken = 4

// tokensIn estimates the tokens of a text from its size, rounded up.
func tokensIn(bytes int64) int64 { return (bytes + bytesPerToken - 1) / bytesPerToken }
