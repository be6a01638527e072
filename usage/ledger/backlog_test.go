package ledger

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// shutStore refuses rows until it is opened.
type shutStore struct {
	Store
	open *atomic.Bool
}

func (s shutStore) Write(ctx context.Context, rows []*gateway.Row, writer uuid.UUID, at gateway.LogPosition) ([]gateway.RefusedRow, error) {
	if !s.open.Load() {
		return nil, errors.New("the store is away")
	}
	return s.Store.Write(ctx, rows, writer, at)
}

func TestWhileTheStoreIsAwayMemoryIsBoundedAndEveryRowIsWholeAfterwards(t *testing.T) {
	const requests, size = 48, 1 << 20
	var open atomic.Bool
	b := newBooks(t)
	b.stop()
	b.wrap = func(s Store) Store { return shutStore{s, &open} }
	b.start()
	text := strings.Repeat("x", size)
	long := intent() // it ends last, so its settlement is behind all that is read at first
	b.plan(long)
	for range requests {
		i := intent()
		b.plan(i)
		s := settlement(i)
		s.Prompt, s.Answer.Text = text, text
		b.wal.AppendSettlement(&s)
		b.journalize(line(i))
	}
	b.settle(long)
	b.journalize(line(long))
	b.eventually("as much is read as may be held", func() bool { return b.Stats().Unwritten >= maxHeld/(2*size) })
	time.Sleep(3 * round)
	if n := b.Stats().Open; n > maxHeld/(2*size)+2 {
		t.Errorf("%d requests of %d bytes each are in memory", n, 2*size)
	}
	open.Store(true)
	for _, r := range b.requests(requests + 1) {
		if r.Witness != "both" || r.UsageSource != "provider" || r.Attempts != 2 {
			t.Errorf("row %+v", r)
		}
	}
}
