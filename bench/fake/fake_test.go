package fake

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"ai-gateway/bench/chat"
)

// serve runs the fake until the test ends and returns a connection to it.
func serve(t *testing.T) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() {
		stop()
		c.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestAnswersAreWhatWasAsked(t *testing.T) {
	c := serve(t)
	r := bufio.NewReader(c)
	for _, ask := range []chat.Ask{{}, {Chunks: 5}, {}, {Chunks: 2, Pace: time.Millisecond}} {
		body := string(ask.Body())
		request, err := http.NewRequest(http.MethodPost, "http://fake/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := request.Write(c); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(r, request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%+v: %s, %v", ask, response.Status, err)
		}
		want := string(chat.JSON())
		if ask.Chunks > 0 {
			want = strings.Repeat(string(chat.Chunk()), ask.Chunks) + string(chat.Tail())
		}
		if string(got) != want {
			t.Errorf("%+v is answered with %q", ask, got)
		}
	}
}

func TestWhatIsNoRequestEndsTheConnection(t *testing.T) {
	for _, text := range []string{
		"POST / HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
		"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}",
		"POST / HTTP/1.1\r\ncontent-length: 99999\r\n\r\n",
		strings.Repeat("x", 2*readBuffer),
	} {
		c := serve(t)
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Errorf("%.40q is answered with %q", text, b)
		}
	}
}
