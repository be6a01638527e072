package chat

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnswersAreWhatWasAsked(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Provider().Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	for _, ask := range []Ask{{}, {Chunks: 5}, {}, {Chunks: 2, Pace: time.Millisecond}} {
		want := string(JSON())
		if ask.Chunks > 0 {
			want = strings.Repeat(string(Chunk()), ask.Chunks) + string(Tail())
		}
		if diff := cmp.Diff(want, answer(t, c, r, ask)); diff != "" {
			t.Errorf("%+v is answered with (- expected, + seen):\n%s", ask, diff)
		}
	}
}

// answer sends a request and returns the body of its answer.
func answer(t *testing.T, c net.Conn, r *bufio.Reader, ask Ask) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://fake/v1/chat/completions", strings.NewReader(string(ask.Body())))
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
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%+v: %s, %v", ask, response.Status, err)
	}
	return string(body)
}
