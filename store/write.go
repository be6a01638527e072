package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// timeFormat makes times sort as text and reads as a timestamp in PostgreSQL.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }

// requestColumns are those of requests, in the order of appendRequest's values.
var requestColumns = []string{"started_at", "id", "request_id", "duration_ms", "ttft_ms", "key_id", "user_id", "client_ip", "endpoint",
	"model", "backend", "upstream_model", "stream", "status", "outcome", "attempts", "prompt_tokens", "cached_tokens", "completion_tokens",
	"reasoning_tokens", "usage_source", "witness", "cost_nanousd", "error_code", "cache_write_tokens", "price_version"}

// appendRequest appends the values of a row of requests.
func appendRequest(values []any, r *gateway.Row) []any {
	u := r.Usage
	return append(values, stamp(r.StartedAt), r.ID.String(), r.RequestID, r.Duration.Milliseconds(), milliseconds(r.TTFT), r.KeyID, optional(r.UserID),
		r.ClientIP, r.Endpoint.Path(), r.Model, r.Backend, r.UpstreamModel, r.Stream, r.Status, r.Outcome.String(), r.Attempts, u.Prompt, u.Cached,
		u.Completion, u.Reasoning, r.Source.String(), r.Witness.String(), r.Cost.Amount, optional(r.ErrorCode), u.CacheWrite, optional(r.Cost.Version))
}

// milliseconds are those of a duration, null for none.
func milliseconds(d time.Duration) *int64 {
	if d <= 0 {
		return nil
	}
	ms := d.Milliseconds()
	return &ms
}

// optional is a text, null for none.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Two things are known of a request, each by somebody: what it used, and how it ended.
// The better informed one of each stands, whichever came first; of two usages that are known
// equally well, the one of who saw the end better.
var (
	usageColumns = []string{"prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens", "reasoning_tokens", "usage_source",
		"cost_nanousd", "price_version"}
	endColumns = []string{"duration_ms", "ttft_ms", "status", "outcome", "attempts", "backend", "upstream_model"}
)

// sourceRank orders where a usage comes from, by gateway.Source.
func sourceRank(table string) string {
	return fmt.Sprintf("CASE %s.usage_source WHEN '%s' THEN 4 WHEN '%s' THEN 3 WHEN '%s' THEN 2 ELSE 1 END",
		table, gateway.FromProvider, gateway.FromEnvoy, gateway.Counted)
}

// endRank orders who saw the end: Envoy sees it also of what the gateway had to let go.
func endRank(table string) string {
	return fmt.Sprintf("CASE %s.witness WHEN '%s' THEN 3 WHEN '%s' THEN 3 WHEN '%s' THEN 2 ELSE 1 END",
		table, gateway.ByBoth, gateway.ByEnvoy, gateway.ByGateway)
}

// insertRequests writes rows, or completes those that are there. It never makes a second.
func insertRequests(rows int) string {
	var set []string
	better := func(columns []string, condition string) {
		for _, c := range columns {
			set = append(set, fmt.Sprintf("%[1]s = CASE WHEN %[2]s THEN excluded.%[1]s ELSE requests.%[1]s END", c, condition))
		}
	}
	betterEnd := fmt.Sprintf("%s > %s", endRank("excluded"), endRank("requests"))
	source, known := sourceRank("excluded"), sourceRank("requests")
	better(usageColumns, fmt.Sprintf("%[1]s > %[2]s OR (%[1]s = %[2]s AND %[3]s)", source, known, betterEnd))
	better(endColumns, betterEnd)
	set = append(set, "error_code = COALESCE(excluded.error_code, requests.error_code)")
	set = append(set, fmt.Sprintf(`witness = CASE
		WHEN excluded.witness = '%[1]s' OR requests.witness = '%[1]s' THEN '%[1]s'
		WHEN excluded.witness = requests.witness OR excluded.witness = '%[2]s' THEN requests.witness
		WHEN requests.witness = '%[2]s' THEN excluded.witness
		ELSE '%[1]s' END`, gateway.ByBoth, gateway.ByNone))
	return sabotaged(insert(rows, "requests", requestColumns...), fmt.Sprintf(` ON CONFLICT (started_at, id) DO UPDATE SET %s
		WHERE (%s > %s) OR (%s) OR (excluded.witness <> requests.witness AND requests.witness <> '%s' AND excluded.witness <> '%s')`,
		strings.Join(set, ", "), source, known, betterEnd,
		gateway.ByBoth, gateway.ByNone))
}

// insert is an INSERT of so many rows.
func insert(rows int, table string, columns ...string) string {
	row := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + row + strings.Repeat(", "+row, rows-1)
}

