package provider

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// maxModel is the longest model id that is accepted, in bytes.
const maxModel = 256

// ReadRequest reads a request's body in one pass. It accepts exactly one JSON object
// (RFC 8259) that says without ambiguity which model it wants and whether it streams;
// anything else is refused with a *gateway.Error of status 400 that says what is
// wrong and where.
func (d OpenAI) ReadRequest(e gateway.Endpoint, body []byte) (gateway.Request, error) {
	var first [8]said
	r := requestReader{cursor: cursor{data: body, strict: true, said: first[:0]}, endpoint: e, prompt: promptName(e)}
	if e == gateway.Passed {
		return r.passed()
	}
	r.read()
	if err := r.refused(); err != nil {
		return gateway.Request{}, err
	}
	r.request.PromptTokens = max(1, tokensIn(r.textBytes)+r.tokens)
	if n := max(r.answers, 1) * max(r.prompts, 1); n > 1 && e != gateway.Embeddings {
		r.request.Answers = min(n, gateway.MaxTokens)
	}
	p := preview{limit: d.Preview}
	p.addContent(r.preview)
	r.request.Prompt = p.String()
	r.request.Text = r.text()
	r.request.UsageWanted = r.request.UsageWanted || r.isTyped() // whose streams always report usage
	return r.request, nil
}

// text is the kept part of the prompt, in one copy.
func (r *requestReader) text() gateway.PromptText {
	all := joined(r.said)
	text := gateway.PromptText{Texts: sample(all), Bytes: int64(len(all)), Tokens: r.tokens + r.format, Other: r.other}
	if r.echo.asked {
		text.Echoes, text.Mute = max(r.echo.answers, 1), r.echo.mute
	}
	return text
}

// isTyped reports whether the request is for an endpoint whose streams have events of many types.
func (r *requestReader) isTyped() bool {
	return r.endpoint.IsResponses() || r.endpoint.API() == gateway.AnthropicAPI
}

// promptName returns the name of the member that holds an endpoint's prompt.
func promptName(e gateway.Endpoint) string {
	switch e {
	case gateway.Completions:
		return "prompt"
	case gateway.Embeddings, gateway.Responses, gateway.Compact, gateway.InputTokens:
		return "input"
	}
	return "messages"
}

// requestReader reads one request.
type requestReader struct {
	cursor
	endpoint gateway.Endpoint
	prompt   string // the name of the prompt's member
	request  gateway.Request
	seen     struct{ model, stream, options, usage, previous, background, store bool }
	refusal  *gateway.Error // of a body that is JSON but not acceptable

	textBytes int64  // of the prompt's text
	tokens    int64  // of a prompt that is given as token numbers
	prompts   int64  // of completions
	answers   int64  // to each prompt that are made, as far as it is said
	fast      bool   // Anthropic's fast mode is asked for
	format    int64  // tokens that messages and tools take besides their texts
	preview   []byte // the value to show of the prompt

	echo struct { // of completions
		asked   bool
		answers int64 // to each prompt; 0 if it is not said
		mute    bool  // no tokens are to be made
	}
}

// Codes of refusals; all but the first two are OpenAI's own.
const (
	invalidJSON = "invalid_json"
	ambiguous   = "ambiguous_parameter"
	missing     = "missing_required_parameter"
	invalidType = "invalid_type"
	invalid     = "invalid_value"
)

// refused returns the reason to refuse the body, or nil.
func (r *requestReader) refused() error {
	switch {
	case r.refusal != nil:
		return r.refusal
	case r.fault != "":
		return gateway.BadRequest(invalidJSON, "", fmt.Sprintf("The request body is not a JSON object: %s at %s.", r.fault, r.place(r.at)))
	case !r.seen.model:
		return gateway.BadRequest(missing, "model", `You must provide a "model": the request body names none.`)
	}
	return nil
}

// refuse stops reading a body that a parameter makes unacceptable.
func (r *requestReader) refuse(at int, code, param, reason string) {
	if r.fault == "" {
		r.refusal = gateway.BadRequest(code, param, fmt.Sprintf("Invalid %q: %s, at %s.", param, reason, r.place(at)))
		r.fail(at, reason)
	}
}

// place describes an offset for people.
func (c *cursor) place(at int) string {
	before := c.data[:at]
	line := bytes.Count(before, []byte{'\n'}) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("line %d, column %d (byte %d)", line, column, at)
}

