package provider_test

import (
	"net/http"
	"strings"
	"testing"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

const wholeAnswer = `{"choices":[{"index":0,"message":{"content":"Hello 😀"},"finish_reason":"stop"}],"usage":` + figures + `}`

func TestJSONInPlaceOfAStreamPassesAndIsRead(t *testing.T) {
	for _, begin := range []string{"", "\n", "\xEF\xBB\xBF", "\xEF\xBB\xBF \r\n\t"} {
		stream := begin + wholeAnswer
		want := carried{out: stream, answer: fromProvider, same: true}
		for i := range stream {
			if got := carry(stream, true, i).figures(); got != want {
				t.Fatalf("%q, split at %d: %+v", begin, i, got)
			}
		}
		if got := carry(stream, true, everyByte(stream)...).figures(); got != want {
			t.Errorf("%q, in bytes: %+v", begin, got)
		}
	}
}

func TestAnErrorInPlaceOfAStreamIsRead(t *testing.T) {
	for _, body := range []string{`{"error":{"message":"m","code":"overloaded"}}`, "\n{\"error\":{\"type\":\"overloaded\"}}"} {
		if got := carry(body, true, everyByte(body)...); got.answer.ErrorCode != "overloaded" || got.out != body {
			t.Errorf("%q: %+v", body, got)
		}
	}
}

func TestAStreamInPlaceOfJSONIsRead(t *testing.T) {
	const stream = role + hello + stop + usage + done
	for _, begin := range []string{"", "\n", "\xEF\xBB\xBF", ": ping\n\n", "id: 1\n", "event: x\n", "retry: 5\n"} {
		for _, end := range []string{"\n", "\r\n", "\r"} {
			body := strings.ReplaceAll(begin+stream, "\n", end)
			got := provider.OpenAI{Preview: 20}.ReadAnswer(asked(gateway.ChatCompletions), gateway.PromptText{}, http.StatusOK, []byte(body))
			if figuresOf(got) != fromProvider || !got.Complete {
				t.Errorf("%q, %q: %+v", begin, end, got)
			}
		}
	}
}

func TestOfAnEndlessBodyInPlaceOfAStreamLittleIsKept(t *testing.T) {
	s := provider.OpenAI{Preview: 20}.NewStream(asked(gateway.ChatCompletions), gateway.PromptText{}, true)
	defer s.Close()
	s.Next([]byte(`{"choices":[{"message":{"content":"Hello 😀"}}],"x":"`), false)
	piece := []byte(strings.Repeat("x", 1<<20))
	for range 64 {
		if _, same := s.Next(piece, false); !same {
			t.Fatal("a piece was changed")
		}
	}
	if a := s.Answer(false); a.Text != "Hello 😀" || a.Source != gateway.Estimated {
		t.Errorf("answer %+v", a)
	}
}
