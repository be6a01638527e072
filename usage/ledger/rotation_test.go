package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ai-gateway/usage/accesslog"
)

func TestATornLineWaitsForItsEnd(t *testing.T) {
	b := newBooks(t)
	i := intent()
	b.plan(i)
	b.settle(i)
	text := line(i)
	for piece := range strings.SplitAfterSeq(text, "\"") {
		b.journalize(piece)
	}
	b.journalize(text[:10])
	b.eventually("both witnesses have reported", func() bool { return b.requests(1)[0].Witness == "both" })
}

func TestARotatedOrTruncatedJournalLosesNothing(t *testing.T) {
	b := newBooks(t)
	b.grace = time.Hour
	b.restart()
	b.whole(intent())
	b.requests(1)
	b.whole(intent())
	for n := range 3 {
		if err := os.Rename(b.accessLog(), fmt.Sprintf("%s.%06d", b.accessLog(), n)); err != nil {
			t.Fatal(err)
		}
		b.whole(intent())
		b.whole(intent())
		if n == 1 {
			b.crash()
		}
	}
	b.requests(8)
	if err := os.Truncate(b.accessLog(), 0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * round)
	b.whole(intent())
	b.requests(9)
}

func TestAJournalThatWasRemovedIsOpenedAnew(t *testing.T) {
	b := newBooks(t)
	b.stop()
	b.rotation = accesslog.Rotation{At: 1 << 20, Keep: 1 << 20, Reopen: func(context.Context) error {
		b.journalize("") // makes the file
		return nil
	}}
	b.start()
	b.whole(intent())
	b.requests(1)
	do(t, os.Remove(b.accessLog()))
	b.eventually("Envoy was asked", func() bool {
		_, err := os.Stat(b.accessLog())
		return err == nil
	})
	b.whole(intent())
	if r := b.requests(2)[1]; r.Witness != "both" {
		t.Errorf("row %+v", r)
	}
}

// TestALargeJournalIsRotatedAndBounded has an Envoy that goes on with the old file until
// it is told to open the journal again, which fails at first.
func TestALargeJournalIsRotatedAndBounded(t *testing.T) {
	b := newBooks(t)
	b.stop()
	var asked atomic.Int64
	var log atomic.Pointer[os.File]
	open := func() error {
		f, err := os.OpenFile(b.accessLog(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if old := log.Swap(f); old != nil {
			old.Close()
		}
		return err
	}
	do(t, open())
	b.rotation = accesslog.Rotation{At: 2000, Keep: 5000, Reopen: func(context.Context) error {
		if asked.Add(1)%2 == 1 {
			return errors.New("it is busy")
		}
		return open()
	}}
	b.start()
	const rows = 60
	written := 0
	for range rows {
		i := intent()
		b.plan(i)
		b.settle(i)
		for {
			n, err := log.Load().WriteString(line(i))
			if err == nil {
				written += n
				break // else it was just closed
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.requests(rows)
	b.eventually("both witnesses have reported all", func() bool {
		for _, r := range b.requests(rows) {
			if r.Witness != "both" {
				return false
			}
		}
		return true
	})
	if written < 3*int(b.rotation.Keep) {
		t.Fatalf("%d bytes were written: too few to exceed what is kept", written)
	}
	b.eventually("of the files that were moved away no more is left than is to be kept", func() bool {
		old, err := filepath.Glob(b.accessLog() + ".*")
		do(t, err)
		return len(old) > 0 && sizeOf(old[:len(old)-1]) <= b.rotation.Keep // the newest may be where the store has the log
	})
	if asked.Load() < 2 {
		t.Errorf("Envoy was asked %d times to open the journal again", asked.Load())
	}
}

// sizeOf is the bytes of files, of which some may just have been removed.
func sizeOf(paths []string) (size int64) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			size += info.Size()
		}
	}
	return size
}
