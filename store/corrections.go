package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// CorrectSpending adds a correction and its audit entry. It does not touch rows of requests. It
// returns gateway.ErrNoSpending if nothing was ever spent under the name, which is then probably
// misspelt.
func (s *Store) CorrectSpending(ctx context.Context, by gateway.Actor, c gateway.SpendingCorrection) error {
	return s.change(ctx, "correcting what was spent", func(tx *sqlx.Tx, version int64) error {
		var known bool
		err := tx.GetContext(ctx, &known, tx.Rebind(`SELECT EXISTS (SELECT 1 FROM spending WHERE scope = ? AND name = ?)`), c.By.String(), text(c.Name))
		switch {
		case err != nil:
			return err
		case !known:
			return gateway.ErrNoSpending
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`INSERT INTO budget_entries (id, at, actor, scope, name, day, amount_nanousd, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
			c.ID.String(), moment(c.At), text(c.Actor), c.By.String(), text(c.Name), string(c.Day), int64(c.Amount), text(c.Reason))
		if err != nil {
			return err
		}
		if err := s.spend(ctx, tx, spendings{spender{c.By, text(c.Name), c.Day}: gateway.Money(c.Amount)}); err != nil {
			return err
		}
		return audit(ctx, tx, auditedChange{version, by, "spending.correct", c.By.String() + " " + c.Name, nil, c})
	})
}

// correctionRow is a row of budget_entries.
type correctionRow struct {
	ID     uuid.UUID       `db:"id"`
	At     moment          `db:"at"`
	Actor  string          `db:"actor"`
	By     string          `db:"scope"`
	Name   string          `db:"name"`
	Day    gateway.Day     `db:"day"`
	Amount gateway.Dollars `db:"amount_nanousd"`
	Reason string          `db:"reason"`
}

// SpendingCorrections returns at most limit corrections after a place, newest first.
func (s *Store) SpendingCorrections(ctx context.Context, after gateway.RequestPlace, limit int) ([]gateway.SpendingCorrection, error) {
	condition, args := where(behindEntry(after))
	var rows []correctionRow
	err := s.read(ctx, "reading corrections", func(c *sqlx.Conn) error {
		return c.SelectContext(ctx, &rows, c.Rebind(`SELECT id, at, actor, scope, name, day, amount_nanousd, reason FROM budget_entries`+condition+
			` ORDER BY at DESC, id DESC LIMIT ?`), append(args, limit)...)
	})
	corrections := make([]gateway.SpendingCorrection, len(rows))
	for i, r := range rows {
		by, fault := gateway.ParseBudgetBy(r.By)
		if fault != nil {
			return nil, fault
		}
		corrections[i] = gateway.SpendingCorrection{ID: r.ID, At: time.Time(r.At), Actor: r.Actor, By: by, Name: r.Name, Day: r.Day, Amount: r.Amount, Reason: r.Reason}
	}
	return corrections, err
}

// behindEntry is the condition that an entry comes after a place, newest first; the zero place is
// before all.
func behindEntry(place gateway.RequestPlace) []condition {
	if place == (gateway.RequestPlace{}) {
		return nil
	}
	at := moment(place.StartedAt)
	return []condition{{"at <= ? AND (at < ? OR id < ?)", []any{at, at, place.ID.String()}}}
}
