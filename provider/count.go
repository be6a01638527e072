package provider

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer/codec"

	"ai-gateway/gateway"
)

// encoding is one of OpenAI's tokenizers.
type encoding uint8

// The encodings of models that are still served.
const (
	o200k encoding = iota // also stands in for those of others
	cl100k
)

// codecs load an encoding's vocabulary when the first text is counted by it, which for o200k takes
// 15 ms and 6.8 MB for good, for cl100k half of that. Counting then takes 0.14 µs a byte of
// English, and at most 0.6 µs a byte of whatever there is. They are safe for concurrent use.
var codecs = [...]func() *codec.Codec{
	o200k:  sync.OnceValue(codec.NewO200kBase),
	cl100k: sync.OnceValue(codec.NewCl100kBase),
}

// families are the names of models whose encoding is known. A version, a size or the name of a
// fine-tuned model may follow after a "-" or a ":".
// Source: https://github.com/openai/tiktoken/blob/0.14.0/tiktoken/model.py
var families = [...]struct {
	name string
	encoding
}{
	{"gpt-4o", o200k}, {"chatgpt-4o", o200k}, {"gpt-4.1", o200k}, {"gpt-4.5", o200k}, {"gpt-5", o200k}, {"gpt-5.", o200k}, {"gpt-oss", o200k},
	{"o1", o200k}, {"o3", o200k}, {"o4", o200k},
	{"gpt-4", cl100k}, {"gpt-3.5-turbo", cl100k}, {"gpt-35-turbo", cl100k}, {"davinci-002", cl100k}, {"babbage-002", cl100k},
	{"text-embedding-3-small", cl100k}, {"text-embedding-3-large", cl100k}, {"text-embedding-ada-002", cl100k},
}

// knownEncoding returns the encoding of a model that is known by its name, which may follow a
// vendor's ("openai/gpt-4o") or name a fine-tuned model ("ft:gpt-4o:acme::7p4lURel").
func knownEncoding(m gateway.Model) (e encoding, known bool) {
	name := strings.TrimPrefix(string(m), "ft:")
	name = name[strings.LastIndexByte(name, '/')+1:]
	for _, family := range families {
		rest, ok := strings.CutPrefix(name, family.name)
		if ok && (rest == "" || rest[0] == '-' || rest[0] == ':' || strings.HasSuffix(family.name, ".")) {
			return family.encoding, true
		}
	}
	return o200k, false
}

// encodingOf returns how to count a request's tokens, and whether that is certain, because any of
// its steps may have served it. If a step's upstream name is unknown, as that of a deployment, the
// configured model name is a hint.
func encodingOf(i *gateway.Intent) (e encoding, certain bool) {
	hint, _ := knownEncoding(i.Model)
	for n, step := range i.Steps {
		of, known := knownEncoding(step.UpstreamModel)
		if !known {
			of = hint
		}
		if n == 0 {
			e, certain = of, true
		}
		certain = certain && known && of == e
	}
	return e, certain
}

// textEnd ends each of several texts in one string. It does not occur in UTF-8.
const textEnd = "\xFF"

// counter counts the tokens of texts. In haste it estimates them from their size.
type counter struct {
	encoding encoding
	haste    bool
}

func (c counter) count(texts string) int64 {
	if c.haste {
		return tokensIn(int64(len(texts)))
	}
	return c.encoding.count(texts)
}

// count returns the number of tokens of texts, each counted separately. Beyond maxCounted bytes it
// counts a sample.
func (e encoding) count(texts string) (tokens int64) {
	counted := sample(texts)
	for rest := counted; rest != ""; {
		piece, size := nextPiece(rest, maxPiece)
		tokens += e.countPiece(piece)
		rest = rest[size:]
	}
	return scaled(tokens, int64(len(texts)), int64(len(counted)))
}

// scaled extrapolates the tokens of a counted part to the whole.
func scaled(tokens, whole, part int64) int64 {
	if part == 0 {
		return tokens
	}
	return tokens * whole / part
}

// countPrompt returns the number of tokens of a prompt.
func (c counter) countPrompt(p gateway.PromptText) int64 {
	return scaled(c.count(p.Texts), p.Bytes, int64(len(p.Texts))) + p.Tokens
}

func (e encoding) countPiece(piece string) int64 {
	n, err := codecs[e]().Count(strings.ToValidUTF8(piece, string(utf8.RuneError)))
	if err != nil { // only possible with a time limit
		return tokensIn(int64(len(piece)))
	}
	return int64(n)
}

// How much is counted. Half a megabyte is the longest prompt or answer of most models,
// and takes 75 ms in English, 0.3 s at worst.
const (
	maxCounted = 512 << 10 // bytes
	window     = 2 << 10   // adjacent bytes of a sample
)

// sample returns texts of at most maxCounted bytes whole, and of longer ones maxCounted bytes in
// evenly spread windows. For alternating prose and code, the estimate was less than 1% off.
func sample(texts string) string {
	if len(texts) <= maxCounted {
		return texts
	}
	const windows = maxCounted / window
	step := (len(texts) + windows - 1) / windows
	var b strings.Builder
	b.Grow(maxCounted)
	for at := 0; at+window <= len(texts); at += step {
		b.WriteString(texts[at : at+window])
	}
	return b.String()
}

// maxPiece is how many bytes are counted at once. The time for a text that the encodings cannot
// split, such as a run of one letter, grows with the square of its length. Up to this size that
// does not matter.
const maxPiece = 1 << 10

// nextPiece returns at most limit bytes from the start of the first text, and how many bytes of
// texts they take up.
func nextPiece(texts string, limit int) (piece string, size int) {
	end := strings.IndexByte(texts[:min(len(texts), limit+1)], textEnd[0])
	switch {
	case end >= 0:
		return texts[:end], end + 1
	case len(texts) > limit:
		end = cut(texts, limit)
		return texts[:end], end
	}
	return texts, len(texts)
}

// cut returns the last place up to limit, but at most maxPiece before it, where both encodings
// would split a text, or else the beginning of a character near limit. Cut at such a place, two
// parts have the tokens of the whole; elsewhere mostly one token more or less.
func cut(text string, limit int) int {
	for at := limit; at > 0 && at > limit-maxPiece; {
		before, size := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[at:])
		if splits(before, after) {
			return at
		}
		at -= size
	}
	at := limit
	for at > limit-utf8.UTFMax && at > 1 && !utf8.RuneStart(text[at]) {
		at--
	}
	return at
}

// splits reports whether both encodings split any text between two characters: before
// a blank or, except for the apostrophe of "it's", before a sign that follows a letter
// or a digit.
// Source: https://github.com/openai/tiktoken/blob/0.14.0/tiktoken_ext/openai_public.py
func splits(before, after rune) bool {
	switch {
	case after == ' ' || after == '\t':
		return !unicode.IsSpace(before)
	case unicode.IsLetter(before) || unicode.IsNumber(before):
		return after != '\'' && (unicode.IsPunct(after) || unicode.IsSymbol(after))
	}
	return false
}
