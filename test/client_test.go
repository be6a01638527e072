package test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ai-gateway/test/fakeprovider"
)

// answer is what a client sees.
type answer struct {
	status int
	header []string // "name: value", lower-case names, sorted
	body   string
	err    error // of reading the body to its end
}

// String writes an answer as conversations do.
func (a answer) String() string {
	text := strconv.Itoa(a.status) + "\n" + strings.Join(a.header, "\n") + "\n\n" + a.body
	if a.err != nil {
		text += "«" + a.err.Error() + "»"
	}
	return text
}

// get returns a header's value.
func (a answer) get(name string) string {
	for _, line := range a.header {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return value
		}
	}
	return ""
}

// exchange sends pieces of bytes on a connection of its own and reads one answer.
func exchange(address string, within time.Duration, pieces []fakeprovider.Piece) (answer, error) {
	conn, err := net.DialTimeout("tcp", address, within)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return answer{}, err
	}
	sent := make(chan error, 1)
	go func() { sent <- send(conn, pieces) }()
	a, err := readAnswer(bufio.NewReader(conn))
	conn.Close()
	if sending := <-sent; err != nil {
		return a, errors.Join(err, sending)
	}
	return a, nil // an answer may come before the request's end
}

func send(conn net.Conn, pieces []fakeprovider.Piece) error {
	for _, p := range pieces {
		time.Sleep(p.Wait)
		if _, err := conn.Write(p.Bytes); err != nil {
			return fmt.Errorf("sending a request: %w", err)
		}
	}
	return nil
}

func readAnswer(r *bufio.Reader) (answer, error) {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return answer{}, fmt.Errorf("reading an answer's head: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	a := answer{status: response.StatusCode, body: string(body), err: err}
	for name, values := range response.Header {
		for _, v := range values {
			a.header = append(a.header, strings.ToLower(name)+": "+v)
		}
	}
	if len(response.TransferEncoding) > 0 {
		a.header = append(a.header, "transfer-encoding: "+strings.Join(response.TransferEncoding, ","))
	}
	for name, values := range response.Trailer {
		a.header = append(a.header, "trailer "+strings.ToLower(name)+": "+strings.Join(values, ","))
	}
	slices.Sort(a.header)
	return a, nil
}

// post sends a JSON body to an endpoint.
func post(address, path, body string, header ...string) (answer, error) {
	return exchange(address, callWithin, []fakeprovider.Piece{{Bytes: requestBytes(path, body, header...)}})
}

func requestBytes(path, body string, header ...string) []byte {
	lines := append([]string{"POST " + path + " HTTP/1.1", "Host: localhost", "Content-Type: application/json",
		"Content-Length: " + strconv.Itoa(len(body))}, header...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n" + body)
}

const chatPath = "/v1/chat/completions"

func chatBody(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"Hello"}]}`, model, stream)
}
