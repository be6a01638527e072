package usage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// timeFormat makes times sort as text and reads as a timestamp in PostgreSQL.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }

// row is a row of requests, with its key's label, its prompt, if it has one, and its
// attempts.
type row struct {
	StartedAt        string
	ID               string
	RequestID        string
	DurationMS       int64
	TTFTMS           *int64
	KeyID            string
	UserID           *string
	ClientIP         string
	Endpoint         string
	Model            string
	Backend          string
	UpstreamModel    string
	Stream           bool
	Status           int
	Outcome          gateway.Outcome
	Attempts         int
	PromptTokens     int64
	CachedTokens     int64
	CompletionTokens int64
	ReasoningTokens  int64
	UsageSource      gateway.Source
	Witness          gateway.Witness
	CostNanoUSD      *int64
	ErrorCode        *string
	CacheWriteTokens int64
	PriceVersion     *string

	Label          string
	Prompt, Answer string
	Tries          []attempt
}

// attempt is a row of attempts.
type attempt struct {
	StartedAt   string
	ID          string
	Attempt     int64
	Backend     string
	Status      int64
	StartMS     int64
	DurationMS  int64
	Bytes       int64
	CostNanoUSD *int64
}

// requestColumns are those of requests, in the order of appendRequest's values.
var requestColumns = []string{"started_at", "id", "request_id", "duration_ms", "ttft_ms", "key_id", "user_id", "client_ip", "endpoint",
	"model", "backend", "upstream_model", "stream", "status", "outcome", "attempts", "prompt_tokens", "cached_tokens", "completion_tokens",
	"reasoning_tokens", "usage_source", "witness", "cost_nanousd", "error_code", "cache_write_tokens", "price_version"}

// appendRequest appends the values of a row of requests.
func (r *row) appendRequest(values []any) []any {
	return append(values, r.StartedAt, r.ID, r.RequestID, r.DurationMS, r.TTFTMS, r.KeyID, r.UserID, r.ClientIP, r.Endpoint,
		r.Model, r.Backend, r.UpstreamModel, r.Stream, r.Status, r.Outcome.String(), r.Attempts, r.PromptTokens, r.CachedTokens, r.CompletionTokens,
		r.ReasoningTokens, r.UsageSource.String(), r.Witness.String(), r.CostNanoUSD, r.ErrorCode, r.CacheWriteTokens, r.PriceVersion)
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

const savePosition = `
INSERT INTO journal_positions (name, file, byte_offset) VALUES ('journal', :file, :byte_offset)
ON CONFLICT (name) DO UPDATE SET file = excluded.file, byte_offset = excluded.byte_offset`

// position is a place in the journal.
type position struct {
	File   int64 `db:"file"` // inode; 0 before the first file
	Offset int64 `db:"byte_offset"`
}

// write writes rows and the place up to which the journal is in them, all or nothing.
func (s *Store) write(ctx context.Context, rows []*row, at position) error {
	if err := s.there(); err != nil {
		return fmt.Errorf("writing usage: %w", err)
	}
	err := s.transact(ctx, false, func(tx *sqlx.Tx) error {
		if err := s.writeRows(ctx, tx, rows); err != nil {
			return err
		}
		_, err := tx.NamedExecContext(ctx, savePosition, at)
		return err
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

func (s *Store) writeRows(ctx context.Context, tx *sqlx.Tx, rows []*row) error {
	var prompts, keys []any
	requests := make([]any, 0, len(rows)*len(requestColumns))
	attempts := make([]any, 0, len(rows)*len(attemptColumns)) // most have one
	known := map[string]bool{}
	for _, r := range rows {
		requests = r.appendRequest(requests)
		for _, a := range r.Tries {
			attempts = append(attempts, a.StartedAt, a.ID, a.Attempt, a.Backend, a.Status, a.StartMS, a.DurationMS, a.Bytes, a.CostNanoUSD)
		}
		if r.Prompt != "" || r.Answer != "" {
			prompts = append(prompts, r.StartedAt, r.ID, r.KeyID, r.Model, r.Prompt, r.Answer, r.PromptTokens, r.CompletionTokens)
		}
		if !known[r.KeyID] {
			known[r.KeyID] = true
			keys = append(keys, r.KeyID, r.Label, r.StartedAt)
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

// position returns up to where the journal is in rows.
func (s *Store) position(ctx context.Context) (position, error) {
	var at position
	err := s.db.GetContext(ctx, &at, `SELECT file, byte_offset FROM journal_positions WHERE name = 'journal'`)
	if errors.Is(err, sql.ErrNoRows) {
		return position{}, nil
	}
	if err != nil {
		return position{}, fmt.Errorf("reading the journal's position: %w", err)
	}
	return at, nil
}
