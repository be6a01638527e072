package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// stream is one call of the method.
type stream struct {
	id      uint32
	handler Handler
	in      []byte // an incomplete message, with its header
	begun   bool   // the response's headers were sent
	gone    bool   // nothing is sent any more
	taken   uint32 // received bytes that were not returned to the peer's window
	window  int64  // bytes that may be sent; below 0 after the peer made it smaller
	unsent  []byte // messages for which the windows have no room

	closing bool  // its close was queued
	busy    bool  // another goroutine does its job, and further ones wait in queue
	queue   []job // bounded by the window
}

// maxMessage is more than Envoy's buffers can hold, in bytes: MaxBody bounds those.
const maxMessage = 1 << 30

var (
	errCompressed = errors.New("the message is compressed")
	errMessage    = fmt.Errorf("the message is longer than %d bytes", maxMessage)
)

// next cuts the next message off data; it is nil while the message is incomplete. The message
// is part of data or of st.in, which only grows with received bytes, not with declared lengths.
func (st *stream) next(data []byte) (msg, rest []byte, err error) {
	if len(st.in) == 0 {
		n, err := length(data)
		if err != nil {
			return nil, nil, err
		}
		if n > 0 && len(data) >= n {
			return data[messageHeaderSize:n], data[n:], nil
		}
	}
	if missing := messageHeaderSize - len(st.in); missing > 0 {
		data = st.collect(data, missing)
	}
	n, err := length(st.in)
	if err != nil || n == 0 {
		return nil, nil, err
	}
	data = st.collect(data, n-len(st.in))
	if len(st.in) < n {
		return nil, nil, nil
	}
	return st.in[messageHeaderSize:], data, nil
}

// collect takes up to n bytes of data.
func (st *stream) collect(data []byte, n int) (rest []byte) {
	n = min(n, len(data))
	st.in = append(st.in, data[:n]...)
	return data[n:]
}

// length is the length of a message with its header; 0 while it is not known.
func length(b []byte) (int, error) {
	switch {
	case len(b) > 0 && b[0] != 0:
		return 0, errCompressed
	case len(b) < messageHeaderSize:
		return 0, nil
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n > maxMessage {
		return 0, errMessage
	}
	return messageHeaderSize + int(n), nil
}

// setLength fills in the header of a message.
func setLength(b []byte) {
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-messageHeaderSize))
}
