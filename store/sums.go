package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// A sum over a period has parts: full hours come from usage_hourly, the remainders at both ends
// from the requests. So it is equally fast with many requests and with few.

// part is a period that one SELECT sums up.
type part struct {
	bucket   int
	from, to time.Time
	hourly   bool
}

// farAway stands for an open end.
func farAway() time.Time { return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }

// partsOf cuts buckets into parts; unless hourly, each is one part of requests.
func partsOf(bounds []time.Time, hourly bool) (parts []part) {
	add := func(p part) {
		if p.from.Before(p.to) {
			parts = append(parts, p)
		}
	}
	for i := range len(bounds) - 1 {
		from, to := bounds[i].UTC(), bounds[i+1].UTC()
		first, last := from.Add(time.Hour-1).Truncate(time.Hour), to.Truncate(time.Hour)
		if !hourly || !first.Before(last) {
			add(part{i, from, to, false})
			continue
		}
		add(part{i, from, first, false})
		add(part{i, first, last, true})
		add(part{i, last, to, false})
	}
	return parts
}

// hourlyKnows reports whether usage_hourly has the columns of a filter.
func hourlyKnows(f gateway.RequestFilter) bool {
	return f.Outcome == "" && f.RequestID == "" && f.Tag == (gateway.Tag{})
}

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
	case gateway.GroupByTeam:
		return "COALESCE(r.team, '')"
	case gateway.GroupByTag:
		return "r.tag || '=' || r.value"
	}
	return "''"
}

const hourlyFigures = `CAST(SUM(r.requests) AS BIGINT) AS requests, CAST(SUM(r.failed) AS BIGINT) AS failed, CAST(SUM(r.unpriced) AS BIGINT) AS unpriced,
	CAST(SUM(r.estimated) AS BIGINT) AS estimated, CAST(SUM(r.prompt_tokens) AS BIGINT) AS prompt, CAST(SUM(r.cached_tokens) AS BIGINT) AS cached,
	CAST(SUM(r.cache_write_tokens) AS BIGINT) AS cache_write, CAST(SUM(r.completion_tokens) AS BIGINT) AS completion,
	CAST(SUM(r.reasoning_tokens) AS BIGINT) AS reasoning, CAST(SUM(r.cost_nanousd) AS BIGINT) AS cost, CAST(SUM(r.duration_ms) AS BIGINT) AS duration,
	CAST(SUM(r.ttft_ms) AS BIGINT) AS ttft, CAST(SUM(r.answered) AS BIGINT) AS answered`

const requestFigures = `COUNT(*) AS requests, SUM(CASE WHEN r.outcome IN ('provider_error', 'provider_closed') THEN 1 ELSE 0 END) AS failed,
	SUM(CASE WHEN r.cost_nanousd IS NULL THEN 1 ELSE 0 END) AS unpriced, SUM(CASE WHEN r.usage_source IN ('counted', 'estimated') THEN 1 ELSE 0 END) AS estimated,
	CAST(SUM(r.prompt_tokens) AS BIGINT) AS prompt, CAST(SUM(r.cached_tokens) AS BIGINT) AS cached, CAST(SUM(r.cache_write_tokens) AS BIGINT) AS cache_write,
	CAST(SUM(r.completion_tokens) AS BIGINT) AS completion, CAST(SUM(r.reasoning_tokens) AS BIGINT) AS reasoning,
	CAST(COALESCE(SUM(r.cost_nanousd), 0) AS BIGINT) AS cost, CAST(SUM(r.duration_ms) AS BIGINT) AS duration,
	CAST(COALESCE(SUM(r.ttft_ms), 0) AS BIGINT) AS ttft, COUNT(r.ttft_ms) AS answered`

// query sums up a part by two columns.
func (p part) query(group, subgroup string, f gateway.RequestFilter) (text string, args []any) {
	table, figures, times := "requests", requestFigures, between(p.from, p.to)
	if strings.HasPrefix(group, "r.tag") {
		table = "request_tags"
	}
	if p.hourly {
		table, figures = "usage_hourly", hourlyFigures
		times = []condition{{"r.day >= ? AND r.day <= ? AND r.hour >= ? AND r.hour < ?",
			[]any{p.from.Format(time.DateOnly), p.to.Format(time.DateOnly), moment(p.from), moment(p.to)}}}
	}
	condition, args := where(append(times, conditions(f)...))
	return fmt.Sprintf("SELECT %d AS bucket, %s AS grouped, %s AS subgroup, %s FROM %s r%s GROUP BY 2, 3", p.bucket, group, subgroup, figures, table, condition), args
}

// partsAtOnce is how many parts one query joins: SQLite takes 500.
// Source: https://www.sqlite.org/limits.html#max_compound_select
const partsAtOnce = 400

