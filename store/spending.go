package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

func spending() *batch {
	return &batch{table: "spending", key: "scope, name, day", columns: []string{"scope", "name", "day", "spent_nanousd"},
		conflict: "ON CONFLICT (scope, name, day) DO UPDATE SET spent_nanousd = spending.spent_nanousd + excluded.spent_nanousd"}
}

// spender identifies a sum: a key, user or team, and a day.
type spender struct {
	by   gateway.BudgetBy
	name string
	day  gateway.Day
}

// spendings are changes to the table of what was spent.
type spendings map[spender]gateway.Money

// add adds an amount to everyone that a request counts for.
func (s spendings) add(key gateway.KeyID, user, team string, day gateway.Day, amount gateway.Money) {
	if amount == 0 {
		return
	}
	for _, by := range []gateway.BudgetBy{gateway.BudgetByKey, gateway.BudgetByUser, gateway.BudgetByTeam} {
		if name := text(gateway.SpendingName(by, key, user, team)); name != "" {
			s[spender{by, name, day}] += amount
		}
	}
}

// spend adds to the table, in the order of its key, so that concurrent writers do not deadlock.
func (s *Store) spend(ctx context.Context, tx *sqlx.Tx, sums spendings) error {
	b := spending()
	for _, of := range slices.SortedFunc(maps.Keys(sums), func(a, b spender) int {
		return cmp.Or(cmp.Compare(a.by.String(), b.by.String()), cmp.Compare(a.name, b.name), cmp.Compare(a.day, b.day))
	}) {
		b.add(of.by.String(), of.name, string(of.day), int64(sums[of]))
	}
	if len(b.values) == 0 {
		return nil
	}
	return s.engine.load(ctx, tx, b)
}

func amountOf(m *gateway.Money) gateway.Money {
	if m == nil {
		return 0
	}
	return *m
}

// Held says which rows have money held in leases.
type Held struct {
	Session string                                // of the process that writes
	Budgets func(id uuid.UUID) []gateway.BudgetID // in which money is held for a request

	ended *[]*gateway.Row // of background responses whose end is written; nil keeps none
}

// writtenCost is the cost of an existing row.
type writtenCost struct {
	ID   uuid.UUID      `db:"id"`
	Cost *gateway.Money `db:"cost_nanousd"`
}

// costsOf returns the costs of those rows that already exist.
func (s *Store) costsOf(ctx context.Context, tx *sqlx.Tx, rows []*gateway.Row) (map[uuid.UUID]gateway.Money, error) {
	there := map[uuid.UUID]gateway.Money{}
	for some := range slices.Chunk(rows, lookedForAtOnce) {
		times := make([]moment, len(some))
		mine := make(map[uuid.UUID]bool, len(some))
		for i, r := range some {
			times[i], mine[r.ID] = moment(r.StartedAt), true
		}
		query, args, err := sqlx.In(`SELECT id, cost_nanousd FROM requests WHERE started_at IN (?)`+s.engine.forUpdate(), times)
		if err != nil {
			return nil, err
		}
		var found []writtenCost
		if err := tx.SelectContext(ctx, &found, tx.Rebind(query), args...); err != nil {
			return nil, fmt.Errorf("reading earlier costs: %w", err)
		}
		for _, f := range found {
			if mine[f.ID] {
				there[f.ID] = amountOf(f.Cost)
			}
		}
	}
	return there, nil
}

// book adds the changes of rows to what was spent, and ends what is held for new ones in leases.
func (s *Store) book(ctx context.Context, tx *sqlx.Tx, rows []*gateway.Row, before map[uuid.UUID]gateway.Money, writer uuid.UUID, held Held) error {
	var again []*gateway.Row // with the cost of the better informed witness
	for _, r := range rows {
		if _, was := before[r.ID]; was {
			again = append(again, r)
		}
	}
	now, err := s.costsOf(ctx, tx, again)
	if err != nil {
		return err
	}
	sums, used, booked := spendings{}, map[gateway.BudgetID]gateway.Money{}, map[uuid.UUID]bool{}
	for _, r := range rows {
		if booked[r.ID] {
			continue
		}
		booked[r.ID] = true
		cost := amountOf(r.Cost.Amount)
		was, there := before[r.ID]
		if there {
			cost = now[r.ID]
		}
		sums.add(r.KeyID, r.UserID, r.Team, gateway.DayOf(r.StartedAt), cost-was)
		if held.Budgets != nil && !there {
			for _, id := range held.Budgets(r.ID) {
				used[id] += cost
			}
		}
	}
	ended, err := s.endResponses(ctx, tx, endsOf(rows), sums)
	if err != nil {
		return err
	}
	if err := s.spend(ctx, tx, sums); err != nil {
		return err
	}
	if err := useLeases(ctx, tx, used, writer, held.Session); err != nil {
		return err
	}
	*held.ended = append(*held.ended, ended...)
	return nil
}
