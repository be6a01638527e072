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

// condition is a part of a WHERE clause with its arguments.
type condition struct {
	text string
	args []any
}

// conditions are those of a filter, without its times.
func conditions(f gateway.RequestFilter) []condition {
	var all []condition
	equal := func(column, value string) {
		if value != "" {
			all = append(all, condition{"r." + column + " = ?", []any{value}})
		}
	}
	equal("key_id", string(f.Key))
	equal("user_id", f.User)
	equal("team", f.Team)
	equal("model", string(f.Model))
	equal("backend", f.Backend)
	equal("request_id", f.RequestID)
	if f.Outcome == failedOutcomes {
		all = append(all, condition{failed, nil})
	} else {
		equal("outcome", f.Outcome)
	}
	if f.Outcome != "" && f.Outcome != gateway.OK.String() {
		all = append(all, condition{unusual, nil})
	}
	if f.Tag != (gateway.Tag{}) {
		all = append(all, condition{tagged, []any{f.Tag.Name, text(f.Tag.Value)}})
	}
	return append(all, minima(f)...)
}

// minima are the conditions of figures that must be reached.
func minima(f gateway.RequestFilter) []condition {
	var all []condition
	least := func(column string, value int64) {
		if value > 0 {
			all = append(all, condition{"r." + column + " >= ?", []any{value}})
		}
	}
	least("cost_nanousd", int64(f.MinCost))
	least("duration_ms", f.MinDuration.Milliseconds())
	least("ttft_ms", f.MinTTFT.Milliseconds())
	return all
}

// unusual is the condition of an index: few requests end in another way than well.
const unusual = "r.outcome <> 'ok'"

const tagged = "EXISTS (SELECT 1 FROM request_tags t WHERE t.started_at = r.started_at AND t.id = r.id AND t.tag = ? AND t.value = ?)"

// failedOutcomes is the filter's name for all that providers are at fault for.
const failedOutcomes = "failed"

var failed = fmt.Sprintf("r.outcome IN ('%s', '%s')", gateway.ProviderError, gateway.ProviderClosed)

// between bounds the start of requests.
func between(from, to time.Time) []condition {
	var all []condition
	if !from.IsZero() {
		all = append(all, condition{"r.started_at >= ?", []any{moment(from)}})
	}
	if !to.IsZero() {
		all = append(all, condition{"r.started_at < ?", []any{moment(to)}})
	}
	return all
}

// behind is what comes after a place, newest first.
func behind(place gateway.RequestPlace) condition {
	at := moment(place.StartedAt)
	return condition{"r.started_at <= ? AND (r.started_at < ? OR r.id < ?)", []any{at, at, place.ID.String()}}
}

func where(all []condition) (text string, args []any) {
	texts := []string{"1 = 1"}
	for _, c := range all {
		texts = append(texts, c.text)
		args = append(args, c.args...)
	}
	return " WHERE " + strings.Join(texts, " AND "), args
}

const recordedColumns = `r.id, r.started_at, r.request_id, r.duration_ms, r.ttft_ms, r.key_id, COALESCE(k.label, '') AS label,
	COALESCE(r.user_id, '') AS user_id, r.client_ip, r.endpoint, r.model, r.backend, r.upstream_model, r.stream, r.status, r.outcome, r.attempts,
	r.prompt_tokens, r.cached_tokens, r.cache_write_tokens, r.cache_write_1h_tokens, r.server_tool_calls, r.completion_tokens, r.reasoning_tokens, r.usage_source, r.witness, r.cost_nanousd,
	COALESCE(r.price_version, '') AS price_version, COALESCE(r.service_tier, '') AS service_tier, COALESCE(r.error_code, '') AS error_code`

const recordedTables = ` FROM requests r LEFT JOIN keys k ON k.key_id = r.key_id`

// recordedRow is a row of recordedColumns.
type recordedRow struct {
	ID            uuid.UUID      `db:"id"`
	StartedAt     moment         `db:"started_at"`
	RequestID     string         `db:"request_id"`
	DurationMS    int64          `db:"duration_ms"`
	TTFTMS        *int64         `db:"ttft_ms"`
	KeyID         gateway.KeyID  `db:"key_id"`
	Label         string         `db:"label"`
	UserID        string         `db:"user_id"`
	ClientIP      string         `db:"client_ip"`
	Endpoint      string         `db:"endpoint"`
	Model         gateway.Model  `db:"model"`
	Backend       string         `db:"backend"`
	UpstreamModel gateway.Model  `db:"upstream_model"`
	Stream        bool           `db:"stream"`
	Status        int            `db:"status"`
	Outcome       string         `db:"outcome"`
	Attempts      int            `db:"attempts"`
	Prompt        int64          `db:"prompt_tokens"`
	Cached        int64          `db:"cached_tokens"`
	CacheWrite    int64          `db:"cache_write_tokens"`
	WriteHour     int64          `db:"cache_write_1h_tokens"`
	ServerTools   int64          `db:"server_tool_calls"`
	Completion    int64          `db:"completion_tokens"`
	Reasoning     int64          `db:"reasoning_tokens"`
	Source        string         `db:"usage_source"`
	Witness       string         `db:"witness"`
	Cost          *gateway.Money `db:"cost_nanousd"`
	PriceVersion  string         `db:"price_version"`
	ServiceTier   string         `db:"service_tier"`
	ErrorCode     string         `db:"error_code"`
}

