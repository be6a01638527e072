package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// CorrectSpending adds a correction and its audit entry, and returns it. It does not touch rows of
// requests. A correction that was made before is not made again: the earlier one is returned, or
// gateway.ErrOtherCorrection if it only has the same id. It returns gateway.ErrNoSpending if
// nothing was ever spent under the name, which is then probably misspelt.
func (s *Store) CorrectSpending(ctx context.Context, by gateway.Actor, c gateway.SpendingCorrection) (made gateway.SpendingCorrection, err error) {
	err = s.change(ctx, "correcting what was spent", func(tx *sqlx.Tx, version int64) error { // one change at a time
		earlier, err := correctionIn(ctx, tx, c.ID)
		switch {
		case err != nil:
			return err
		case earlier == nil:
			made = c
			return s.addCorrection(ctx, tx, version, by, &c)
		case !c.Repeats(earlier):
			return gateway.ErrOtherCorrection
		}
		made = *earlier
		return nil
	})
	return made, err
}

// correctionIn returns the correction of an id; nil if there is none.
func correctionIn(ctx context.Context, tx *sqlx.Tx, id uuid.UUID) (*gateway.SpendingCorrection, error) {
	var r correctionRow
	err := tx.GetContext(ctx, &r, tx.Rebind(`SELECT `+correctionColumns+` FROM budget_entries WHERE id = ?`), id.String())
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := r.correction()
	return &c, err
}

func (s *Store) addCorrection(ctx context.Context, tx *sqlx.Tx, version int64, by gateway.Actor, c *gateway.SpendingCorrection) error {
	var known bool
	err := tx.GetContext(ctx, &known, tx.Rebind(`SELECT EXISTS (SELECT 1 FROM spending WHERE scope = ? AND name = ?)`), c.By.String(), text(c.Name))
	switch {
	case err != nil:
		return err
	case !known:
		return gateway.ErrNoSpending
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`INSERT INTO budget_entries (`+correctionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
		c.ID.String(), moment(c.At), text(c.Actor), c.By.String(), text(c.Name), string(c.Day), int64(c.Amount), text(c.Reason))
	if err != nil {
		return err
	}
	if err := s.spend(ctx, tx, spendings{spender{c.By, text(c.Name), c.Day}: gateway.Money(c.Amount)}); err != nil {
		return err
	}
	return audit(ctx, tx, auditedChange{version, by, "spending.correct", c.By.String() + " " + c.Name, nil, *c})
}

const correctionColumns = `id, at, actor, scope, name, day, amount_nanousd, reason`

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

func (r *correctionRow) correction() (gateway.SpendingCorrection, error) {
	by, err := gateway.ParseBudgetBy(r.By)
	return gateway.SpendingCorrection{ID: r.ID, At: time.Time(r.At), Actor: r.Actor, By: by, Name: r.Name, Day: r.Day, Amount: r.Amount, Reason: r.Reason}, err
}

// SpendingCorrections returns at most limit corrections after a place, newest first.
func (s *Store) SpendingCorrections(ctx context.Context, after gateway.RequestPlace, limit int) ([]gateway.SpendingCorrection, error) {
	condition, args := where(behindEntry(after))
	var rows []correctionRow
	err := s.read(ctx, "reading corrections", func(c *sqlx.Conn) error {
		return c.SelectContext(ctx, &rows, c.Rebind(`SELECT `+correctionColumns+` FROM budget_entries`+condition+
			` ORDER BY at DESC, id DESC LIMIT ?`), append(args, limit)...)
	})
	corrections := make([]gateway.SpendingCorrection, len(rows))
	for i, r := range rows {
		var fault error
		if corrections[i], fault = r.correction(); fault != nil {
			return nil, fault
		}
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
