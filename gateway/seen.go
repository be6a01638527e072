package gateway

import (
	"strconv"
	"strings"
)

// Seen is what the script in Envoy noted of a passing answer.
type Seen struct {
	Figures     *Figures // nil if it saw none
	ServiceTier string   // by which the provider bills; "" for none
	Complete    bool     // the stream announced its end
	Failed      bool     // the answer holds an error
	Missing     bool     // there was no answer in what came
	ErrorCode   string   // of an error; "" for none

	Response      string // the id of the response that was made or fetched; "" for none
	ResponseState ResponseState
}

// ReadSeen reads the script's note: counts, "prompt cached completion reasoning total written",
// "-" or "null" for what the provider did not tell, and then marks: "none" for no answer,
// "error=CODE", "text" for an answer before the error, "done", "tier=NAME", "hour=N" cache writes
// for an hour, "tools=N" calls of the provider's own tools, "response=ID" and "state=STATUS" of a
// response. Older gateways noted no
// marks, no cache writes and no total.
func ReadSeen(note string) Seen {
	var s Seen
	counts := 0
	words := strings.Fields(note)
	for counts < len(words) && isCount(words[counts]) {
		counts++
	}
	s.Figures = readFigures(words[:counts])
	s.readMarks(words[counts:])
	return s
}

// readDetail reads a count that a mark tells.
func (s *Seen) readDetail(of func(*Figures) *int64, text string) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && n >= 0 && n <= MaxTokens && s.Figures != nil {
		*of(s.Figures) = n
	}
}

func isCount(word string) bool {
	return word == "-" || word == "null" || '0' <= word[0] && word[0] <= '9'
}

func readFigures(words []string) *Figures {
	f := NoFigures()
	counts := [...]*int64{&f.Prompt, &f.Cached, &f.Completion, &f.Reasoning, &f.Total, &f.CacheWrite}
	if len(words) < 4 || len(words) > len(counts) {
		return nil
	}
	for i, word := range words {
		if word == "-" || word == "null" {
			continue
		}
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n > MaxTokens {
			return nil
		}
		*counts[i] = n
	}
	if f == NoFigures() {
		return nil
	}
	return &f
}

func (s *Seen) readMarks(words []string) {
	text := false
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "none":
			s.Missing = true
		case "text":
			text = true
		case "done":
			s.Complete = true
		case "tier":
			s.ServiceTier = value
		case "hour":
			s.readDetail(func(f *Figures) *int64 { return &f.CacheWriteHour }, value)
		case "tools":
			s.readDetail(func(f *Figures) *int64 { return &f.ServerTools }, value)
		case "response":
			if IsResponseID(value) {
				s.Response = value
			}
		case "state":
			s.ResponseState = ResponseStateOf(value)
		case "error":
			s.Failed, s.ErrorCode = true, value
		}
	}
	if s.Failed && s.ErrorCode == "" {
		s.ErrorCode = CodeUpstreamError
	}
	s.Missing = s.Missing || s.Failed && !text && s.Figures == nil
}
