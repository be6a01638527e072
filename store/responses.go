package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

const (
	// responsesKept is how long responses are remembered: as long as OpenAI keeps them.
	// Source: https://platform.openai.com/docs/guides/conversation-state
	responsesKept = 30 * 24 * time.Hour
	// firstLook is how long after its request the backend of a background response is asked first.
	firstLook = 2 * time.Second
)

// responses is a batch without rows. Of one id the row of the newest request stands, as a server of one's
// own may begin to count again. A backend cannot take over the responses of others.
func responses() *batch {
	return &batch{table: "responses", key: "id", columns: []string{"id", "started_at", "request", "backend", "model", "key_id", "user_id",
		"prompt_tokens", "total_tokens", "next_at"},
		conflict: `ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at, request = excluded.request, model = excluded.model,
			key_id = excluded.key_id, user_id = excluded.user_id, prompt_tokens = excluded.prompt_tokens,
			total_tokens = CASE WHEN responses.request = excluded.request AND excluded.total_tokens = 0 THEN responses.total_tokens ELSE excluded.total_tokens END,
			next_at = CASE WHEN responses.request <> excluded.request OR excluded.next_at IS NULL THEN excluded.next_at ELSE responses.next_at END
			WHERE responses.backend = excluded.backend AND (responses.request = excluded.request OR responses.started_at < excluded.started_at)`}
}

// addResponse adds a row of responses.
func addResponse(b *batch, r *gateway.StoredResponse) {
	var next *moment
	if r.Pending {
		at := moment(r.StartedAt.Add(firstLook))
		next = &at
	}
	b.add(text(r.ID), moment(r.StartedAt), r.Request.String(), text(r.Backend), text(r.Model), text(r.Key), text(r.User), r.Prompt, r.Tokens, next)
}

// SaveResponses remembers responses before the rows of their requests are written. Each id comes once.
func (s *Store) SaveResponses(ctx context.Context, all []gateway.StoredResponse) error {
	b := responses()
	for i := range all {
		addResponse(b, &all[i])
	}
	return s.transact(ctx, "remembering responses", func(tx *sqlx.Tx) error { return s.engine.load(ctx, tx, b) })
}

const responseColumns = `id, started_at, request, backend, model, key_id, user_id, prompt_tokens, total_tokens, next_at`

// responseRow is a row of responseColumns.
type responseRow struct {
	ID        string        `db:"id"`
	StartedAt moment        `db:"started_at"`
	Request   uuid.UUID     `db:"request"`
	Backend   string        `db:"backend"`
	Model     gateway.Model `db:"model"`
	Key       gateway.KeyID `db:"key_id"`
	User      string        `db:"user_id"`
	Prompt    int64         `db:"prompt_tokens"`
	Tokens    int64         `db:"total_tokens"`
	NextAt    *moment       `db:"next_at"`
}

func (r *responseRow) response() gateway.StoredResponse {
	return gateway.StoredResponse{ID: r.ID, Backend: r.Backend, Model: r.Model, Key: r.Key, User: r.User, Request: r.Request,
		StartedAt: time.Time(r.StartedAt), Prompt: r.Prompt, Tokens: r.Tokens, Pending: r.NextAt != nil}
}

// Response returns what is remembered of a response, or gateway.ErrNoResponse.
func (s *Store) Response(ctx context.Context, id string) (found gateway.StoredResponse, err error) {
	err = s.read(ctx, "looking for a response", func(c *sqlx.Conn) error {
		var row responseRow
		err := c.GetContext(ctx, &row, c.Rebind(`SELECT `+responseColumns+` FROM responses WHERE id = ?`), id)
		if errors.Is(err, sql.ErrNoRows) {
			return gateway.ErrNoResponse
		}
		found = row.response()
		return err
	})
	return found, err
}

// ClaimResponses returns background responses whose backend is to be asked now what they used. No other
// gateway gets them before a time.
func (s *Store) ClaimResponses(ctx context.Context, now, until time.Time, limit int) (claimed []gateway.StoredResponse, err error) {
	if due, err := s.hasDue(ctx, now); !due || err != nil {
		return nil, err // most of the time, and without a transaction
	}
	lock := s.engine.forUpdate()
	if lock != "" {
		lock += " SKIP LOCKED"
	}
	err = s.transact(ctx, "claiming responses", func(tx *sqlx.Tx) error {
		var rows []responseRow
		err := tx.SelectContext(ctx, &rows, tx.Rebind(`UPDATE responses SET next_at = ? WHERE id IN
			(SELECT id FROM responses WHERE next_at <= ? ORDER BY next_at LIMIT ?`+lock+`) RETURNING `+responseColumns), moment(until), moment(now), limit)
		claimed = nil
		for i := range rows {
			claimed = append(claimed, rows[i].response())
		}
		return err
	})
	return claimed, err
}

