package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// LeaseLife is how long a lease counts without renewal: as long as the ledger may still make rows
// of a killed process's requests.
const LeaseLife = 24 * time.Hour

const ofPeriod = ` scope = ? AND name = ? AND starts = ? AND ends = ?`

func periodOf(id gateway.BudgetID) []any {
	return []any{id.By.String(), text(id.Name), string(id.Start), string(id.End)}
}

func compareBudgets(a, b gateway.BudgetID) int {
	return cmp.Or(cmp.Compare(a.By.String(), b.By.String()), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
}

// useLeases subtracts the cost of requests from the leases of a session.
func useLeases(ctx context.Context, tx *sqlx.Tx, used map[gateway.BudgetID]gateway.Money, writer uuid.UUID, session string) error {
	for _, id := range slices.SortedFunc(maps.Keys(used), compareBudgets) {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE budget_leases SET amount_nanousd = amount_nanousd - ? WHERE`+ofPeriod+` AND gateway = ? AND session = ?`),
			append(append([]any{int64(used[id])}, periodOf(id)...), writer.String(), session)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Lease grants parts of budgets to a session in one transaction, each as far as there is room: a
// grant never makes what was spent and leased exceed the budget.
func (s *Store) Lease(ctx context.Context, writer uuid.UUID, session string, asks []gateway.LeaseAsk, now time.Time) ([]gateway.LeaseGrant, error) {
	asks = slices.Clone(asks)
	grants := make([]gateway.LeaseGrant, len(asks))
	order := make([]int, len(asks))
	for i := range asks {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareBudgets(asks[a].BudgetID, asks[b].BudgetID) })
	err := s.transact(ctx, "asking budgets", func(tx *sqlx.Tx) error {
		for _, i := range order {
			var err error
			if grants[i], err = grant(ctx, tx, writer, session, &asks[i], now); err != nil {
				return err
			}
		}
		return nil
	})
	return grants, err
}

func grant(ctx context.Context, tx *sqlx.Tx, writer uuid.UUID, session string, ask *gateway.LeaseAsk, now time.Time) (gateway.LeaseGrant, error) {
	var g gateway.LeaseGrant
	_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO budget_turns (scope, name, starts, ends, grants) VALUES (?, ?, ?, ?, 1)
		ON CONFLICT (scope, name, starts, ends) DO UPDATE SET grants = budget_turns.grants + 1`), periodOf(ask.BudgetID)...)
	if err != nil {
		return g, err
	}
	before, err := grantedBefore(ctx, tx, writer, session, ask)
	if err != nil {
		return g, err
	}
	if g.Spent, g.Leased, err = standing(ctx, tx, ask.BudgetID, now); err != nil {
		return g, err
	}
	if before != nil {
		g.Given = *before
		return g, nil
	}
	g.Given = ask.Grant(ask.Amount - g.Spent - g.Leased)
	g.Leased += g.Given
	args := append(periodOf(ask.BudgetID), writer.String(), session, int64(g.Given), ask.Turn, int64(g.Given), moment(now.Add(LeaseLife)))
	_, err = tx.ExecContext(ctx, tx.Rebind(`INSERT INTO budget_leases (scope, name, starts, ends, gateway, session, amount_nanousd, turn, given_nanousd, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (scope, name, starts, ends, gateway, session) DO UPDATE SET amount_nanousd = budget_leases.amount_nanousd + excluded.amount_nanousd,
		turn = excluded.turn, given_nanousd = excluded.given_nanousd, expires_at = excluded.expires_at`), args...)
	return g, err
}

// grantedBefore is the earlier grant of a repeated ask, whose answer did not arrive; nil for none.
func grantedBefore(ctx context.Context, tx *sqlx.Tx, writer uuid.UUID, session string, ask *gateway.LeaseAsk) (*gateway.Money, error) {
	var given gateway.Money
	err := tx.GetContext(ctx, &given, tx.Rebind(`SELECT given_nanousd FROM budget_leases WHERE`+ofPeriod+` AND gateway = ? AND session = ? AND turn = ?`),
		append(periodOf(ask.BudgetID), writer.String(), session, ask.Turn)...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &given, err
}

// querier is a connection or a transaction.
type querier interface {
	Rebind(query string) string
	QueryRowxContext(ctx context.Context, query string, args ...any) *sqlx.Row
}

// standing is what was spent and leased of a budget, in one snapshot, because money moves from
// leased to spent meanwhile.
func standing(ctx context.Context, q querier, id gateway.BudgetID, now time.Time) (spent, leased gateway.Money, err error) {
	args := []any{id.By.String(), text(id.Name), string(id.Start), string(id.End)}
	args = append(append(args, periodOf(id)...), moment(now))
	err = q.QueryRowxContext(ctx, q.Rebind(`SELECT
		COALESCE((SELECT CAST(SUM(spent_nanousd) AS BIGINT) FROM spending WHERE scope = ? AND name = ? AND day >= ? AND day < ?), 0),
		COALESCE((SELECT CAST(SUM(CASE WHEN amount_nanousd > 0 THEN amount_nanousd ELSE 0 END) AS BIGINT) FROM budget_leases WHERE`+ofPeriod+` AND expires_at > ?), 0)`),
		args...).Scan(&spent, &leased)
	return spent, leased, err
}

// Standings returns the states of budgets, each with its given Amount.
func (s *Store) Standings(ctx context.Context, budgets []gateway.BudgetState, now time.Time) ([]gateway.BudgetState, error) {
	budgets = slices.Clone(budgets)
	err := s.read(ctx, "reading budgets", func(c *sqlx.Conn) error {
		for i := range budgets {
			b := &budgets[i]
			var err error
			if b.Spent, b.Held, err = standing(ctx, c, b.BudgetID, now); err != nil {
				return err
			}
		}
		return nil
	})
	return budgets, err
}

// RenewLeases keeps the leases of a session for another LeaseLife, and removes expired leases of
// all gateways, and the turns of periods that are long over.
func (s *Store) RenewLeases(ctx context.Context, writer uuid.UUID, session string, now time.Time) error {
	return s.transact(ctx, "renewing leases of budgets", func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE budget_leases SET expires_at = ? WHERE gateway = ? AND session = ?`),
			moment(now.Add(LeaseLife)), writer.String(), session)
		if err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, tx.Rebind(`DELETE FROM budget_leases WHERE expires_at < ?`), moment(now)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`DELETE FROM budget_turns WHERE ends < ?`), string(gateway.DayOf(now.Add(-2*LeaseLife))))
		return err
	})
}

// EndLeases ends the leases of a gateway's earlier sessions: all of their requests have rows.
func (s *Store) EndLeases(ctx context.Context, writer uuid.UUID, session string) error {
	return s.transact(ctx, "ending earlier leases of budgets", func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM budget_leases WHERE gateway = ? AND session <> ?`), writer.String(), session)
		return err
	})
}
