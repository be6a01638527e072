package extproc

import (
	"fmt"
	"slices"
	"sync"

	"google.golang.org/grpc/mem"
)

// rawCodec carries messages as they are on the wire, so that no message object is
// made for what is read once.
type rawCodec struct{}

// Name is the content-subtype; Envoy's plain application/grpc is taken for it too.
func (rawCodec) Name() string { return "proto" }

// Unmarshal copies a message into an *inbox, whose buffer is used again.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*inbox)
	if !ok {
		return fmt.Errorf("receiving into %T, want *inbox", v)
	}
	in.bytes = slices.Grow(in.bytes[:0], data.Len())
	for _, piece := range data {
		in.bytes = append(in.bytes, piece.ReadOnlyData()...)
	}
	return nil
}

// Marshal hands a *reply's buffer to grpc, which frees it once it is written.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	r, ok := v.(*reply)
	if !ok {
		return nil, fmt.Errorf("sending %T, want *reply", v)
	}
	return mem.BufferSlice{mem.NewBuffer(&r.bytes, r)}, nil
}

// keptBuffer is the largest buffer that is kept for the next message.
const keptBuffer = 64 << 10

// inbox holds the message that is being answered.
type inbox struct{ bytes []byte }

// trim lets go of the buffer of a large body.
func (in *inbox) trim() {
	if cap(in.bytes) > keptBuffer {
		in.bytes = nil
	}
}

// inboxPool holds the inboxes of exchanges that have ended.
type inboxPool struct{ pool sync.Pool }

func (p *inboxPool) get() *inbox {
	if in, ok := p.pool.Get().(*inbox); ok {
		return in
	}
	return &inbox{}
}

func (p *inboxPool) put(in *inbox) {
	in.trim()
	p.pool.Put(in)
}

// replyPool holds buffers for replies. Those are not the stream's own, as grpc
// writes them to the wire some time after SendMsg has returned.
type replyPool struct{ pool sync.Pool }

// smallestReply is above the size up to which grpc/mem does not give buffers back.
const smallestReply = 2048

// get returns an empty buffer.
func (p *replyPool) get() *reply {
	if r, ok := p.pool.Get().(*reply); ok {
		r.bytes = r.bytes[:0]
		return r
	}
	return &reply{bytes: make([]byte, 0, smallestReply), home: p}
}

// reply is a buffer, and at once the mem.BufferPool that grpc gives it back to
// when its bytes are on the wire.
type reply struct {
	bytes []byte
	home  *replyPool
}

// Get is part of mem.BufferPool; grpc only gives this one's buffer back.
func (r *reply) Get(n int) *[]byte {
	b := make([]byte, n)
	return &b
}

// Put takes the buffer back, unless it is a large one.
func (r *reply) Put(*[]byte) {
	if cap(r.bytes) <= keptBuffer {
		r.home.pool.Put(r)
	}
}
