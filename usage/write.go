package usage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// timeFormat makes times sort as text and reads as a timestamp in PostgreSQL.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }

// row is a row of requests, with its key's label and its prompt, if it has one.
type row struct {
	StartedAt        string  `db:"started_at"`
	ID               string  `db:"id"`
	RequestID        string  `db:"request_id"`
	DurationMS       int64   `db:"duration_ms"`
	TTFTMS           *int64  `db:"ttft_ms"`
	KeyID            string  `db:"key_id"`
	UserID           *string `db:"user_id"`
	ClientIP         string  `db:"client_ip"`
	Endpoint         string  `db:"endpoint"`
	Model            string  `db:"model"`
	Backend          string  `db:"backend"`
	UpstreamModel    string  `db:"upstream_model"`
	Stream           bool    `db:"stream"`
	Status           int     `db:"status"`
	Outcome          string  `db:"outcome"`
	Attempts         int     `db:"attempts"`
	PromptTokens     int64   `db:"prompt_tokens"`
	CachedTokens     int64   `db:"cached_tokens"`
	CompletionTokens int64   `db:"completion_tokens"`
	ReasoningTokens  int64   `db:"reasoning_tokens"`
	UsageSource      string  `db:"usage_source"`
	Witness          string  `db:"witness"`
	CostNanoUSD      *int64  `db:"cost_nanousd"`
	ErrorCode        *string `db:"error_code"`

	Label  string `db:"label"`
	Prompt string `db:"prompt"`
	Answer string `db:"answer"`
}

// rank orders what is known of a request: first by where its usage comes from,
// then by who saw its end. Envoy sees the end also of what the gateway had to let
// go of when it stopped.
func rank(table string) string {
	return fmt.Sprintf(`(CASE %[1]s.usage_source WHEN '%[2]s' THEN 40 WHEN '%[3]s' THEN 30 WHEN '%[4]s' THEN 20 ELSE 10 END
		+ CASE %[1]s.witness WHEN '%[5]s' THEN 3 WHEN '%[6]s' THEN 2 ELSE 1 END)`,
		table, gateway.FromProvider, gateway.FromEnvoy, gateway.Counted, gateway.ByBoth, gateway.ByEnvoy)
}

// insertRequest writes a row, or replaces one that knows less. It never makes a second.
var insertRequest = `
INSERT INTO requests (started_at, id, request_id, duration_ms, ttft_ms, key_id, user_id, client_ip, endpoint, model, backend,
	upstream_model, stream, status, outcome, attempts, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens,
	usage_source, witness, cost_nanousd, error_code)
VALUES (:started_at, :id, :request_id, :duration_ms, :ttft_ms, :key_id, :user_id, :client_ip, :endpoint, :model, :backend,
	:upstream_model, :stream, :status, :outcome, :attempts, :prompt_tokens, :cached_tokens, :completion_tokens, :reasoning_tokens,
	:usage_source, :witness, :cost_nanousd, :error_code)
ON CONFLICT (started_at, id) DO UPDATE SET
	duration_ms = excluded.duration_ms, ttft_ms = excluded.ttft_ms, status = excluded.status, outcome = excluded.outcome,
	attempts = excluded.attempts, prompt_tokens = excluded.prompt_tokens, cached_tokens = excluded.cached_tokens,
	completion_tokens = excluded.completion_tokens, reasoning_tokens = excluded.reasoning_tokens,
	usage_source = excluded.usage_source, witness = excluded.witness, cost_nanousd = excluded.cost_nanousd,
	error_code = excluded.error_code
WHERE ` + rank("excluded") + ` > ` + rank("requests")

const insertPrompt = `
INSERT INTO prompts (started_at, id, key_id, model, prompt, answer, prompt_tokens, completion_tokens)
VALUES (:started_at, :id, :key_id, :model, :prompt, :answer, :prompt_tokens, :completion_tokens)
ON CONFLICT (started_at, id) DO NOTHING`

const insertKey = `
INSERT INTO keys (key_id, label, first_seen) VALUES (:key_id, :label, :started_at) ON CONFLICT (key_id) DO NOTHING`

const savePosition = `
INSERT INTO journal_positions (name, file, byte_offset) VALUES ('journal', :file, :byte_offset)
ON CONFLICT (name) DO UPDATE SET file = excluded.file, byte_offset = excluded.byte_offset`

// position is a place in the journal.
type position struct {
	File   int64 `db:"file"` // inode; 0 before the first file
	Offset int64 `db:"byte_offset"`
}

// write writes rows and the place up to which the journal is in them, all or nothing.
func (s *Store) write(ctx context.Context, rows []row, at position) error {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing usage: %w", err)
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := writeRows(ctx, tx, rows); err != nil {
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

// writeRows writes rows in a transaction, which is what ctx ends. Its single statements
// are short, and one that could be ended would cost the driver a goroutine each.
func writeRows(ctx context.Context, tx *sqlx.Tx, rows []row) error {
	ctx = context.WithoutCancel(ctx)
	var statements [3]*sqlx.NamedStmt
	for i, text := range []string{insertRequest, insertPrompt, insertKey} {
		var err error
		if statements[i], err = tx.PrepareNamedContext(ctx, text); err != nil {
			return err
		}
		defer statements[i].Close()
	}
	keys := map[string]bool{}
	for _, r := range rows {
		if _, err := statements[0].ExecContext(ctx, r); err != nil {
			return err
		}
		if r.Prompt != "" || r.Answer != "" {
			if _, err := statements[1].ExecContext(ctx, r); err != nil {
				return err
			}
		}
		if keys[r.KeyID] {
			continue
		}
		keys[r.KeyID] = true
		if _, err := statements[2].ExecContext(ctx, r); err != nil {
			return err
		}
	}
	return nil
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
