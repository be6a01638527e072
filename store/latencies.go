package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

const (
	sampled        = 200_000 // requests that are read for latencies; of more, a sample
	slicesOfBucket = 24      // of a bucket that a sample is taken from
	fewRequests    = 1000    // all of which are read, wherever they are
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

// Latencies counts the requests of each bucket by how long they took to their first byte, and to
// their end. Where more than 200000 requests would have to be read, it takes a sample: the same
// share of each twenty-fourth of a bucket. Of a filter that chooses few, whose number the caller
// knows, it finds all. Neither database has percentiles that both understand.
func (s *Store) Latencies(ctx context.Context, q gateway.UsageQuery, requests int64) (gateway.Latencies, error) {
	if requests <= fewRequests && isSparse(q.RequestFilter) {
		return s.latenciesOfFew(ctx, q)
	}
	read, err := s.readFor(ctx, q, requests)
	if err != nil {
		return gateway.Latencies{}, err
	}
	ttft, whole := map[latencyKey]int64{}, map[latencyKey]int64{}
	err = s.transactWith(ctx, "counting latencies", sql.TxOptions{ReadOnly: true}, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, s.engine.withoutCompiler()); err != nil {
			return err
		}
		return s.countLatencies(ctx, tx, sampleOf(q.Bounds, read), q.RequestFilter, ttft, whole)
	})
	return gateway.Latencies{TTFT: latencyCounts(ttft), Whole: latencyCounts(whole)}, err
}

// readFor is how many requests have to be read for those that a filter chooses: without an
// index all of the time.
func (s *Store) readFor(ctx context.Context, q gateway.UsageQuery, requests int64) (int64, error) {
	if !isSparse(q.RequestFilter) {
		return requests, nil
	}
	all, err := s.Usage(ctx, gateway.UsageQuery{RequestFilter: gateway.RequestFilter{Key: q.Key}, Bounds: []time.Time{q.Bounds[0], q.Bounds[len(q.Bounds)-1]}})
	var n int64
	for _, sum := range all {
		n += sum.Requests
	}
	return n, err
}

// latenciesOfFew are those of requests that are found one by one.
func (s *Store) latenciesOfFew(ctx context.Context, q gateway.UsageQuery) (gateway.Latencies, error) {
	f := q.RequestFilter
	f.From, f.To = q.Bounds[0], q.Bounds[len(q.Bounds)-1]
	found, err := s.Requests(ctx, f, gateway.RequestPlace{}, fewRequests)
	ttft, whole := map[latencyKey]int64{}, map[latencyKey]int64{}
	for i := range found.Requests {
		r := &found.Requests[i]
		bucket, _ := slices.BinarySearchFunc(q.Bounds[1:], r.StartedAt, func(end, at time.Time) int { return cmp.Or(end.Compare(at), -1) })
		whole[latencyKey{bucket, stepOf(r.Duration)}]++
		if r.TTFT != nil {
			ttft[latencyKey{bucket, stepOf(*r.TTFT)}]++
		}
	}
	return gateway.Latencies{TTFT: latencyCounts(ttft), Whole: latencyCounts(whole)}, err
}

type latencyKey struct{ bucket, step int }

func stepWidth() float64 { return math.Log(gateway.LatencyStep) }

func stepOf(d time.Duration) int {
	return int(math.Floor(math.Log(float64(d.Milliseconds())+1) / stepWidth()))
}

// countLatencies joins the requests to a list of parts. A SELECT for each part would have
// PostgreSQL plan and read every partition as often as there are parts.
func (s *Store) countLatencies(ctx context.Context, tx *sqlx.Tx, parts []part, f gateway.RequestFilter, ttft, whole map[latencyKey]int64) error {
	var list []string
	var args []any
	for _, p := range parts {
		list = append(list, fmt.Sprintf("(%d, %[2]s, %[2]s)", p.bucket, s.engine.moment("?")))
		args = append(args, moment(p.from), moment(p.to))
	}
	step := func(column string) string { return fmt.Sprintf("FLOOR(LN(%s + 1) / %.6f)", column, stepWidth()) }
	chosen, of := where(append([]condition{{"r.started_at >= p.starts AND r.started_at < p.ends", nil}}, conditions(f)...))
	query := fmt.Sprintf("WITH p(bucket, starts, ends) AS (VALUES %s) SELECT p.bucket, %s AS ttft, %s AS whole, COUNT(*) AS requests FROM p CROSS JOIN requests r%s GROUP BY 1, 2, 3",
		strings.Join(list, ", "), step("r.ttft_ms"), step("r.duration_ms"), chosen)
	var rows []struct {
		Bucket   int      `db:"bucket"`
		TTFT     *float64 `db:"ttft"`
		Whole    float64  `db:"whole"`
		Requests int64    `db:"requests"`
	}
	err := tx.SelectContext(ctx, &rows, tx.Rebind(query), append(args, of...)...)
	for _, r := range rows {
		whole[latencyKey{r.Bucket, int(r.Whole)}] += r.Requests
		if r.TTFT != nil {
			ttft[latencyKey{r.Bucket, int(*r.TTFT)}] += r.Requests
		}
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
