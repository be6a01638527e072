package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// batch is rows for one table.
type batch struct {
	table    string
	columns  []string
	key      string // the columns of the primary key
	conflict string // ON CONFLICT …: what becomes of a row that is there already
	values   []any  // of all rows, one after another
}

func (b *batch) add(values ...any) { b.values = append(b.values, values...) }

// requests, attempts, prompts, keys, responses and spending are batches without rows.

func requests() *batch {
	return &batch{table: "requests", key: "started_at, id", conflict: onConflict(completeRequest()), columns: []string{"started_at", "id", "request_id",
		"duration_ms", "ttft_ms", "key_id", "user_id", "client_ip", "endpoint", "model", "backend", "upstream_model", "stream", "status", "outcome",
		"attempts", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "usage_source", "witness", "cost_nanousd", "error_code",
		"cache_write_tokens", "price_version", "gateway", "service_tier", "team", "tags", "cache_write_1h_tokens", "server_tool_calls"}}
}

func attempts() *batch {
	return &batch{table: "attempts", key: "started_at, id, attempt", conflict: "ON CONFLICT (started_at, id, attempt) DO NOTHING", columns: []string{
		"started_at", "id", "attempt", "backend", "status", "start_ms", "duration_ms", "response_bytes", "cost_nanousd"}}
}

func prompts() *batch {
	return &batch{table: "prompts", key: "started_at, id", conflict: "ON CONFLICT (started_at, id) DO NOTHING", columns: []string{"started_at", "id",
		"key_id", "model", "prompt", "answer", "prompt_tokens", "completion_tokens"}}
}

func keys() *batch {
	return &batch{table: "keys", key: "key_id", conflict: "ON CONFLICT (key_id) DO NOTHING", columns: []string{"key_id", "label", "first_seen"}}
}

func emptyBatches() []*batch {
	return []*batch{requests(), attempts(), prompts(), keys(), responses(), spending()}
}

// addRequest adds a row of requests.
func addRequest(b *batch, r *gateway.Row, writer uuid.UUID) {
	u := r.Usage
	b.add(moment(r.StartedAt), recordedID(r.ID), text(r.RequestID), r.Duration.Milliseconds(), milliseconds(r.TTFT), text(r.KeyID), optional(r.UserID),
		text(r.ClientIP), r.Path(), text(r.Model), text(r.Backend), text(r.UpstreamModel), r.Stream, r.Status, r.Outcome.String(), r.Attempts,
		u.Prompt, u.Cached, u.Completion, u.Reasoning, r.Source.String(), r.Witness.String(), r.Cost.Amount, optional(r.ErrorCode), u.CacheWrite,
		optional(r.Cost.Version), writer.String(), optional(r.ServiceTier), optional(r.Team), optional(r.Tags), u.CacheWriteHour, u.ServerTools)
}

// addRows adds a row to each table that it belongs to.
func addRows(into []*batch, r *gateway.Row, writer uuid.UUID, known map[any]bool) {
	requests, attempts, prompts, keys, responses := into[0], into[1], into[2], into[3], into[4]
	at, id := moment(r.StartedAt), r.ID.String()
	addRequest(requests, r, writer)
	for n, a := range r.Tries {
		attempts.add(at, id, n+1, text(a.Backend), a.Status, a.Start.Milliseconds(), a.Duration.Milliseconds(), a.Bytes, a.Cost)
	}
	if r.Prompt != "" || r.Answer != "" {
		prompts.add(at, id, text(r.KeyID), text(r.Model), text(r.Prompt), text(r.Answer), r.Usage.Prompt, r.Usage.Completion)
	}
	if r.Stored != nil && !known[r.Stored.ID] {
		known[r.Stored.ID] = true
		addResponse(responses, r.Stored)
	}
	if !known[r.KeyID] {
		known[r.KeyID] = true
		keys.add(text(r.KeyID), text(r.KeyLabel), at)
	}
}

// Two things are known of a request, each by somebody: what it used, and how it ended.
// The better informed one of each stands, whichever came first; of two usages that are known
// equally well, the one of who saw the end better.
func usageColumns() []string {
	return []string{"prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens", "reasoning_tokens", "cache_write_1h_tokens", "server_tool_calls", "usage_source",
		"cost_nanousd", "price_version", "service_tier"}
}

func endColumns() []string {
	return []string{"duration_ms", "ttft_ms", "status", "outcome", "attempts", "backend", "upstream_model"}
}

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

