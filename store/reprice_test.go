package store

import (
	"context"
	"testing"
	"time"

	"ai-gateway/gateway"
)

// TestCostsAreWrittenInTheOrderInWhichWritersOfRowsMeet holds the second of two sums of an hour, and
// then takes the first, as a writer of rows does in the order of their keys.
func TestCostsAreWrittenInTheOrderInWhichWritersOfRowsMeet(t *testing.T) {
	s := newPostgresStore(t)
	late, early := row(), row()
	early.StartedAt, early.Model, late.Model = late.StartedAt.Truncate(time.Hour), "z", "a"
	late.StartedAt = early.StartedAt.Add(time.Second)
	write(t, s, early, late)
	double := 2 * *early.Cost.Amount

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	other, err := s.db.BeginTxx(ctx, nil)
	do(t, err)
	defer other.Rollback() // after Commit it does nothing
	touch := func(model string) {
		t.Helper()
		_, err := other.ExecContext(ctx, `UPDATE usage_hourly SET requests = requests WHERE model = $1`, model)
		do(t, err)
	}
	touch("a")
	repriced := make(chan error, 1)
	go func() {
		repriced <- s.Recost(ctx, early.StartedAt, early.StartedAt.Add(time.Hour), true, func(rows []gateway.CostedRow) []gateway.CostedRow {
			for i := range rows {
				rows[i].Cost.Amount = &double
			}
			return rows
		})
	}()
	for waiting := 0; waiting == 0; {
		do(t, s.db.GetContext(ctx, &waiting, `SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`))
	}
	touch("z")
	do(t, other.Commit())
	do(t, <-repriced)
	var hours, spent gateway.Money
	do(t, s.db.Get(&hours, `SELECT SUM(cost_nanousd) FROM usage_hourly`))
	do(t, s.db.Get(&spent, `SELECT SUM(spent_nanousd) FROM spending WHERE scope = 'user'`))
	if hours != 2*double || spent != 2*double {
		t.Errorf("the hours add up to %s and %s is spent, want %s", hours, spent, 2*double)
	}
}
