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
	sampled        = 500_000 // requests whose latencies are counted; of more, a sample
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
// or, if whole, to their end. Of more than half a million requests, which their number says,
// it takes a sample: the same share of each twenty-fourth of a bucket. Neither database has
// percentiles that both understand.
func (s *Store) Latencies(ctx context.Context, q gateway.UsageQuery, requests int64, whole bool) ([]gateway.LatencyCount, error) {
	column := "r.ttft_ms"
	if whole {
		column = "r.duration_ms"
	}
	counts := map[latencyKey]int64{}
	err := s.read(ctx, "counting latencies", func(c *sqlx.Conn) error {
		for some := range slices.Chunk(sampleOf(q.Bounds, requests), partsAtOnce) {
			if err := countLatencies(ctx, c, some, column, q.RequestFilter, counts); err != nil {
				return err
			}
		}
		return nil
	})
	return latencyCounts(counts), err
}

type latencyKey struct{ bucket, step int }

func stepWidth() float64 { return math.Log(gateway.LatencyStep) }

func countLatencies(ctx context.Context, c *sqlx.Conn, parts []part, column string, f gateway.RequestFilter, into map[latencyKey]int64) error {
	var texts []string
	var args []any
	for _, p := range parts {
		condition, of := where(append(between(p.from, p.to), conditions(f)...))
		texts = append(texts, fmt.Sprintf("SELECT %d AS bucket, FLOOR(LN(%[2]s + 1) / %.6[3]f) AS step, COUNT(%[2]s) AS requests FROM requests r%[4]s AND %[2]s IS NOT NULL GROUP BY 2",
			p.bucket, column, stepWidth(), condition))
		args = append(args, of...)
	}
	var rows []struct {
		Bucket   int     `db:"bucket"`
		Step     float64 `db:"step"`
		Requests int64   `db:"requests"`
	}
	err := c.SelectContext(ctx, &rows, c.Rebind(strings.Join(texts, " UNION ALL ")), args...)
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
