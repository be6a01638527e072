package ledger

import (
	"log/slog"
	"net/http"
	"time"

	"ai-gateway/gateway"
)

const (
	failsInARow = 10               // calls of a backend from which on it is said to fail
	failsRepeat = 10 * time.Minute // how often that is said while it lasts
	maxWatched  = 1000             // backends that are followed: names of old configurations come and go
)

// watch tells of backends whose calls all fail, whatever the reason: a dead server, but also a
// key that ran out or a wrong path, which Envoy takes for answers like others.
type watch struct {
	log       *slog.Logger
	unreached func(backend string) // is told of those that do not answer at all; nil tells nobody
	backends  map[string]*failures
}

// failures are those since the last call that went well.
type failures struct {
	inARow int
	told   time.Time // zero if nothing was said of them
}

func newWatch(log *slog.Logger, unreached func(string)) *watch {
	return &watch{log: log, unreached: unreached, backends: map[string]*failures{}}
}

// note looks at the calls of a request whose row was just made.
func (w *watch) note(r *gateway.Row, now time.Time) {
	for i, try := range r.Tries {
		last := i == len(r.Tries)-1
		if last && try.Status == 0 && r.Outcome != gateway.ProviderError && r.Outcome != gateway.ProviderClosed {
			continue // the client left, or nobody knows
		}
		w.call(try.Try, r.ErrorCode, now)
	}
}

func (w *watch) call(t gateway.Try, code string, now time.Time) {
	at := w.backends[t.Backend]
	switch {
	case !hasFailed(t.Status):
		if at != nil && !at.told.IsZero() {
			w.log.Info("a backend answers again", "backend", t.Backend)
		}
		delete(w.backends, t.Backend)
		return
	case at == nil && len(w.backends) >= maxWatched:
		return
	case at == nil:
		at = &failures{}
		w.backends[t.Backend] = at
	}
	at.inARow++
	if at.inARow >= failsInARow && (at.told.IsZero() || now.Sub(at.told) >= failsRepeat) {
		at.told = now
		w.log.Warn("all of the last calls of a backend have failed", "backend", t.Backend, "calls", at.inARow, "last_status", t.Status, "last_error", code)
		if t.Status == 0 && w.unreached != nil {
			w.unreached(t.Backend)
		}
	}
}

// hasFailed reports whether a call has, 0 being no answer. What is about the request alone says
// nothing of the backend.
func hasFailed(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return false
	}
	return status == 0 || status >= http.StatusBadRequest
}
