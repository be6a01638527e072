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

// requestColumns are those of requests, in the order of request's values.
var requestColumns = []string{"started_at", "id", "request_id", "duration_ms", "ttft_ms", "key_id", "user_id", "client_ip", "endpoint",
	"model", "backend", "upstream_model", "stream", "status", "outcome", "attempts", "prompt_tokens", "cached_tokens", "completion_tokens",
	"reasoning_tokens", "usage_source", "witness", "cost_nanousd", "error_code", "cache_write_tokens", "price_version"}

func (r *row) request() []any {
	return []any{r.StartedAt, r.ID, r.RequestID, r.DurationMS, r.TTFTMS, r.KeyID, r.UserID, r.ClientIP, r.Endpoint,
		r.Model, r.Backend, r.UpstreamModel, r.Stream, r.Status, r.Outcome.String(), r.Attempts, r.PromptTokens, r.CachedTokens, r.CompletionTokens,
		r.ReasoningTokens, r.UsageSource.String(), r.Witness.String(), r.CostNanoUSD, r.ErrorCode, r.CacheWriteTokens, r.PriceVersion}
}

// Two things are known of a request, each by somebody: what it used, and how it ended.
// The better informed one of each stands, whichever came first.
var (
	usageColumns = []string{"prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens", "reasoning_tokens", "usage_source",
		"cost_nanousd", "price_version", "error_code"}
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

// insertRequest writes a row, or completes the one that is there. It never makes a second.
func insertRequest() string {
	var set []string
	better := func(rank func(string) string, columns []string) {
		for _, c := range columns {
			set = append(set, fmt.Sprintf("%[1]s = CASE WHEN %[2]s > %[3]s THEN excluded.%[1]s ELSE requests.%[1]s END",
				c, rank("excluded"), rank("requests")))
		}
	}
	better(sourceRank, usageColumns)
	better(endRank, endColumns)
	set = append(set, fmt.Sprintf(`witness = CASE
		WHEN excluded.witness = '%[1]s' OR requests.witness = '%[1]s' THEN '%[1]s'
		WHEN excluded.witness = requests.witness OR excluded.witness = '%[2]s' THEN requests.witness
		WHEN requests.witness = '%[2]s' THEN excluded.witness
		ELSE '%[1]s' END`, gateway.ByBoth, gateway.ByNone))
	return sabotaged(insert("requests", requestColumns...), fmt.Sprintf(` ON CONFLICT (started_at, id) DO UPDATE SET %s
		WHERE (%s > %s) OR (%s > %s) OR (excluded.witness <> requests.witness AND requests.witness <> '%s' AND excluded.witness <> '%s')`,
		strings.Join(set, ", "), sourceRank("excluded"), sourceRank("requests"), endRank("excluded"), endRank("requests"),
		gateway.ByBoth, gateway.ByNone))
}

func insert(table string, columns ...string) string {
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ")"
}

// statements are the prepared inserts.
type statements struct{ request, prompt, key, attempt *sqlx.Stmt }

func (s *Store) prepare(ctx context.Context) (err error) {
	for _, p := range []struct {
		statement **sqlx.Stmt
		text      string
	}{
		{&s.insert.request, insertRequest()},
		{&s.insert.prompt, insert("prompts", "started_at", "id", "key_id", "model", "prompt", "answer", "prompt_tokens", "completion_tokens") +
			" ON CONFLICT (started_at, id) DO NOTHING"},
		{&s.insert.key, insert("keys", "key_id", "label", "first_seen") + " ON CONFLICT (key_id) DO NOTHING"},
		{&s.insert.attempt, insert("attempts", "started_at", "id", "attempt", "backend", "status", "start_ms", "duration_ms", "response_bytes",
			"cost_nanousd") + " ON CONFLICT (started_at, id, attempt) DO NOTHING"},
	} {
		if *p.statement, err = s.db.PreparexContext(ctx, s.db.Rebind(p.text)); err != nil {
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
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing usage: %w", err)
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := s.writeRows(ctx, tx, rows); err != nil {
		return fmt.Errorf("writing usage: %w", err)
	}
	if _, err := tx.NamedExecContext(ctx, savePosition, at); err != nil {
		return fmt.Errorf("writing the journal's position: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("writing usage: %w", err)
	}
	return nil
}

func (s *Store) writeRows(ctx context.Context, tx *sqlx.Tx, rows []*row) error {
	in := statements{tx.StmtxContext(ctx, s.insert.request), tx.StmtxContext(ctx, s.insert.prompt), tx.StmtxContext(ctx, s.insert.key),
		tx.StmtxContext(ctx, s.insert.attempt)}
	keys := map[string]bool{}
	for _, r := range rows {
		if err := in.write(ctx, r); err != nil {
			return err
		}
		if keys[r.KeyID] {
			continue
		}
		keys[r.KeyID] = true
		if _, err := in.key.ExecContext(ctx, r.KeyID, r.Label, r.StartedAt); err != nil {
			return err
		}
	}
	return nil
}

func (in statements) write(ctx context.Context, r *row) error {
	if _, err := in.request.ExecContext(ctx, r.request()...); err != nil {
		return err
	}
	for _, a := range r.Tries {
		if _, err := in.attempt.ExecContext(ctx, a.StartedAt, a.ID, a.Attempt, a.Backend, a.Status, a.StartMS, a.DurationMS, a.Bytes,
			a.CostNanoUSD); err != nil {
			return err
		}
	}
	if r.Prompt == "" && r.Answer == "" {
		return nil
	}
	_, err := in.prompt.ExecContext(ctx, r.StartedAt, r.ID, r.KeyID, r.Model, r.Prompt, r.Answer, r.PromptTokens, r.CompletionTokens)
	return err
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
