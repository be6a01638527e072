package dashboardapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"ai-gateway/gateway"
)

const (
	livePath      = "/api/requests/live"
	liveFor       = 25 * time.Second // of one stream; clients reconnect and continue
	liveEvery     = time.Second      // between two looks at the tables
	liveAskWithin = 2 * time.Second
	liveBack      = 15 * time.Minute // maximum age of a request
	liveLooked    = 2000             // rows of one look
	liveKept      = 2000             // events by which slow watchers may be behind
	maxWatchers   = 32
	heartbeat     = 10 // looks between two signs of life
)

// live follows the tables for all watchers. Once a second the first watcher looks and shares what
// it finds. So nothing runs without watchers, and many of them need no more queries than one.
type live struct {
	epoch string // distinguishes this process's events from another's

	mu       sync.Mutex
	watchers int
	looked   time.Time
	seen     map[liveKey]time.Time // and when it started
	events   []liveEvent           // the last ones
	next     int64                 // number of the next event
}

// liveKey identifies the state of a row: a completed row is sent again.
type liveKey struct {
	id                       uuid.UUID
	source, witness, outcome string
}

type liveEvent struct {
	number int64
	row    gateway.RecordedRequest
}

func newLive() *live { return &live{epoch: uuid.NewString()[:8], seen: map[liveKey]time.Time{}} }

// enter reports whether there is room for another watcher, which must call leave later.
func (l *live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers >= maxWatchers {
		return false
	}
	l.watchers++
	return true
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers--
}

// look reads new rows, unless another watcher has just done that.
func (l *live) look(ctx context.Context, s Store) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.looked) < liveEvery*9/10 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, liveAskWithin)
	defer cancel()
	found, err := s.Requests(ctx, gateway.RequestFilter{From: now.Add(-liveBack)}, gateway.RequestPlace{}, liveLooked)
	if err != nil {
		return err
	}
	first := now.Sub(l.looked) > liveBack
	slices.Reverse(found.Requests)
	for _, r := range found.Requests {
		l.take(r, !first)
	}
	l.looked = now
	l.forget(now)
	return nil
}

// take records a row, and adds an event if it is new.
func (l *live) take(r gateway.RecordedRequest, announce bool) {
	key := liveKey{r.ID, r.Source, r.Witness, r.Outcome}
	if _, known := l.seen[key]; known {
		return
	}
	l.seen[key] = r.StartedAt
	if announce {
		l.events = append(l.events, liveEvent{l.next, r})
		l.next++
	}
}

// forget drops rows that no look will find again, and old events.
func (l *live) forget(now time.Time) {
	for key, started := range l.seen {
		if now.Sub(started) > liveBack+time.Minute {
			delete(l.seen, key)
		}
	}
	if extra := len(l.events) - liveKept; extra > 0 {
		l.events = slices.Delete(l.events, 0, extra)
	}
}

// since returns the events from a number on, and how many earlier ones were dropped.
func (l *live) since(number int64) (events []liveEvent, skipped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.next - int64(len(l.events))
	if number < oldest {
		skipped, number = oldest-number, oldest
	}
	return slices.Clone(l.events[number-oldest:]), skipped
}

// place is the number of the event after the last one that a client saw.
func (l *live) place(lastID string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	epoch, text, _ := strings.Cut(lastID, "-")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || epoch != l.epoch || n < 0 || n >= l.next {
		return l.next
	}
	return n + 1
}

type liveInput struct {
	Key    string `query:"key" doc:"The id of a key"`
	Model  string `query:"model"`
	LastID string `header:"Last-Event-ID" doc:"Of the last event that was seen: the stream goes on behind it"`
}

func (o *operations) addLive() {
	o.all = append(o.all, Endpoint{http.MethodGet, livePath, gateway.Viewer})
	handle(o, huma.Operation{OperationID: "watch-requests", Method: http.MethodGet, Path: livePath,
		Summary: "Requests as their rows are written",
		Description: "Server-sent events: `request` with a request as GET /api/requests has it, again when it is better known, and `skipped` with the number of " +
			"those that a slow client has missed. A stream ends after 25 seconds; an EventSource comes back and goes on. It has requests that started within 15 minutes and are among the newest 2000: " +
			"with more than about a hundred a second, some that take long are left out. GET /api/requests has all.",
		Errors: errorsOf(livePath, gateway.Viewer), Security: []map[string][]string{{securityScheme: {}}},
		Responses: map[string]*huma.Response{"200": {Description: "OK",
			Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}}},
	}, o.watch)
}

func (o *operations) watch(ctx context.Context, in *liveInput) (*huma.StreamResponse, error) {
	if !o.live.enter() {
		return nil, envelopeOf(&gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "too_many_watchers", RetryAfter: 1,
			Message: "There are too many watchers. Try again in a moment, or read GET /api/requests."})
	}
	filter := ownOnly(ctx, gateway.RequestFilter{Key: gateway.KeyID(in.Key), Model: gateway.Model(in.Model)})
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer o.live.leave()
		c.SetHeader("Content-Type", "text/event-stream")
		if c.Method() == http.MethodHead {
			return
		}
		if err := o.writeEvents(c.Context(), c.BodyWriter(), filter, o.live.place(in.LastID)); err != nil {
			o.a.Log.Error("the stream of requests broke off", "error", err)
		}
	}}, nil
}

// writeEvents writes events until the stream's time is over, its client leaves, or may not see as much any more.
func (o *operations) writeEvents(ctx context.Context, w io.Writer, f gateway.RequestFilter, next int64) error {
	write := func(format string, args ...any) bool {
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil
	}
	ticker := time.NewTicker(liveEvery)
	defer ticker.Stop()
	write("retry: 1000\n\n")
	for looks := 1; ; looks++ {
		if err := o.live.look(ctx, o.a.Store); err != nil && ctx.Err() == nil {
			return err
		}
		events, skipped := o.live.since(next)
		next += skipped + int64(len(events))
		if skipped > 0 {
			write("event: skipped\ndata: %d\n\n", skipped)
		}
		for _, e := range events {
			if f.Key != "" && e.row.Key.ID != f.Key || f.User != "" && e.row.UserID != f.User || f.Model != "" && e.row.Model != f.Model {
				continue
			}
			text, err := json.Marshal(newRequest(&e.row))
			if err != nil {
				return err
			}
			write("id: %s-%d\nevent: request\ndata: %s\n\n", o.live.epoch, e.number, text)
		}
		if looks%heartbeat == 0 {
			write(": nothing else\n\n")
		}
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if !o.a.Entry.admitsStill(requestIn(ctx)) {
			return nil
		}
	}
}
