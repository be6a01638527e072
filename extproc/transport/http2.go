package transport

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
)

// preface is what a client's connection begins with.
// Source: https://www.rfc-editor.org/rfc/rfc9113#section-3.4
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Types of frames that are used. Others are skipped.
// Source: https://www.rfc-editor.org/rfc/rfc9113#section-6
const (
	frameData         = 0
	frameHeaders      = 1
	frameResetStream  = 3
	frameSettings     = 4
	framePing         = 6
	frameGoAway       = 7
	frameWindowUpdate = 8
)

// Flags of frames.
const (
	flagEndStream  = 0x1 // of data and headers
	flagAck        = 0x1 // of settings and pings
	flagEndHeaders = 0x4
	flagPadded     = 0x8
)

// Settings that are used.
// Source: https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2
const (
	settingHeaderTableSize   = 1
	settingInitialWindowSize = 4
	settingMaxFrameSize      = 5
)

const (
	frameHeaderSize   = 9 // bytes
	messageHeaderSize = 5 // bytes of a gRPC message's: compressed or not, and its length

	defaultWindow   = 65_535 // bytes
	defaultMaxFrame = 16_384 // bytes
	largestWindow   = 1<<31 - 1

	// ourMaxFrame is the largest frame that the peer may send. The windows are the bytes that
	// it may send before we return them: a stream's bounds what waits in its queue, and the
	// connection's is large enough never to block.
	ourMaxFrame         = 64 << 10
	ourStreamWindow     = 1 << 20
	ourConnectionWindow = largestWindow
)

// frame is a frame that was received. Its payload is part of the bytes it was read from.
type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

var (
	errFrameSize = errors.New("a frame has a length that its type does not allow")
	errPadding   = errors.New("a frame's padding is longer than the frame")
	errStreamID  = errors.New("a frame has an invalid stream id")
	errWindow    = errors.New("a window grew beyond its limit")
	errPreface   = errors.New("the peer does not speak HTTP/2")
)

// nextFrame cuts the first frame off b; ok is false while it is incomplete.
func nextFrame(b []byte) (f frame, rest []byte, ok bool, err error) {
	if len(b) < frameHeaderSize {
		return f, b, false, nil
	}
	length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	if length > ourMaxFrame {
		return f, b, false, fmt.Errorf("%w: %d bytes", errFrameSize, length)
	}
	if len(b) < frameHeaderSize+length {
		return f, b, false, nil
	}
	f = frame{kind: b[3], flags: b[4], stream: binary.BigEndian.Uint32(b[5:]) & largestWindow, payload: b[frameHeaderSize : frameHeaderSize+length]}
	return f, b[frameHeaderSize+length:], true, nil
}

// data is the payload without its padding.
func (f frame) data() ([]byte, error) {
	if f.flags&flagPadded == 0 {
		return f.payload, nil
	}
	if len(f.payload) == 0 || int(f.payload[0]) >= len(f.payload) {
		return nil, errPadding
	}
	return f.payload[1 : len(f.payload)-int(f.payload[0])], nil
}

func appendFrameHeader(b []byte, length int, kind, flags byte, stream uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

func appendFrame(b []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	return append(appendFrameHeader(b, len(payload), kind, flags, stream), payload...)
}

// appendWindow returns n bytes to the window of a stream, or with 0 of the connection.
func appendWindow(b []byte, stream, n uint32) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHeader(b, 4, frameWindowUpdate, 0, stream), n)
}

// appendHello appends what a server's side of a connection begins with.
func appendHello(b []byte) []byte {
	settings := []struct {
		id    uint16
		value uint32
	}{{settingHeaderTableSize, 0}, {settingInitialWindowSize, ourStreamWindow}, {settingMaxFrameSize, ourMaxFrame}}
	b = appendFrameHeader(b, 6*len(settings), frameSettings, 0, 0)
	for _, s := range settings {
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, s.id), s.value)
	}
	return appendWindow(b, 0, ourConnectionWindow-defaultWindow)
}

// appendGoodbye asks the peer to begin no more streams.
func appendGoodbye(b []byte) []byte {
	b = appendFrameHeader(b, 8, frameGoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, largestWindow)
	return binary.BigEndian.AppendUint32(b, 0) // no error
}

// responseBlock is ":status: 200" and "content-type: application/grpc", by the static
// table of HPACK and literal.
// Source: https://www.rfc-editor.org/rfc/rfc7541#appendix-A
const responseBlock = "\x88\x0f\x10\x10application/grpc"

func appendResponseHeaders(b []byte, stream uint32) []byte {
	return append(appendFrameHeader(b, len(responseBlock), frameHeaders, flagEndHeaders, stream), responseBlock...)
}

// appendTrailers ends a stream with a gRPC status.
func appendTrailers(b []byte, stream uint32, begun bool, code codes.Code) []byte {
	block := ""
	if !begun {
		block = responseBlock
	}
	digits := fmt.Sprint(uint32(code))
	block += "\x00\x0bgrpc-status" + string(rune(len(digits))) + digits
	return appendFrame(b, frameHeaders, flagEndHeaders|flagEndStream, stream, []byte(block))
}