// hasDue reports whether there is a response to be claimed.
func (s *Store) hasDue(ctx context.Context, now time.Time) (due bool, err error) {
	err = s.read(ctx, "looking for background responses", func(c *sqlx.Conn) error {
		return c.GetContext(ctx, &due, c.Rebind(`SELECT EXISTS (SELECT 1 FROM responses WHERE next_at <= ?)`), moment(now))
	})
	return due, err
}

// PostponeResponse has the backend of a response asked again at a time, unless what it used is known.
func (s *Store) PostponeResponse(ctx context.Context, id string, until time.Time) error {
	return s.transact(ctx, "postponing a response", func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE responses SET next_at = ? WHERE id = ? AND next_at IS NOT NULL`), moment(until), id)
		return err
	})
}

// EndResponse completes the row of the request that made a background response with what it used, once. It
// returns what is known of the row then, and nil if the end was known before or there is no row.
func (s *Store) EndResponse(ctx context.Context, end gateway.ResponseEnd) (row *gateway.Row, err error) {
	err = s.transact(ctx, "ending a response", func(tx *sqlx.Tx) error {
		sums := spendings{}
		ended, err := s.endResponses(ctx, tx, []*gateway.ResponseEnd{&end}, sums)
		if err != nil {
			return err
		}
		if row = nil; len(ended) > 0 {
			row = ended[0]
		}
		return s.spend(ctx, tx, sums)
	})
	return row, err
}

// endsOf are the ends of background responses that rows tell of, in the order of their ids, so that
// concurrent writers do not deadlock.
func endsOf(rows []*gateway.Row) []*gateway.ResponseEnd {
	var ends []*gateway.ResponseEnd
	for _, r := range rows {
		if r.Ended != nil {
			ends = append(ends, r.Ended)
		}
	}
	slices.SortStableFunc(ends, func(a, b *gateway.ResponseEnd) int { return cmp.Compare(a.ID, b.ID) })
	return ends
}

// lockResponses locks responses that end before anything else is: who ends one locks it first, then the
// row of its request, and then the sums of that row's hour.
func (s *Store) lockResponses(ctx context.Context, tx *sqlx.Tx, ends []*gateway.ResponseEnd) error {
	lock := s.engine.forUpdate()
	if len(ends) == 0 || lock == "" {
		return nil
	}
	var ids []string
	for _, end := range ends {
		ids = append(ids, text(end.ID))
	}
	query, args, err := sqlx.In(`SELECT id FROM responses WHERE id IN (?) ORDER BY id`+lock, ids)
	if err != nil {
		return err
	}
	var locked []string
	return tx.SelectContext(ctx, &locked, tx.Rebind(query), args...)
}

// endResponses completes the rows of background responses, and adds what that changes to what was spent. It
// returns those whose end was not known before.
func (s *Store) endResponses(ctx context.Context, tx *sqlx.Tx, ends []*gateway.ResponseEnd, sums spendings) (ended []*gateway.Row, err error) {
	for _, end := range ends {
		row, err := s.endOne(ctx, tx, end, sums)
		if err != nil {
			return nil, err
		}
		if row != nil {
			ended = append(ended, row.ended(end))
		}
	}
	return ended, nil
}

// pendingRow is the row of a request whose response has not ended.
type pendingRow struct {
	StartedAt moment         `db:"started_at"`
	ID        string         `db:"id"`
	Key       gateway.KeyID  `db:"key_id"`
	User      string         `db:"user_id"`
	Team      string         `db:"team"`
	Cost      *gateway.Money `db:"cost_nanousd"`

	Label   string        `db:"label"`
	Model   gateway.Model `db:"model"`
	Backend string        `db:"backend"`

	Prompt     int64 `db:"prompt_tokens"`
	Completion int64 `db:"completion_tokens"`

	ErrorCode string `db:"error_code"`
}

// wasGivenUp reports whether what the response used could not be learnt.
func (r *pendingRow) wasGivenUp() bool {
	return slices.Contains([]string{gateway.CodeResponseGone, gateway.CodeResponseUnknown, gateway.CodeResponseCancelled}, r.ErrorCode)
}

// ended is the row with what its response used: where that is not known, the estimate.
func (r *pendingRow) ended(end *gateway.ResponseEnd) *gateway.Row {
	row := &gateway.Row{StartedAt: time.Time(r.StartedAt), KeyID: r.Key, KeyLabel: r.Label, UserID: r.User, Team: r.Team, Model: r.Model, Backend: r.Backend,
		Usage: end.Usage, Source: end.Source, Cost: end.Cost}
	if end.Source == 0 {
		row.Usage, row.Source = gateway.Usage{Prompt: r.Prompt, Completion: r.Completion}, gateway.Estimated
		row.Cost.Amount = r.Cost
	}
	return row
}

// endOne returns nil for a response that has ended before, or whose request has no row yet: the backend is
// asked again then. One that was given up is completed by what a fetch tells after all; as its estimate was
// told before, it returns nil.
func (s *Store) endOne(ctx context.Context, tx *sqlx.Tx, end *gateway.ResponseEnd, sums spendings) (*pendingRow, error) {
	var of responseRow
	err := tx.GetContext(ctx, &of, tx.Rebind(`SELECT `+responseColumns+` FROM responses WHERE id = ? AND (next_at IS NOT NULL OR total_tokens = 0)`+s.engine.forUpdate()), text(end.ID))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var row pendingRow
	err = tx.GetContext(ctx, &row, tx.Rebind(`SELECT started_at, id, key_id, COALESCE(user_id, '') AS user_id, COALESCE(team, '') AS team, cost_nanousd,
		COALESCE((SELECT label FROM keys WHERE keys.key_id = requests.key_id), '') AS label, model, backend, prompt_tokens, completion_tokens,
		COALESCE(error_code, '') AS error_code FROM requests WHERE started_at = ? AND id = ?`+s.engine.forUpdate()), of.StartedAt, of.Request.String())
	givenUp := of.NextAt == nil
	if errors.Is(err, sql.ErrNoRows) || err == nil && givenUp && (end.Source == 0 || !row.wasGivenUp()) {
		return nil, nil
	}
	if err == nil {
		err = completePending(ctx, tx, &row, end)
	}
	if err != nil {
		return nil, err
	}
	if end.Source != 0 {
		sums.add(row.Key, row.User, row.Team, gateway.DayOf(time.Time(row.StartedAt)), amountOf(end.Cost.Amount)-amountOf(row.Cost))
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE responses SET next_at = NULL, total_tokens = ? WHERE id = ?`), end.Usage.Prompt+end.Usage.Completion, of.ID)
	if givenUp {
		return nil, err
	}
	return &row, err
}

