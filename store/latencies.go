package store

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

const (
	sampled        = 200_000 // requests whose latencies are counted; of more, a sample
	slicesOfBucket = 24      // of a bucket that a sample is taken from
)

// sampleOf is the buckets of a query as stretches of time with about as many requests of
// them all as a sample is large.
func sampleOf(bounds []time.Time, requests int64) (parts []part) {
	if requests <= sampled {
		return partsOf(bounds, false)
	}
	share := float64(sampled) / float64(requests)
	for i := range len(bounds) - 1 {
		slice := bounds[i+1].Sub(bounds[i]) / slicesOfBucket
		for n := range time.Duration(slicesOfBucket) {
			from := bounds[i].Add(n * slice)
			parts = append(parts, part{i, from, from.Add(time.Duration(share * float64(slice))), false})
		}
	}
	return parts
}

// Latencies counts the requests of each bucket by how long they took to their first byte
// or, if whole, to their end. Of more than two hundred thousand requests, which their number says,
// it takes a sample: the same share of each twenty-fourth of a bucket. Neither database has
// percentiles that both understand.
func (s *Store) Latencies(ctx context.Context, q gateway.UsageQuery, requests int64, whole bool) ([]gateway.LatencyCount, error) {
	column := "r.ttft_ms"
	if whole {
		column = "r.duration_ms"
	}
	counts := map[latencyKey]int64{}
	err := s.read(ctx, "counting latencies", func(c *sqlx.Conn) error {
		return s.countLatencies(ctx, c, sampleOf(q.Bounds, requests), column, q.RequestFilter, counts)
	})
	return latencyCounts(counts), err
}

type latencyKey struct{ bucket, step int }

func stepWidth() float64 { return math.Log(gateway.LatencyStep) }

// countLatencies joins the requests to a list of parts. A SELECT for each part would have
// PostgreSQL plan and read every partition as often as there are parts.
func (s *Store) countLatencies(ctx context.Context, c *sqlx.Conn, parts []part, column string, f gateway.RequestFilter, into map[latencyKey]int64) error {
	var list []string
	var args []any
	for _, p := range parts {
		list = append(list, fmt.Sprintf("(%d, %[2]s, %[2]s)", p.bucket, s.engine.moment("?")))
		args = append(args, moment(p.from), moment(p.to))
	}
	within := condition{"r.started_at >= p.starts AND r.started_at < p.ends AND " + column + " IS NOT NULL", nil}
	chosen, of := where(append([]condition{within}, conditions(f)...))
	query := fmt.Sprintf("WITH p(bucket, starts, ends) AS (VALUES %s) SELECT p.bucket, FLOOR(LN(%[2]s + 1) / %.6[3]f) AS step, COUNT(*) AS requests FROM p CROSS JOIN requests r%[4]s GROUP BY 1, 2",
		strings.Join(list, ", "), column, stepWidth(), chosen)
	var rows []struct {
		Bucket   int     `db:"bucket"`
		Step     float64 `db:"step"`
		Requests int64   `db:"requests"`
	}
	err := c.SelectContext(ctx, &rows, c.Rebind(query), append(args, of...)...)
	for _, r := range rows {
		into[latencyKey{r.Bucket, int(r.Step)}] += r.Requests
	}
	return err
}

func latencyCounts(of map[latencyKey]int64) []gateway.LatencyCount {
	counts := make([]gateway.LatencyCount, 0, len(of))
	for key, requests := range of {
		ms := math.Exp((float64(key.step)+0.5)*stepWidth()) - 1
		counts = append(counts, gateway.LatencyCount{Bucket: key.bucket, Duration: time.Duration(ms * float64(time.Millisecond)), Requests: requests})
	}
	slices.SortFunc(counts, func(a, b gateway.LatencyCount) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Duration, b.Duration))
	})
	return counts
}
