package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// Upstream sums up the requests that started in [from, to) by UTC day and by the model's name at
// the backend, for one backend or for all ("").
func (s *Store) Upstream(ctx context.Context, from, to time.Time, backend string) ([]gateway.UpstreamSum, error) {
	text, args := where(append(between(from, to), conditions(gateway.RequestFilter{Backend: backend})...))
	var rows []struct {
		Day   string        `db:"day"`
		Model gateway.Model `db:"upstream_model"`
		sumRow
	}
	err := s.read(ctx, "summing requests by the providers' models", func(c *sqlx.Conn) error {
		return c.SelectContext(ctx, &rows, c.Rebind("SELECT "+s.engine.day("r.started_at")+" AS day, r.upstream_model, "+requestFigures+
			" FROM requests r"+text+" GROUP BY 1, 2 ORDER BY 1, 2"), args...)
	})
	sums := make([]gateway.UpstreamSum, len(rows))
	for i, r := range rows {
		sums[i] = gateway.UpstreamSum{Day: r.Day, Model: r.Model, Sums: r.costs()}
	}
	return sums, err
}
