package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// eventsKept is how long the delivery of an event is tried.
const eventsKept = 24 * time.Hour

// NoteBudgetEvent records that a threshold was crossed, unless it is recorded already.
func (s *Store) NoteBudgetEvent(ctx context.Context, e gateway.BudgetEvent) error {
	return s.transact(ctx, "noting an event of a budget", func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO budget_events
			(id, scope, name, period, starts, ends, threshold, amount_nanousd, spent_nanousd, at, attempts, next_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (scope, name, starts, ends, threshold, amount_nanousd) DO NOTHING`),
			e.Event.String(), e.By.String(), text(e.Name), e.Per.String(), string(e.Start), string(e.End), e.Threshold, int64(e.Amount), int64(e.Spent),
			moment(e.At), moment(e.At))
		return err
	})
}

type budgetEventRow struct {
	ID        uuid.UUID     `db:"id"`
	Scope     string        `db:"scope"`
	Name      string        `db:"name"`
	Period    string        `db:"period"`
	Starts    gateway.Day   `db:"starts"`
	Ends      gateway.Day   `db:"ends"`
	Threshold int           `db:"threshold"`
	Amount    gateway.Money `db:"amount_nanousd"`
	Spent     gateway.Money `db:"spent_nanousd"`
	At        moment        `db:"at"`
	Attempts  int           `db:"attempts"`
	Delivered *moment       `db:"delivered_at"`
}

const budgetEventColumns = `id, scope, name, period, starts, ends, threshold, amount_nanousd, spent_nanousd, at, attempts, delivered_at`

func (r *budgetEventRow) event() (gateway.BudgetEvent, error) {
	by, err := gateway.ParseBudgetBy(r.Scope)
	if err != nil {
		return gateway.BudgetEvent{}, err
	}
	per, err := gateway.ParseBudgetPeriod(r.Period)
	return gateway.BudgetEvent{BudgetID: gateway.BudgetID{By: by, Name: r.Name, Per: per, Start: r.Starts, End: r.Ends}, Event: r.ID,
		Threshold: r.Threshold, Amount: r.Amount, Spent: r.Spent, At: time.Time(r.At), Attempts: r.Attempts, Delivered: (*time.Time)(r.Delivered)}, err
}

const dueEvents = `SELECT ` + budgetEventColumns + ` FROM budget_events
WHERE delivered_at IS NULL AND next_at <= ? AND at > ? ORDER BY at, id LIMIT ?`

// ClaimBudgetEvents returns at most limit events that are due for the webhook, and reserves each
// for the caller until the time of again.
func (s *Store) ClaimBudgetEvents(ctx context.Context, now time.Time, limit int, again func(attempts int) time.Time) (events []gateway.BudgetEvent, err error) {
	err = s.transact(ctx, "looking for events of budgets", func(tx *sqlx.Tx) error {
		var rows []budgetEventRow
		if err := tx.SelectContext(ctx, &rows, tx.Rebind(dueEvents+s.engine.forUpdate()), moment(now), moment(now.Add(-eventsKept)), limit); err != nil {
			return err
		}
		events = nil
		for i := range rows {
			e, err := rows[i].event()
			if err != nil {
				return err
			}
			e.Attempts++
			events = append(events, e)
			_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE budget_events SET attempts = ?, next_at = ? WHERE id = ?`), e.Attempts, moment(again(e.Attempts)), e.Event.String())
			if err != nil {
				return err
			}
		}
		return nil
	})
	return events, err
}

// BudgetEventDelivered records that the webhook has accepted an event.
func (s *Store) BudgetEventDelivered(ctx context.Context, id uuid.UUID, at time.Time) error {
	return s.transact(ctx, "noting that a webhook was told", func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE budget_events SET delivered_at = ? WHERE id = ?`), moment(at), id.String())
		return err
	})
}

// BudgetEvents returns at most limit events of some spenders after a place, newest first; nil
// spenders are all.
func (s *Store) BudgetEvents(ctx context.Context, of []gateway.Spender, after gateway.RequestPlace, limit int) ([]gateway.BudgetEvent, error) {
	condition, args := where(append(behindEntry(after), eventsOf(of)...))
	var rows []budgetEventRow
	err := s.read(ctx, "reading events of budgets", func(c *sqlx.Conn) error {
		return c.SelectContext(ctx, &rows, c.Rebind(`SELECT `+budgetEventColumns+` FROM budget_events`+condition+` ORDER BY at DESC, id DESC LIMIT ?`), append(args, limit)...)
	})
	events := []gateway.BudgetEvent{}
	for i := range rows {
		e, fault := rows[i].event()
		if fault != nil {
			return nil, fault
		}
		events = append(events, e)
	}
	return events, err
}

// eventsOf is the condition that an event belongs to one of some spenders.
func eventsOf(of []gateway.Spender) []condition {
	if of == nil {
		return nil
	}
	any := condition{text: "(1 = 0"}
	for _, s := range of {
		any.text += " OR scope = ? AND name = ?"
		any.args = append(any.args, s.By.String(), text(s.Name))
	}
	any.text += ")"
	return []condition{any}
}
