package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// A page by model or user would read all of the table if few or no requests match: not every
// column that people filter by has an index, because each index makes writing slower.
// usage_hourly knows the hours with matches, so only those are read, newest first. Filters that
// it does not know, such as tags, are searched hour by hour too, for a bounded time.

const (
	searchFor   = 3 * time.Second // after which an incomplete page is returned
	hoursAtOnce = 200             // that are asked for
	hoursJoined = 24              // adjacent ones that are read at once
)

// stretch is a period; a zero end is open.
type stretch struct{ from, to time.Time }

// Requests returns at most limit requests of a filter after a place, newest first. If the search
// takes long, it returns what it has found, and where to continue.
func (s *Store) Requests(ctx context.Context, f gateway.RequestFilter, after gateway.RequestPlace, limit int) (gateway.FoundRequests, error) {
	q := search{f: f, after: after, limit: limit + 1, until: time.Now().Add(searchFor)}
	err := s.read(ctx, "reading requests", func(c *sqlx.Conn) error { return q.run(ctx, c) })
	found := gateway.FoundRequests{Requests: q.found, More: q.more}
	if len(q.found) > limit {
		found.Requests = q.found[:limit]
		last := &q.found[limit-1]
		found.More = gateway.RequestPlace{StartedAt: last.StartedAt, ID: last.ID}
	}
	return found, err
}

// search finds a page of requests.
type search struct {
	f     gateway.RequestFilter
	after gateway.RequestPlace
	limit int
	until time.Time

	found []gateway.RecordedRequest
	more  gateway.RequestPlace // where to continue an interrupted search
}

func (q *search) run(ctx context.Context, c *sqlx.Conn) error {
	if !isSparse(q.f) {
		return q.read(ctx, c, stretch{q.f.From, q.f.To})
	}
	whole := stretch{q.f.From, q.f.To}
	if at := q.after.StartedAt; !at.IsZero() && (whole.to.IsZero() || at.Before(whole.to)) {
		whole.to = at
		if q.after.ID != uuid.Nil { // others may have started at the same time
			whole.to = at.Add(time.Microsecond)
		}
	}
	for {
		hours, err := hoursOf(ctx, c, q.f, whole, hoursAtOnce)
		if err != nil || len(hours) == 0 {
			return err
		}
		for _, of := range joined(hours) {
			if err := q.read(ctx, c, of.within(q.f)); err != nil {
				return err
			}
			whole.to = of.from
			switch {
			case len(q.found) >= q.limit:
				return nil
			case time.Now().After(q.until):
				q.more = gateway.RequestPlace{StartedAt: of.from}
				return nil
			}
		}
	}
}

func (q *search) read(ctx context.Context, c *sqlx.Conn, of stretch) error {
	some, err := page(ctx, c, q.f, of, q.after, q.limit-len(q.found))
	q.found = append(q.found, some...)
	return err
}

// isSparse reports whether a filter may match few of many requests without an index.
func isSparse(f gateway.RequestFilter) bool {
	return f.User != "" || f.Team != "" || f.Model != "" || f.Backend != "" || f.RequestID != "" || f.Tag != (gateway.Tag{}) ||
		f.MinCost > 0 || f.MinDuration > 0 || f.MinTTFT > 0
}

// hoursOf returns the hours with requests of a filter, newest first, as far as usage_hourly knows.
func hoursOf(ctx context.Context, c *sqlx.Conn, f gateway.RequestFilter, in stretch, limit int) ([]time.Time, error) {
	known := gateway.RequestFilter{Key: f.Key, User: f.User, Team: f.Team, Model: f.Model, Backend: f.Backend}
	all, count := conditions(known), "requests"
	if f.Outcome == failedOutcomes {
		count = "failed"
	}
	if !in.from.IsZero() {
		from := in.from.UTC().Truncate(time.Hour)
		all = append(all, condition{"r.day >= ? AND r.hour >= ?", []any{from.Format(time.DateOnly), moment(from)}})
	}
	if !in.to.IsZero() {
		all = append(all, condition{"r.day <= ? AND r.hour < ?", []any{in.to.UTC().Format(time.DateOnly), moment(in.to)}})
	}
	text, args := where(all)
	var hours []moment
	query := fmt.Sprintf(`SELECT r.hour FROM usage_hourly r%s GROUP BY r.day, r.hour HAVING SUM(r.%s) > 0 ORDER BY r.day DESC, r.hour DESC LIMIT ?`, text, count)
	err := c.SelectContext(ctx, &hours, c.Rebind(query), append(args, limit)...)
	times := make([]time.Time, len(hours))
	for i, h := range hours {
		times[i] = time.Time(h)
	}
	return times, err
}

// joined joins adjacent hours, newest first.
func joined(hours []time.Time) (all []stretch) {
	for _, h := range hours {
		last := len(all) - 1
		if last >= 0 && all[last].from.Equal(h.Add(time.Hour)) && all[last].to.Sub(h) <= hoursJoined*time.Hour {
			all[last].from = h
			continue
		}
		all = append(all, stretch{h, h.Add(time.Hour)})
	}
	return all
}

// within is the part of a stretch within a filter's times.
func (s stretch) within(f gateway.RequestFilter) stretch {
	if s.from.Before(f.From) {
		s.from = f.From
	}
	if !f.To.IsZero() && f.To.Before(s.to) {
		s.to = f.To
	}
	return s
}
