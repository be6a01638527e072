package fakeprovider

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// GeneratedPrompt is the prompt_tokens of every generated answer; its
// completion_tokens are its chunks.
const GeneratedPrompt = 11

const (
	maxChunks = 100_000
	maxSize   = 1 << 20 // bytes of a chunk's text
)

// generator makes answers without a scenario, for load. Its model names tell how:
// "gen-chunks=50-delay=20ms-usage" streams 50 chunks, 20 ms apart, and reports its
// usage when asked for it; without "usage" it never does in a stream. "size=65536" makes
// each chunk's text so many bytes long, "token" makes it one token of OpenAI's; "keep" keeps responses,
// which are made meanwhile if they are background ones. "id=7" means nothing, and tells a model from others
// of its kind.
type generator struct {
	chunks int
	delay  time.Duration
	size   int
	usage  bool
	keep   bool
	token  bool
}

func parseGenerator(model string) (generator, bool) {
	options, ok := strings.CutPrefix(model, "gen-")
	if !ok {
		return generator{}, false
	}
	g := generator{chunks: 1}
	for option := range strings.SplitSeq(options, "-") {
		name, value, _ := strings.Cut(option, "=")
		var err error
		switch name {
		case "chunks":
			g.chunks, err = strconv.Atoi(value)
		case "delay":
			g.delay, err = time.ParseDuration(value)
		case "size":
			g.size, err = strconv.Atoi(value)
		case "usage":
			g.usage = true
		case "keep":
			g.keep = true
		case "token":
			g.token = true
		case "id":
		default:
			return generator{}, false
		}
		if err != nil {
			return generator{}, false
		}
	}
	return g, g.chunks >= 1 && g.chunks <= maxChunks && g.delay >= 0 && g.size >= 0 && g.size <= maxSize
}

func (g generator) reply(w wanted) Reply {
	if w.Stream {
		return g.stream(w)
	}
	text := ""
	for i := range g.chunks {
		text += word(i)
	}
	body := fmt.Sprintf(`{"id":"gen","object":"chat.completion","created":1,"model":%q,"choices":[{"index":0,`+
		`"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":%s}`, w.Model, text, g.figures())
	return Reply{
		Status: 200,
		Header: []Field{{"content-type", "application/json"}, {"content-length", "auto"}},
		Body:   []Piece{{Wait: g.delay, Bytes: []byte(body)}},
	}
}

// word is a chunk's content: each is different, so that a lost or repeated one is noticed.
func word(i int) string { return "w" + strconv.Itoa(i) + " " }

func (g generator) figures() string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, GeneratedPrompt, g.chunks, GeneratedPrompt+g.chunks)
}

func (g generator) stream(w wanted) Reply {
	r := Reply{Status: 200, Header: []Field{{"content-type", "text/event-stream"}}}
	large := g.chunk(w, strings.Repeat("It is all work and no play. ", g.size/28+1)[:g.size])
	for i := range g.chunks {
		piece := Piece{Wait: g.delay, Bytes: large}
		if g.size == 0 {
			piece.Bytes = g.chunk(w, g.word(i))
		}
		r.Body = append(r.Body, piece)
	}
	last := event(w.Model, `{"index":0,"delta":{},"finish_reason":"stop"}`, "")
	if g.usage && w.StreamOptions.IncludeUsage {
		last = append(last, event(w.Model, "", `,"usage":`+g.figures())...)
	}
	last = append(last, "data: [DONE]\n\n"...)
	r.Body = append(r.Body, Piece{Wait: g.delay, Bytes: last})
	return r
}

func (g generator) chunk(w wanted, text string) []byte {
	return event(w.Model, fmt.Sprintf(`{"index":0,"delta":{"content":%q},"finish_reason":null}`, text), "")
}

func event(model, choice, more string) []byte {
	return fmt.Appendf(nil, `data: {"id":"gen","object":"chat.completion.chunk","created":1,"model":%q,"choices":[%s]%s}`+"\n\n", model, choice, more)
}