// sumRow is the sum of a part, by bucket, group and subgroup.
type sumRow struct {
	Bucket     int           `db:"bucket"`
	Grouped    string        `db:"grouped"`
	Subgroup   string        `db:"subgroup"`
	Label      string        `db:"label"` // of the key, if the group is one
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

// sum sums up parts, in the order of bucket, group and subgroup.
func (s *Store) sum(ctx context.Context, parts []part, group, subgroup string, f gateway.RequestFilter) ([]sumRow, error) {
	var all []sumRow
	err := s.read(ctx, "summing usage", func(c *sqlx.Conn) error {
		for some := range slices.Chunk(parts, partsAtOnce) {
			var texts []string
			var args []any
			for _, p := range some {
				text, of := p.query(group, subgroup, f)
				texts, args = append(texts, text), append(args, of...)
			}
			var rows []sumRow
			query := "SELECT u.*, COALESCE(k.label, '') AS label FROM (" + strings.Join(texts, " UNION ALL ") + ") u LEFT JOIN keys k ON k.key_id = u.grouped"
			if err := c.SelectContext(ctx, &rows, c.Rebind(query), args...); err != nil {
				return err
			}
			all = append(all, rows...)
		}
		return nil
	})
	return merged(all), err
}

// merged sums up rows of the same bucket, group and subgroup. Hours that corrections have emptied
// are left out.
func merged(rows []sumRow) (sums []sumRow) {
	slices.SortFunc(rows, compareSums)
	for _, r := range rows {
		switch n := len(sums); {
		case r.Requests == 0:
		case n > 0 && compareSums(sums[n-1], r) == 0:
			sums[n-1].add(&r)
		default:
			sums = append(sums, r)
		}
	}
	return sums
}

func compareSums(a, b sumRow) int {
	return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Grouped, b.Grouped), cmp.Compare(a.Subgroup, b.Subgroup))
}

func (r *sumRow) add(o *sumRow) {
	r.Requests += o.Requests
	r.Failed += o.Failed
	r.Unpriced += o.Unpriced
	r.Estimated += o.Estimated
	r.Prompt += o.Prompt
	r.Cached += o.Cached
	r.CacheWrite += o.CacheWrite
	r.Completion += o.Completion
	r.Reasoning += o.Reasoning
	r.Cost += o.Cost
	r.Duration += o.Duration
	r.TTFT += o.TTFT
	r.Answered += o.Answered
}

// Usage sums up requests by bucket and group. Buckets and groups without requests have no sum.
func (s *Store) Usage(ctx context.Context, q gateway.UsageQuery) ([]gateway.UsageSum, error) {
	hourly := hourlyKnows(q.RequestFilter) && q.Group != gateway.GroupByTag
	rows, err := s.sum(ctx, partsOf(q.Bounds, hourly), groupColumn(q.Group), "''", q.RequestFilter)
	sums := make([]gateway.UsageSum, len(rows))
	for i := range rows {
		sums[i] = rows[i].usage()
		if q.Group != gateway.GroupByKey {
			sums[i].Label = ""
		}
	}
	return sums, err
}

func (r *sumRow) usage() gateway.UsageSum {
	return gateway.UsageSum{
		Bucket: r.Bucket, Group: r.Grouped, Label: r.Label, Requests: r.Requests, Failed: r.Failed, Unpriced: r.Unpriced, Estimated: r.Estimated,
		Tokens: gateway.Usage{Prompt: r.Prompt, Cached: r.Cached, CacheWrite: r.CacheWrite, Completion: r.Completion, Reasoning: r.Reasoning},
		Cost:   r.Cost, Duration: inMS(r.Duration), TTFT: inMS(r.TTFT), Answered: r.Answered,
	}
}

// Costs sums up the requests of a filter by key and model, in the order of their ids.
func (s *Store) Costs(ctx context.Context, f gateway.RequestFilter) ([]gateway.KeyCosts, error) {
	to := f.To
	if to.IsZero() {
		to = farAway()
	}
	rows, err := s.sum(ctx, partsOf([]time.Time{f.From, to}, hourlyKnows(f)), "r.key_id", "r.model", f)
	var keys []gateway.KeyCosts
	for _, r := range rows {
		if n := len(keys); n == 0 || string(keys[n-1].Key.ID) != r.Grouped {
			keys = append(keys, gateway.KeyCosts{Key: gateway.Key{ID: gateway.KeyID(r.Grouped), Label: r.Label}})
		}
		last := &keys[len(keys)-1]
		last.Add(r.costs())
		last.Models = append(last.Models, gateway.ModelCosts{Model: gateway.Model(r.Subgroup), Sums: r.costs()})
	}
	return keys, err
}

func (r *sumRow) costs() gateway.Sums {
	return gateway.Sums{Requests: r.Requests, PromptTokens: r.Prompt, CachedTokens: r.Cached, CompletionTokens: r.Completion, Cost: r.Cost, Unpriced: r.Unpriced}
}
