package ledger

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFullLogRefusesRequestsAndStillSettlesThoseThatAreOut(t *testing.T) {
	log := openWAL(t, t.TempDir())
	l := New(Config{WAL: log, MaxBytes: 1000, MaxAge: time.Hour, Log: slog.New(slog.DiscardHandler)})
	out := 0
	i := intent()
	for ; l.Begin(&i) == nil; i = intent() {
		out++
	}
	err := l.Begin(&i)
	if !errors.Is(err, ErrFull) || !errors.Is(err, errBytes) || out == 0 || log.Size() > 2000 {
		t.Errorf("after %d requests and %d bytes: %v", out, log.Size(), err)
	}
	s := settlement(i)
	log.AppendSettlement(&s)
	if stats := l.Stats(); stats.Refused != 2 || stats.WAL.Lost != 0 {
		t.Errorf("stats %+v", stats)
	}
}

func TestAStoreThatTakesNothingForTooLongRefusesRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{WAL: openWAL(t, t.TempDir()), MaxBytes: 1 << 30, MaxAge: time.Minute, Log: slog.New(slog.DiscardHandler)})
		i := intent()
		l.progress(false)
		time.Sleep(time.Minute)
		do(t, l.Begin(&i))
		l.progress(false) // still
		time.Sleep(time.Nanosecond)
		if err := l.Begin(&i); !errors.Is(err, ErrFull) || !errors.Is(err, errAge) {
			t.Errorf("a request is %v", err)
		}
		l.progress(true)
		do(t, l.Begin(&i))
	})
}

func TestRefusalsAreOneLineAtTheirBeginAndOneAtTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		l := New(Config{WAL: openWAL(t, t.TempDir()), MaxBytes: 1 << 30, MaxAge: time.Minute, Log: slog.New(slog.NewTextHandler(&lines, nil))})
		i := intent()
		l.progress(false)
		time.Sleep(time.Minute + 1)
		for range 3 {
			if err := l.Begin(&i); !errors.Is(err, ErrFull) {
				t.Errorf("a request is %v", err)
			}
		}
		if reason := l.Stats().LastError; !strings.Contains(reason, "new requests are refused") || !strings.Contains(reason, errAge.Error()) {
			t.Errorf("while requests are refused, the ledger says %q", reason)
		}
		l.progress(true)
		do(t, l.Begin(&i)) // too soon to be over
		time.Sleep(calmAfter + 1)
		i = intent()
		do(t, l.Begin(&i))
		if reason := l.Stats().LastError; reason != "" {
			t.Errorf("after that, the ledger says %q", reason)
		}
		if text := lines.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, `level=ERROR msg="new requests are refused`) || !strings.Contains(text, "recording of new requests recovered") {
			t.Errorf("the lines are\n%s", text)
		}
	})
}

func TestRefusalsAreOverOnceThereIsRoomThoughNoRequestComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{WAL: openWAL(t, t.TempDir()), MaxBytes: 1 << 30, MaxAge: time.Minute, Log: slog.New(slog.DiscardHandler)})
		i := intent()
		l.progress(false)
		time.Sleep(time.Minute + 1)
		if err := l.Begin(&i); !errors.Is(err, ErrFull) {
			t.Fatalf("a request is %v", err)
		}
		time.Sleep(calmAfter + 1)
		l.readmit()
		if l.Stats().LastError == "" {
			t.Error("refusals are over while the store takes nothing")
		}
		l.progress(true)
		l.readmit()
		if reason := l.Stats().LastError; reason != "" {
			t.Errorf("with room again, the ledger says %q", reason)
		}
	})
}