func (r *requestReader) read() {
	if bytes.HasPrefix(r.data, []byte(byteOrderMark)) {
		r.fail(0, "it begins with a byte order mark, which JSON does not allow,")
		return
	}
	switch {
	case len(r.data) == 0:
		r.fail(0, "it is empty,")
		return
	case r.kind() != '{':
		r.expected(r.pos, "'{'")
		return
	}
	for r.enter(); r.more('}'); {
		r.member()
	}
	if r.fast {
		r.request.ServiceTier = gateway.FastTier
	}
	r.end()
}

// member reads one member of the body.
func (r *requestReader) member() {
	r.kind()
	at := r.pos
	name := r.name()
	switch {
	case r.isMember(name, "model", at, &r.seen.model):
		r.readModel()
	case r.isMember(name, "stream", at, &r.seen.stream):
		r.request.Stream = r.boolean("stream")
	case r.isMember(name, "stream_options", at, &r.seen.options):
		r.readStreamOptions()
	case (r.prompt == "messages" || r.endpoint.IsResponses()) && (string(name) == "tools" || string(name) == "functions"):
		r.readTools()
	case r.isTyped() && (string(name) == "system" || string(name) == "instructions"):
		r.textBytes += r.texts([]byte("content"))
	case r.endpoint.IsResponses() && r.isMember(name, "previous_response_id", at, &r.seen.previous):
		r.readPrevious()
	case r.endpoint == gateway.Responses && r.isMember(name, "background", at, &r.seen.background):
		r.request.Background = r.boolean("background")
	case r.endpoint == gateway.Responses && r.isMember(name, "store", at, &r.seen.store):
		r.request.Unstored = r.kind() == 'f'
		r.boolean("store")
	case string(name) == "service_tier":
		r.request.ServiceTier = r.serviceTier()
	case string(name) == "speed" && r.endpoint == gateway.Messages:
		r.fast = string(r.value()) == `"fast"` || r.fast
	case r.prompt == "prompt" && r.readEcho(name):
	case string(name) == "max_tokens" || string(name) == "max_completion_tokens" || string(name) == "max_output_tokens":
		n, _ := r.count()
		r.boundAnswer(n)
	case string(name) == "n":
		n, _ := r.count()
		r.answers = max(r.answers, n)
	case string(name) != r.prompt:
		r.skip()
	case r.prompt == "messages" || r.endpoint.IsResponses() && r.kind() == '[':
		r.readMessages()
	default:
		r.readPrompt()
	}
}

// readEcho reads the members that decide whether a completion repeats the prompt, and reports
// whether the member is one of them.
// Source: https://platform.openai.com/docs/api-reference/completions/create#completions_create-echo
func (r *requestReader) readEcho(name []byte) bool {
	switch string(name) {
	case "echo":
		r.echo.asked = r.kind() == 't'
		r.skip()
	case "n":
		n, _ := r.count()
		r.echo.answers, r.answers = n, max(r.answers, n)
	case "best_of": // all of them are billed
		n, _ := r.count()
		r.answers = max(r.answers, n)
	case "max_tokens":
		n, ok := r.count()
		r.echo.mute = ok && n == 0
		r.boundAnswer(n)
	default:
		return false
	}
	return true
}

// readPrevious reads the id of the response that the request goes on from. The gateway looks it up, so
// it must be read as the provider reads it.
func (r *requestReader) readPrevious() {
	at := r.pos
	switch r.kind() {
	case 'n':
		r.scalar('n')
		return
	case '"':
	default:
		r.refuse(r.pos, invalidType, "previous_response_id", "it must be a string or null")
		return
	}
	raw, _ := r.str()
	id := unescape(raw, maxModel)
	if !gateway.IsResponseID(id) {
		r.refuse(at, invalid, "previous_response_id", "it must be the id of a response: 1 to 256 visible ASCII characters")
		return
	}
	r.request.Previous = id
}

// isMember reports whether name names the member that the gateway acts on. It refuses a duplicate,
// and a name that differs in case only: readers disagree on which one counts, and what is
// authorised must be what is served.
func (r *requestReader) isMember(name []byte, want string, at int, seen *bool) bool {
	asC, _, _ := bytes.Cut(name, []byte{0}) // a reader in C may take a name to end at NUL
	if len(asC) < len(want) || !strings.EqualFold(string(asC), want) {
		return false
	}
	switch {
	case string(name) != want:
		r.refuse(at, ambiguous, want, fmt.Sprintf("%q must be written in lower case and without NUL", name))
	case *seen:
		r.refuse(at, ambiguous, want, "it is given twice")
	}
	*seen = true
	return true
}

