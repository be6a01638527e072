package provider

import "sync/atomic"

// Memory bounds what all streams together keep of unfinished events. The rest of a stream that
// would exceed it passes unread.
type Memory struct {
	limit int64 // bytes
	used  atomic.Int64
}

// NewMemory makes a bound of so many bytes.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// share is what one stream has taken of a memory. Without a memory there is no bound.
type share struct {
	of    *Memory
	taken int64
}

// resize takes or gives back bytes until there are so many, and reports whether it could.
func (s *share) resize(bytes int64) bool {
	if s.of == nil || bytes == s.taken {
		return true
	}
	more := bytes - s.taken
	if s.of.used.Add(more) > s.of.limit && more > 0 {
		s.of.used.Add(-more)
		return false
	}
	s.taken = bytes
	return true
}
