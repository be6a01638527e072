package store

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// groupColumn is the column that a dimension groups by.
func groupColumn(d gateway.Dimension) string {
	switch d {
	case gateway.GroupByModel:
		return "r.model"
	case gateway.GroupByBackend:
		return "r.backend"
	case gateway.GroupByKey:
		return "r.key_id"
	case gateway.GroupByUser:
		return "COALESCE(r.user_id, '')"
	}
	return "''"
}

// eachBucket joins one SELECT for each bucket: each reads its own part of the primary key.
// It leaves out the WHERE clause, which it adds.
func eachBucket(q gateway.UsageQuery, sum func(bucket int) string, groupBy string) (text string, args []any) {
	var parts []string
	for i := range len(q.Bounds) - 1 {
		condition, values := where(append(between(q.Bounds[i], q.Bounds[i+1]), conditions(q.RequestFilter)...))
		parts = append(parts, sum(i)+condition+groupBy)
		args = append(args, values...)
	}
	return strings.Join(parts, " UNION ALL "), args
}

// Usage adds up requests by bucket and group. Buckets and groups without any have no sum.
func (s *Store) Usage(ctx context.Context, q gateway.UsageQuery) ([]gateway.UsageSum, error) {
	if len(q.Bounds) < 2 {
		return nil, nil
	}
	group := groupColumn(q.Group)
	text, args := eachBucket(q, func(bucket int) string {
		return fmt.Sprintf(`SELECT %d AS bucket, %s AS grouped, COUNT(*) AS requests, SUM(CASE WHEN %s THEN 1 ELSE 0 END) AS failed,
			SUM(CASE WHEN r.cost_nanousd IS NULL THEN 1 ELSE 0 END) AS unpriced,
			SUM(CASE WHEN r.usage_source IN ('%s', '%s') THEN 1 ELSE 0 END) AS estimated,
			SUM(r.prompt_tokens) AS prompt, SUM(r.cached_tokens) AS cached, SUM(r.cache_write_tokens) AS cache_write,
			SUM(r.completion_tokens) AS completion, SUM(r.reasoning_tokens) AS reasoning, COALESCE(SUM(r.cost_nanousd), 0) AS cost,
			SUM(r.duration_ms) AS duration, COALESCE(SUM(r.ttft_ms), 0) AS ttft, COUNT(r.ttft_ms) AS answered FROM requests r`,
			bucket, group, failed, gateway.Counted, gateway.Estimated)
	}, " GROUP BY 2")
	var rows []usageRow
	query := `SELECT u.*, COALESCE(k.label, '') AS label FROM (` + text + `) u LEFT JOIN keys k ON k.key_id = u.grouped ORDER BY u.bucket, u.grouped`
	err := s.read(ctx, "summing usage", func(c *sqlx.Conn) error { return c.SelectContext(ctx, &rows, c.Rebind(query), args...) })
	if err != nil {
		return nil, err
	}
	sums := make([]gateway.UsageSum, len(rows))
	for i := range rows {
		sums[i] = rows[i].sum()
		if q.Group != gateway.GroupByKey {
			sums[i].Label = ""
		}
	}
	return sums, nil
}

type usageRow struct {
	Bucket     int           `db:"bucket"`
	Grouped    string        `db:"grouped"`
	Label      string        `db:"label"`
	Requests   int64         `db:"requests"`
	Failed     int64         `db:"failed"`
	Unpriced   int64         `db:"unpriced"`
	Estimated  int64         `db:"estimated"`
	Prompt     int64         `db:"prompt"`
	Cached     int64         `db:"cached"`
	CacheWrite int64         `db:"cache_write"`
	Completion int64         `db:"completion"`
	Reasoning  int64         `db:"reasoning"`
	Cost       gateway.Money `db:"cost"`
	Duration   int64         `db:"duration"`
	TTFT       int64         `db:"ttft"`
	Answered   int64         `db:"answered"`
}

func (r *usageRow) sum() gateway.UsageSum {
	return gateway.UsageSum{
		Bucket: r.Bucket, Group: r.Grouped, Label: r.Label, Requests: r.Requests, Failed: r.Failed, Unpriced: r.Unpriced, Estimated: r.Estimated,
		Tokens: gateway.Usage{Prompt: r.Prompt, Cached: r.Cached, CacheWrite: r.CacheWrite, Completion: r.Completion, Reasoning: r.Reasoning},
		Cost:   r.Cost, Duration: inMS(r.Duration), TTFT: inMS(r.TTFT), Answered: r.Answered,
	}
}

// Latencies counts the requests of each bucket by how long they took to their first byte
// or, if whole, to their end. Neither database has percentiles that both understand.
func (s *Store) Latencies(ctx context.Context, q gateway.UsageQuery, whole bool) ([]gateway.LatencyCount, error) {
	if len(q.Bounds) < 2 {
		return nil, nil
	}
	column := "r.ttft_ms"
	if whole {
		column = "r.duration_ms"
	}
	step := math.Log(gateway.LatencyStep)
	text, args := eachBucket(q, func(bucket int) string {
		return fmt.Sprintf("SELECT %d AS bucket, FLOOR(LN(%s + 1) / %.6f) AS step, COUNT(%s) AS requests FROM requests r", bucket, column, step, column)
	}, " AND "+column+" IS NOT NULL GROUP BY 2")
	var rows []struct {
		Bucket   int     `db:"bucket"`
		Step     float64 `db:"step"`
		Requests int64   `db:"requests"`
	}
	err := s.read(ctx, "counting latencies", func(c *sqlx.Conn) error { return c.SelectContext(ctx, &rows, c.Rebind(text+" ORDER BY 1, 2"), args...) })
	if err != nil {
		return nil, err
	}
	counts := make([]gateway.LatencyCount, len(rows))
	for i, r := range rows {
		ms := math.Exp((r.Step+0.5)*step) - 1
		counts[i] = gateway.LatencyCount{Bucket: r.Bucket, Duration: time.Duration(ms * float64(time.Millisecond)), Requests: r.Requests}
	}
	return counts, nil
}