// completePending writes what a response used into the row of its request, or why that is not known.
func completePending(ctx context.Context, tx *sqlx.Tx, row *pendingRow, end *gateway.ResponseEnd) error {
	code := row.ErrorCode
	if end.ErrorCode != "" || row.wasGivenUp() {
		code = end.ErrorCode
	}
	set, args := `error_code = ?`, []any{optional(code)}
	if end.Failed {
		set += `, outcome = ?`
		args = append(args, gateway.ProviderError.String())
	}
	if end.Source != 0 {
		u := end.Usage
		set += `, prompt_tokens = ?, cached_tokens = ?, cache_write_tokens = ?, completion_tokens = ?, reasoning_tokens = ?, cache_write_1h_tokens = ?,
			server_tool_calls = ?, usage_source = ?, cost_nanousd = ?, price_version = ?, service_tier = COALESCE(?, service_tier)`
		args = append(args, u.Prompt, u.Cached, u.CacheWrite, u.Completion, u.Reasoning, u.CacheWriteHour, u.ServerTools, end.Source.String(),
			end.Cost.Amount, optional(end.Cost.Version), optional(end.ServiceTier))
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE requests SET `+set+` WHERE started_at = ? AND id = ?`), append(args, row.StartedAt, row.ID)...)
	return err
}

// forgetResponses removes those that providers do not keep any more.
func (s *Store) forgetResponses(ctx context.Context, before time.Time) error {
	return s.removeRows(ctx, "removing old responses", `DELETE FROM responses WHERE id IN (SELECT id FROM responses WHERE started_at < ? LIMIT ?)`, before)
}