func (r *recordedRow) request() gateway.RecordedRequest {
	return gateway.RecordedRequest{
		ID: r.ID, StartedAt: time.Time(r.StartedAt), RequestID: r.RequestID, Duration: inMS(r.DurationMS), TTFT: optionalMS(r.TTFTMS),
		Key: gateway.Key{ID: r.KeyID, Label: r.Label}, UserID: r.UserID, ClientIP: r.ClientIP, Endpoint: r.Endpoint, Model: r.Model,
		Backend: r.Backend, UpstreamModel: r.UpstreamModel, Stream: r.Stream, Status: r.Status, Outcome: r.Outcome, Attempts: r.Attempts,
		Usage: gateway.Usage{Prompt: r.Prompt, Cached: r.Cached, CacheWrite: r.CacheWrite, Completion: r.Completion, Reasoning: r.Reasoning,
			CacheWriteHour: r.WriteHour, ServerTools: r.ServerTools},
		Source: r.Source, Witness: r.Witness, Cost: gateway.Cost{Amount: r.Cost, Version: r.PriceVersion}, ServiceTier: r.ServiceTier,
		ErrorCode: r.ErrorCode,
	}
}

func inMS(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func optionalMS(ms *int64) *time.Duration {
	if ms == nil {
		return nil
	}
	d := inMS(*ms)
	return &d
}

// page reads at most limit requests of a stretch of time, newest first, from behind a place on.
func page(ctx context.Context, c *sqlx.Conn, f gateway.RequestFilter, of stretch, after gateway.RequestPlace, limit int) ([]gateway.RecordedRequest, error) {
	all := append(between(of.from, of.to), conditions(f)...)
	if after != (gateway.RequestPlace{}) {
		all = append(all, behind(after))
	}
	text, args := where(all)
	var rows []recordedRow
	query := "SELECT " + recordedColumns + recordedTables + text + " ORDER BY r.started_at DESC, r.id DESC LIMIT ?"
	if err := c.SelectContext(ctx, &rows, c.Rebind(query), append(args, limit)...); err != nil {
		return nil, err
	}
	requests := make([]gateway.RecordedRequest, len(rows))
	for i := range rows {
		requests[i] = rows[i].request()
	}
	return requests, nil
}

// Request returns all that is recorded of a request, or gateway.ErrNoRequest. The id tells
// when the request started, so that the tables are not searched.
func (s *Store) Request(ctx context.Context, id uuid.UUID) (gateway.RequestRecord, error) {
	seconds, nanos := id.Time().UnixTime()
	started := time.Unix(seconds, nanos)
	text, args := where(append(between(started.Add(-time.Second), started.Add(time.Second)), condition{"r.id = ?", []any{id.String()}}))
	var record gateway.RequestRecord
	err := s.read(ctx, "reading a request", func(c *sqlx.Conn) error {
		var row recordedRow
		err := c.GetContext(ctx, &row, c.Rebind("SELECT "+recordedColumns+recordedTables+text), args...)
		if errors.Is(err, sql.ErrNoRows) {
			return gateway.ErrNoRequest
		}
		if err != nil {
			return err
		}
		record.RecordedRequest = row.request()
		if record.Tries, err = tries(ctx, c, &record.RecordedRequest); err != nil {
			return err
		}
		record.Prompt, err = prompt(ctx, c, &record.RecordedRequest)
		return err
	})
	return record, err
}

func tries(ctx context.Context, c *sqlx.Conn, r *gateway.RecordedRequest) ([]gateway.RecordedAttempt, error) {
	var rows []struct {
		Attempt    int            `db:"attempt"`
		Backend    string         `db:"backend"`
		Status     int            `db:"status"`
		StartMS    int64          `db:"start_ms"`
		DurationMS int64          `db:"duration_ms"`
		Bytes      int64          `db:"response_bytes"`
		Cost       *gateway.Money `db:"cost_nanousd"`
	}
	err := c.SelectContext(ctx, &rows, c.Rebind(`SELECT attempt, backend, status, start_ms, duration_ms, response_bytes, cost_nanousd
		FROM attempts WHERE started_at = ? AND id = ? ORDER BY attempt`), moment(r.StartedAt), r.ID.String())
	if err != nil {
		return nil, err
	}
	tries := make([]gateway.RecordedAttempt, len(rows))
	for i, row := range rows {
		tries[i] = gateway.RecordedAttempt{Attempt: row.Attempt, Backend: row.Backend, Status: row.Status, Start: inMS(row.StartMS),
			Duration: inMS(row.DurationMS), Bytes: row.Bytes, Cost: row.Cost}
	}
	return tries, nil
}

func prompt(ctx context.Context, c *sqlx.Conn, r *gateway.RecordedRequest) (*gateway.RecordedPrompt, error) {
	var p gateway.RecordedPrompt
	err := c.QueryRowxContext(ctx, c.Rebind(`SELECT prompt, answer FROM prompts WHERE started_at = ? AND id = ?`),
		moment(r.StartedAt), r.ID.String()).Scan(&p.Prompt, &p.Answer)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &p, err
}
