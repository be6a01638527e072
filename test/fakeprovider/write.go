package fakeprovider

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// writer writes one reply.
type writer struct {
	*connection
	call    *Call
	ctx     context.Context // ends when the client leaves
	chunked bool
	tail    []byte // the end of what was written
}

func (w *writer) reply(r Reply) error {
	if r.Never {
		<-w.ctx.Done()
		return errLeft
	}
	if !pause(w.ctx, r.Wait) {
		return errLeft
	}
	head, chunked, closes := r.head()
	w.chunked = chunked
	if err := w.write(head); err != nil {
		return err
	}
	w.p.status(w.call, r.Status)
	for _, piece := range r.Body {
		if err := w.piece(piece); err != nil {
			return err
		}
	}
	if chunked {
		if err := w.write(lastChunk(r.Trailer)); err != nil {
			return err
		}
	}
	if closes {
		return errHungUp
	}
	return nil
}

// head is the reply's head; its body is chunked if nothing else bounds it.
func (r Reply) head() (head []byte, chunked, closes bool) {
	var b bytes.Buffer
	bounded := r.Status == http.StatusNoContent
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.Status, http.StatusText(r.Status))
	for _, f := range r.Header {
		switch strings.ToLower(f.Name) {
		case "content-length":
			bounded = true
			f.Value = strings.Replace(f.Value, "auto", strconv.Itoa(r.size()), 1)
		case "connection":
			closes = strings.EqualFold(f.Value, "close")
		}
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	chunked = !bounded && !closes
	if chunked {
		b.WriteString("transfer-encoding: chunked\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes(), chunked, closes
}

func lastChunk(trailer []Field) []byte {
	var b bytes.Buffer
	b.WriteString("0\r\n")
	for _, f := range trailer {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

func (w *writer) piece(p Piece) error {
	if !pause(w.ctx, p.Wait) {
		return errLeft
	}
	if len(p.Bytes) > 0 {
		if err := w.write(w.framed(p.Bytes)); err != nil {
			return err
		}
		w.p.sent(w.call, len(p.Bytes))
		w.keep(p.Bytes)
	}
	switch p.Then {
	case Reset:
		w.reset()
		return errHungUp
	case Close:
		return errHungUp
	}
	return nil
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (w *writer) framed(b []byte) []byte {
	if !w.chunked {
		return b
	}
	framed := strconv.AppendInt(nil, int64(len(b)), 16)
	framed = append(framed, "\r\n"...)
	framed = append(framed, b...)
	return append(framed, "\r\n"...)
}

func (w *writer) write(b []byte) error {
	if err := w.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

func (w *writer) keep(b []byte) {
	w.tail = append(w.tail, b...)
	if len(w.tail) > 2*keptTail {
		w.tail = append([]byte(nil), w.tail[len(w.tail)-keptTail:]...)
	}
}

// reset closes the connection with an RST.
func (w *writer) reset() {
	conn := w.Conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // the connection may have ended already
		conn.Close()
	}
}

func (p *Provider) status(c *Call, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Status = status
}