// bulkRows is how many rows a statement for many inserts: a call costs as much as a few rows.
const bulkRows = 25

// bulk inserts rows of one table.
type bulk struct{ many, one *sqlx.Stmt }

// exec inserts rows, whose values stand one after another.
func (b bulk) exec(ctx context.Context, values []any, columns int) error {
	for len(values) > 0 {
		statement, n := b.one, columns
		if len(values) >= bulkRows*columns {
			statement, n = b.many, bulkRows*columns
		}
		if _, err := statement.ExecContext(ctx, values[:n]...); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// statements are the prepared inserts.
type statements struct{ requests, prompts, keys, attempts bulk }

var (
	promptColumns  = []string{"started_at", "id", "key_id", "model", "prompt", "answer", "prompt_tokens", "completion_tokens"}
	keyColumns     = []string{"key_id", "label", "first_seen"}
	attemptColumns = []string{"started_at", "id", "attempt", "backend", "status", "start_ms", "duration_ms", "response_bytes", "cost_nanousd"}
)

func (s *Store) prepare(ctx context.Context) error {
	for _, p := range []struct {
		into *bulk
		text func(rows int) string
	}{
		{&s.insert.requests, insertRequests},
		{&s.insert.prompts, func(n int) string {
			return insert(n, "prompts", promptColumns...) + " ON CONFLICT (started_at, id) DO NOTHING"
		}},
		{&s.insert.keys, func(n int) string { return insert(n, "keys", keyColumns...) + " ON CONFLICT (key_id) DO NOTHING" }},
		{&s.insert.attempts, func(n int) string {
			return insert(n, "attempts", attemptColumns...) + " ON CONFLICT (started_at, id, attempt) DO NOTHING"
		}},
	} {
		var err, fault error
		p.into.many, err = s.db.PreparexContext(ctx, s.db.Rebind(p.text(bulkRows)))
		p.into.one, fault = s.db.PreparexContext(ctx, s.db.Rebind(p.text(1)))
		if err := errors.Join(err, fault); err != nil {
			return err
		}
	}
	return nil
}

// Write writes rows and the place up to which a writer's access log is in them, all or
// nothing. A writer is known by the identity of its write-ahead log.
func (s *Store) Write(ctx context.Context, rows []*gateway.Row, writer uuid.UUID, at gateway.LogPosition) error {
	if err := s.there(); err != nil {
		return fmt.Errorf("writing usage: %w", err)
	}
	err := s.transact(ctx, false, func(tx *sqlx.Tx) error {
		if err := s.writeRows(ctx, tx, rows); err != nil {
			return err
		}
		return savePosition(ctx, tx, writer, at)
	})
	if err != nil {
		return fmt.Errorf("writing usage to %q: %w", s.path, err)
	}
	return nil
}

// transact does something in a transaction, all or nothing of it.
func (s *Store) transact(ctx context.Context, readOnly bool, do func(*sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: readOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *Store) writeRows(ctx context.Context, tx *sqlx.Tx, rows []*gateway.Row) error {
	var prompts, keys []any
	requests := make([]any, 0, len(rows)*len(requestColumns))
	attempts := make([]any, 0, len(rows)*len(attemptColumns)) // most have one
	known := map[gateway.KeyID]bool{}
	for _, r := range rows {
		requests = appendRequest(requests, r)
		for n, a := range r.Tries {
			attempts = append(attempts, stamp(r.StartedAt), r.ID.String(), n+1, a.Backend, a.Status, a.Start.Milliseconds(), a.Duration.Milliseconds(), a.Bytes, a.Cost)
		}
		if r.Prompt != "" || r.Answer != "" {
			prompts = append(prompts, stamp(r.StartedAt), r.ID.String(), r.KeyID, r.Model, r.Prompt, r.Answer, r.Usage.Prompt, r.Usage.Completion)
		}
		if !known[r.KeyID] {
			known[r.KeyID] = true
			keys = append(keys, r.KeyID, r.KeyLabel, stamp(r.StartedAt))
		}
	}
	err := s.insert.requests.in(ctx, tx).exec(ctx, requests, len(requestColumns))
	if err == nil {
		err = s.insert.attempts.in(ctx, tx).exec(ctx, attempts, len(attemptColumns))
	}
	if err == nil {
		err = s.insert.prompts.in(ctx, tx).exec(ctx, prompts, len(promptColumns))
	}
	if err == nil {
		err = s.insert.keys.in(ctx, tx).exec(ctx, keys, len(keyColumns))
	}
	return err
}

// in is the same within a transaction.
func (b bulk) in(ctx context.Context, tx *sqlx.Tx) bulk {
	return bulk{tx.StmtxContext(ctx, b.many), tx.StmtxContext(ctx, b.one)}
}