func (r *requestReader) readModel() {
	b := r.kind()
	at := r.pos
	if b != '"' {
		r.refuse(at, invalidType, "model", "it must be a string")
		return
	}
	raw, size := r.str()
	r.request.ModelAt = gateway.Span{From: at, To: r.pos}
	if size == 0 || size > maxModel {
		r.refuse(at, invalid, "model", fmt.Sprintf("it must have 1 to %d bytes", maxModel))
		return
	}
	model := unescape(raw, maxModel)
	// Half a surrogate pair decodes to U+FFFD: two ids would look the same here.
	if strings.ContainsFunc(model, func(c rune) bool { return c == utf8.RuneError || unicode.IsControl(c) }) {
		r.refuse(at, invalid, "model", "it must not hold control characters, U+FFFD or half surrogate pairs")
		return
	}
	r.request.Model = gateway.Model(model)
}

// boolean reads true, false or null, which stands for false.
func (r *requestReader) boolean(param string) bool {
	b := r.kind()
	if b != 't' && b != 'f' && b != 'n' {
		r.refuse(r.pos, invalidType, param, "it must be true, false or null")
		return false
	}
	r.scalar(b)
	return b == 't'
}

// count passes any value and returns it if it is a number, from 0 to gateway.MaxTokens and a
// fraction rounded up: some providers take 100.0 for 100.
func (r *requestReader) count() (n int64, ok bool) {
	if b := r.kind(); b != '-' && !isDigit(b) {
		r.skip()
		return 0, false
	}
	f, _ := strconv.ParseFloat(string(r.number()), 64) // of what is out of range it is infinite
	return int64(math.Ceil(min(max(f, 0), gateway.MaxTokens))), true
}

// boundAnswer notes how many tokens the answer may have. Invalid values are left to the provider to
// refuse.
func (r *requestReader) boundAnswer(n int64) {
	r.request.MaxTokens = max(r.request.MaxTokens, min(n, gateway.MaxTokens))
}

func (r *requestReader) readStreamOptions() {
	switch r.kind() {
	case 'n':
		r.scalar('n')
		return
	case '{':
	default:
		r.refuse(r.pos, invalidType, "stream_options", "it must be an object or null")
		return
	}
	for r.enter(); r.more('}'); {
		r.readStreamOption()
	}
}

func (r *requestReader) readStreamOption() {
	r.kind()
	at := r.pos
	if !r.isMember(r.name(), "include_usage", at, &r.seen.usage) {
		r.skip()
		return
	}
	r.request.UsageWanted = r.boolean("stream_options.include_usage")
}

// Tokens of a chat's format, besides those of its texts.
// Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
const (
	tokensPerMessage = 3
	tokensPerName    = 1
	tokensPerReply   = 3 // that begin the reply
)

// readMessages reads a chat's messages.
func (r *requestReader) readMessages() {
	if r.kind() != '[' {
		r.skip()
		return
	}
	r.format += tokensPerReply
	for r.enter(); r.more(']'); {
		r.readMessage()
	}
}

func (r *requestReader) readMessage() {
	if r.kind() != '{' {
		r.skip()
		return
	}
	r.format += tokensPerMessage
	var role, content []byte
	for r.enter(); r.more('}'); {
		name := r.name()
		b := r.kind()
		from := r.pos
		switch {
		case string(name) == "role" && b == '"':
			role, _ = r.str()
			r.said = append(r.said, said{raw: role})
			continue
		case string(name) == "name":
			r.format += tokensPerName
		}
		if r.isTyped() && string(name) == "output" { // of a tool
			name = []byte("content")
		}
		r.textBytes += r.texts(name)
		if string(name) == "content" {
			content = r.data[from:r.pos]
		}
	}
	if string(role) == "user" && (!r.isTyped() || holdsText(content)) {
		r.preview = content
	}
}

// holdsText reports whether a message has its own text, not only results of tools.
func holdsText(content []byte) bool {
	return len(content) > 0 && (content[0] == '"' || bytes.Contains(content, []byte(`"text"`)))
}

// readPrompt reads a prompt or an input: a string, an array of strings, or one or
// more arrays of token numbers.
func (r *requestReader) readPrompt() {
	b := r.kind()
	from := r.pos
	switch {
	case b == '"':
		raw, size := r.str()
		r.said = append(r.said, said{raw: raw})
		r.textBytes += size
		r.prompts++
		if r.preview == nil {
			r.preview = r.data[from:r.pos]
		}
	case b == '[':
		r.readPrompts()
	case b == '-' || isDigit(b):
		r.number()
		r.tokens++
	default:
		r.skip()
	}
}

// readPrompts reads an array of prompts, or one prompt as an array of token numbers.
func (r *requestReader) readPrompts() {
	numbers := false
	for r.enter(); r.more(']'); {
		b := r.kind()
		numbers = numbers || b == '-' || isDigit(b)
		r.readPrompt()
	}
	if numbers {
		r.prompts++
	}
}
