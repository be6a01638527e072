package ledger

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ai-gateway/gateway"
)

// called is a row of a request that was sent to a backend, with the status of each try.
func called(outcome gateway.Outcome, statuses ...int) *gateway.Row {
	r := &gateway.Row{Outcome: outcome, ErrorCode: "a_code"}
	for _, status := range statuses {
		r.Tries = append(r.Tries, gateway.AttemptRow{Try: gateway.Try{Backend: "b", Status: status}})
	}
	return r
}

func TestABackendWhoseCallsAllFailIsToldOfOnceInAWhile(t *testing.T) {
	var lines bytes.Buffer
	var unreached []string
	w, now := newWatch(slog.New(slog.NewTextHandler(&lines, nil)), func(backend string) { unreached = append(unreached, backend) }), time.Unix(1000, 0)
	told := func() int {
		defer lines.Reset()
		return strings.Count(lines.String(), "all of the last calls of a backend have failed")
	}
	for range failsInARow - 1 {
		w.note(called(gateway.ProviderError, 401), now)
	}
	if told() != 0 {
		t.Error("it is told too early")
	}
	for range 100 {
		w.note(called(gateway.ProviderError, 401, 503), now)
	}
	if told() != 1 {
		t.Error("it is not told once")
	}
	w.note(called(gateway.ProviderError, 401), now.Add(failsRepeat))
	if told() != 1 {
		t.Error("it is not told again while it lasts")
	}
	if len(unreached) != 0 {
		t.Errorf("%v are unreached, though they answer", unreached)
	}
	w.note(called(gateway.ProviderError, 0), now.Add(2*failsRepeat))
	if told() != 1 || len(unreached) != 1 || unreached[0] != "b" {
		t.Errorf("%v are unreached", unreached)
	}
	w.note(called(gateway.OK, 200), now)
	if text := lines.String(); !strings.Contains(text, "a backend answers again") {
		t.Errorf("its recovery is %q", text)
	}
	told()
	for range 100 {
		w.note(called(gateway.ClientClosed, 0), now) // the client left: nobody knows
		w.note(called(gateway.Unknown, 0), now)
		w.note(called(gateway.ProviderError, 400), now) // of the request alone
	}
	if told() != 0 {
		t.Error("what says nothing of the backend is held against it")
	}
}

func TestOnlySoManyBackendsAreWatched(t *testing.T) {
	w := newWatch(slog.New(slog.DiscardHandler), nil)
	for n := range 2 * maxWatched {
		w.call(gateway.Try{Backend: strings.Repeat("x", n)}, "", time.Unix(1000, 0))
	}
	if len(w.backends) != maxWatched {
		t.Errorf("%d are", len(w.backends))
	}
}
