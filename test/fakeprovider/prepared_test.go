package fakeprovider

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestWhatNoPreparedAnswerIsForEndsTheConnection asks for "ok" first, so that an answer is
// known to come.
func TestWhatNoPreparedAnswerIsForEndsTheConnection(t *testing.T) {
	p := NewPrepared(func(body []byte) (Prepared, error) {
		if string(body) != "ok" {
			return Prepared{}, errors.New("not known")
		}
		return Prepared{Head: []byte("head"), Chunk: []byte("chunk"), Chunks: 2, Pace: time.Millisecond, Tail: []byte("tail")}, nil
	})
	address := run(t, p, nil)
	const good = "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nok"
	for _, text := range []string{
		"POST / HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
		"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}",
		"POST / HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
		"POST / HTTP/1.1\r\ncontent-length: 99999\r\n\r\n",
		strings.Repeat("x", 2*preparedBuffer),
	} {
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(c, good+text); err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(c) // the connection may be reset: not all that was sent is read
		if string(b) != "headchunkchunktail" {
			t.Errorf("%.40q is answered with %q", text, b)
		}
		c.Close()
	}
}