// completeRequest completes a row that is there with what is better known of it.
func completeRequest() string {
	var set []string
	better := func(columns []string, condition string) {
		for _, c := range columns {
			set = append(set, fmt.Sprintf("%[1]s = CASE WHEN %[2]s THEN excluded.%[1]s ELSE requests.%[1]s END", c, condition))
		}
	}
	betterEnd := fmt.Sprintf("%s > %s", endRank("excluded"), endRank("requests"))
	source, known := sourceRank("excluded"), sourceRank("requests")
	better(usageColumns(), fmt.Sprintf("%[1]s > %[2]s OR (%[1]s = %[2]s AND %[3]s)", source, known, betterEnd))
	better(endColumns(), betterEnd)
	set = append(set, "error_code = COALESCE(excluded.error_code, requests.error_code)")
	set = append(set, fmt.Sprintf(`witness = CASE
		WHEN excluded.witness = '%[1]s' OR requests.witness = '%[1]s' THEN '%[1]s'
		WHEN excluded.witness = requests.witness OR excluded.witness = '%[2]s' THEN requests.witness
		WHEN requests.witness = '%[2]s' THEN excluded.witness
		ELSE '%[1]s' END`, gateway.ByBoth, gateway.ByNone))
	return fmt.Sprintf(`ON CONFLICT (started_at, id) DO UPDATE SET %s
		WHERE (%s > %s) OR (%s) OR (excluded.witness <> requests.witness AND requests.witness <> '%s' AND excluded.witness <> '%s')`,
		strings.Join(set, ", "), source, known, betterEnd, gateway.ByBoth, gateway.ByNone)
}

// Write writes rows and the place up to which a writer's access log is in them, all or
// nothing, but for rows that the database does not take whatever happens: those it returns. A
// writer is known by the identity of its write-ahead log. It completes rows that are there, and
// never makes a second of a request. What was spent is booked with them.
func (s *Store) Write(ctx context.Context, rows []*gateway.Row, writer uuid.UUID, at gateway.LogPosition) (refused []gateway.RefusedRow, err error) {
	refused, _, err = s.WriteHeld(ctx, rows, writer, at, Held{})
	return refused, err
}

// WriteHeld is Write for rows some of which have money held in leases of a session. It also returns the
// rows of the background responses whose end these rows were the first to tell.
func (s *Store) WriteHeld(ctx context.Context, rows []*gateway.Row, writer uuid.UUID, at gateway.LogPosition, held Held) (refused []gateway.RefusedRow, ended []*gateway.Row, err error) {
	held.ended = &ended
	err = s.transact(ctx, "writing usage", func(tx *sqlx.Tx) error {
		ended = nil
		if err := s.writeBooked(ctx, tx, rows, writer, held); err != nil {
			return err
		}
		return savePosition(ctx, tx, writer, at)
	})
	if err == nil || !s.engine.isBadRow(err) {
		return nil, ended, err
	}
	err = s.transact(ctx, "writing usage, all but what is refused", func(tx *sqlx.Tx) error {
		refused, ended = nil, nil
		if err := s.writeParts(ctx, tx, rows, writer, held, &refused); err != nil {
			return err
		}
		return savePosition(ctx, tx, writer, at)
	})
	return refused, ended, err
}

// writeParts writes rows, and where they are refused the halves of them, down to single rows.
func (s *Store) writeParts(ctx context.Context, tx *sqlx.Tx, rows []*gateway.Row, writer uuid.UUID, held Held, refused *[]gateway.RefusedRow) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT part"); err != nil {
		return err
	}
	err := s.writeBooked(ctx, tx, rows, writer, held)
	if err == nil {
		_, err = tx.ExecContext(ctx, "RELEASE SAVEPOINT part")
		return err
	}
	if !s.engine.isBadRow(err) {
		return err
	}
	for _, statement := range []string{"ROLLBACK TO SAVEPOINT part", "RELEASE SAVEPOINT part"} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if len(rows) <= 1 {
		for _, r := range rows {
			*refused = append(*refused, gateway.RefusedRow{ID: r.ID, Err: err})
		}
		return nil
	}
	half := len(rows) / 2
	if err := s.writeParts(ctx, tx, rows[:half], writer, held, refused); err != nil {
		return err
	}
	return s.writeParts(ctx, tx, rows[half:], writer, held, refused)
}

func (s *Store) writeRows(ctx context.Context, tx *sqlx.Tx, rows []*gateway.Row, writer uuid.UUID) error {
	batches := emptyBatches()
	known := map[any]bool{} // the ids of keys and responses
	for _, r := range rows {
		addRows(batches, r, writer, known)
	}
	for _, b := range batches {
		if len(b.values) == 0 {
			continue
		}
		if err := s.engine.load(ctx, tx, b); err != nil {
			return err
		}
	}
	return nil
}

// writeBooked writes rows and books what they have changed of what was spent.
func (s *Store) writeBooked(ctx context.Context, tx *sqlx.Tx, rows []*gateway.Row, writer uuid.UUID, held Held) error {
	if err := s.lockResponses(ctx, tx, endsOf(rows)); err != nil {
		return err
	}
	before, err := s.costsOf(ctx, tx, rows)
	if err != nil {
		return err
	}
	if err := s.writeRows(ctx, tx, rows, writer); err != nil {
		return err
	}
	return s.book(ctx, tx, rows, before, writer, held)
}
