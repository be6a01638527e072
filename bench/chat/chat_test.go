package chat

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestWhatIsAskedArrives(t *testing.T) {
	for _, want := range []Ask{{}, {Chunks: 20}, {Chunks: 300, Pace: 20 * time.Millisecond}} {
		if got, err := ParseAsk(want.Body()); err != nil || got != want {
			t.Errorf("%+v arrives as %+v, %v", want, got, err)
		}
	}
	for _, body := range []string{"", "{}", `{"user":"chunks=x pace=1s"}`, `{"user":"chunks=1 pace=x"}`} {
		if got, err := ParseAsk([]byte(body)); err == nil {
			t.Errorf("%q arrives as %+v", body, got)
		}
	}
}

func TestRequestsAndAnswersAreJSONOfTheSizesThatAreSaid(t *testing.T) {
	between := func(what string, n, least, most int) {
		if n < least || n > most {
			t.Errorf("%s has %d bytes, want %d to %d", what, n, least, most)
		}
	}
	between("a request", len(Ask{}.Body()), 900, 1100)
	between("a streaming request", len(Ask{Chunks: 20}.Body()), 900, 1200)
	between("an answer", len(JSON()), 1000, 1200)
	between("a chunk", len(Chunk()), 180, 260)
	texts := []string{string(Ask{}.Body()), string(Ask{Chunks: 20}.Body()), string(JSON())}
	stream, ended := strings.CutSuffix(string(Chunk())+string(Tail()), End)
	if !ended {
		t.Error("a stream does not end as said")
	}
	for line := range strings.SplitSeq(strings.TrimSpace(stream), "\n\n") {
		texts = append(texts, strings.TrimPrefix(line, "data: "))
	}
	for _, text := range texts {
		if !json.Valid([]byte(text)) {
			t.Errorf("%s is no JSON", text)
		}
	}
}

func TestAnAnswersSizeIsKnown(t *testing.T) {
	if got, want := (Ask{Chunks: 3}).Size(), 3*len(Chunk())+len(Tail()); got != want {
		t.Errorf("a stream has %d bytes, want %d", got, want)
	}
	if got := (Ask{}).Size(); got != len(JSON()) {
		t.Errorf("an answer has %d bytes", got)
	}
}
