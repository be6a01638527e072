package store

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// budgetOf is a budget of a user's in the period of a time.
func budgetOf(user string, per gateway.BudgetPeriod, at time.Time) gateway.BudgetID {
	start, end := per.Days(at)
	return gateway.BudgetID{By: gateway.BudgetByUser, Name: user, Per: per, Start: start, End: end}
}

func (s *testStore) standing(t *testing.T, id gateway.BudgetID, now time.Time) (spent, leased gateway.Money) {
	t.Helper()
	states, err := s.Standings(t.Context(), []gateway.BudgetState{{BudgetID: id}}, now)
	do(t, err)
	return states[0].Spent, states[0].Held
}

func TestWhatWasSpentFollowsTheRows(t *testing.T) { onEach(t, whatWasSpentFollowsTheRows) }

func whatWasSpentFollowsTheRows(t *testing.T, s *testStore) {
	r := row()
	month := budgetOf(r.UserID, gateway.BudgetMonth, r.StartedAt)
	expect := func(what string, want gateway.Money) {
		t.Helper()
		if spent, _ := s.standing(t, month, r.StartedAt); spent != want {
			t.Errorf("%s: %d were spent, want %d", what, spent, want)
		}
	}
	cost := *r.Cost.Amount
	estimate := *r
	estimate.Cost.Amount, estimate.Source, estimate.Witness = new(gateway.Money), gateway.Estimated, gateway.ByNone
	*estimate.Cost.Amount = 5
	write(t, s, &estimate)
	expect("an estimate", 5)
	write(t, s, r)
	expect("a late settlement", cost)
	write(t, s, r)
	expect("the same again", cost)
	do(t, s.Recost(t.Context(), r.StartedAt, r.StartedAt.Add(time.Second), true, func(rows []gateway.CostedRow) []gateway.CostedRow {
		double := 2 * cost
		rows[0].Cost.Amount = &double
		return rows
	}))
	expect("another price", 2*cost)
	correction := gateway.SpendingCorrection{ID: uuid.New(), By: gateway.BudgetByUser, Name: r.UserID, Day: gateway.DayOf(r.StartedAt), Amount: gateway.Dollars(-cost),
		Reason: "a mistyped price", Actor: "command line", At: r.StartedAt}
	repeated := correction
	repeated.At = correction.At.Add(time.Hour)
	for _, sent := range []gateway.SpendingCorrection{correction, repeated} {
		made, err := s.CorrectSpending(t.Context(), gateway.Actor{Name: "command line"}, sent)
		if diff := cmp.Diff(correction, made); err != nil || diff != "" {
			t.Errorf("the correction that was made (-want +got), %v:\n%s", err, diff)
		}
		expect("a correction, sent once or twice", cost)
	}
	repeated.Amount--
	if _, err := s.CorrectSpending(t.Context(), gateway.Actor{}, repeated); !errors.Is(err, gateway.ErrOtherCorrection) {
		t.Errorf("another correction with the same id: %v", err)
	}
	mistyped := correction
	mistyped.ID, mistyped.Name = uuid.New(), r.UserID+"x"
	if _, err := s.CorrectSpending(t.Context(), gateway.Actor{}, mistyped); !errors.Is(err, gateway.ErrNoSpending) {
		t.Errorf("correcting what nobody spent: %v", err)
	}
	listed, err := s.SpendingCorrections(t.Context(), gateway.RequestPlace{}, 10)
	if diff := cmp.Diff([]gateway.SpendingCorrection{correction}, listed); err != nil || diff != "" {
		t.Errorf("corrections are listed as (-want +got), %v:\n%s", err, diff)
	}
	behind, err := s.SpendingCorrections(t.Context(), gateway.RequestPlace{StartedAt: correction.At, ID: correction.ID}, 10)
	if err != nil || len(behind) != 0 {
		t.Errorf("behind the last one are %v, %v", behind, err)
	}
	trail, err := s.Audit(t.Context(), 0, 10)
	if err != nil || len(trail) != 1 || trail[0].Action != "spending.correct" || trail[0].Target != "user "+r.UserID || !strings.Contains(string(trail[0].After), "a mistyped price") {
		t.Errorf("the audit log has %+v, %v", trail, err)
	}
	s.db.MustExec(`DELETE FROM requests`)
	expect("rows that were removed", cost)
	var requests, entries int
	do(t, s.db.Get(&entries, `SELECT COUNT(*) FROM budget_entries WHERE reason = 'a mistyped price'`))
	do(t, s.db.Get(&requests, `SELECT COUNT(*) FROM spending WHERE scope IN ('key', 'user', 'team')`))
	if entries != 1 || requests != 3 {
		t.Errorf("there are %d entries and %d sums", entries, requests)
	}
}

func TestRowsFromBeforeThereWereBudgetsCount(t *testing.T) {
	s := newSQLiteStore(t)
	r := row()
	write(t, s, r)
	s.db.MustExec(`DELETE FROM spending`)
	text, err := migrationFor("sqlite3", "migrations/00026_budgets.sql")
	do(t, err)
	for _, table := range []string{"spending", "budget_entries", "budget_turns", "budget_leases", "budget_events"} {
		s.db.MustExec(`DROP TABLE ` + table)
	}
	s.db.MustExec(`ALTER TABLE gateway_keys DROP COLUMN budget`)
	s.db.MustExec(text)
	var got []struct {
		Scope, Name, Day string
		Spent            int64 `db:"spent_nanousd"`
	}
	do(t, s.db.Select(&got, `SELECT * FROM spending ORDER BY scope`))
	day := string(gateway.DayOf(r.StartedAt))
	type sum = struct {
		Scope, Name, Day string
		Spent            int64 `db:"spent_nanousd"`
	}
	cost := int64(*r.Cost.Amount)
	want := []sum{{"key", "anonymous", day, cost}, {"team", r.Team, day, cost}, {"user", r.UserID, day, cost}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLeasesOfManyNeverExceedABudget(t *testing.T) { onEach(t, leasesOfManyNeverExceedABudget) }

func leasesOfManyNeverExceedABudget(t *testing.T, s *testStore) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	id := budgetOf("ada", gateway.BudgetDay, now)
	var mu sync.Mutex
	var given gateway.Money
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for turn := range int64(10) {
				grants, err := s.Lease(t.Context(), uuid.New(), "one", []gateway.LeaseAsk{{BudgetID: id, Amount: 500, Least: 10, Need: 10, Ahead: 100, Turn: turn + 1}}, now)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				given += grants[0].Given
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if _, leased := s.standing(t, id, now); given != 500 || leased != 500 {
		t.Errorf("%d were given of 500, and %d are leased", given, leased)
	}
	if _, leased := s.standing(t, id, now.Add(LeaseLife+time.Second)); leased != 0 {
		t.Errorf("%d are leased to gateways that are long dead", leased)
	}
}

func TestALeaseIsGrantedOnceAndUsedByRows(t *testing.T) { onEach(t, aLeaseIsGrantedOnceAndUsedByRows) }

func aLeaseIsGrantedOnceAndUsedByRows(t *testing.T, s *testStore) {
	r := row()
	now, cost := r.StartedAt, *r.Cost.Amount
	id := budgetOf(r.UserID, gateway.BudgetWeek, now)
	ask := []gateway.LeaseAsk{{BudgetID: id, Amount: 10 * cost, Least: cost, Need: 3 * cost, Turn: 1}}
	first, err := s.Lease(t.Context(), writer, "one", ask, now)
	do(t, err)
	again, err := s.Lease(t.Context(), writer, "one", ask, now)
	do(t, err)
	want := []gateway.LeaseGrant{{Given: 3 * cost, Leased: 3 * cost}}
	if diff := cmp.Diff([][]gateway.LeaseGrant{want, want}, [][]gateway.LeaseGrant{first, again}); diff != "" {
		t.Error(diff)
	}
	held := Held{Session: "one", Budgets: func(uuid.UUID) []gateway.BudgetID { return []gateway.BudgetID{id} }}
	for range 2 {
		_, _, err := s.WriteHeld(t.Context(), []*gateway.Row{r}, writer, gateway.LogPosition{}, held)
		do(t, err)
	}
	if spent, leased := s.standing(t, id, now); spent != cost || leased != 2*cost {
		t.Errorf("%d are spent and %d are leased, want %d and %d", spent, leased, cost, 2*cost)
	}
	do(t, s.EndLeases(t.Context(), writer, "two"))
	if spent, leased := s.standing(t, id, now); spent != cost || leased != 0 {
		t.Errorf("%d are spent and %d are leased, want %d and none", spent, leased, cost)
	}
}

func TestTurnsAreKeptNoLongerThanTheirPeriods(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		now := row().StartedAt
		asks := []gateway.LeaseAsk{{BudgetID: budgetOf("ada", gateway.BudgetDay, now), Amount: 10, Need: 1, Turn: 1}, {BudgetID: budgetOf("ada", gateway.BudgetTotal, now), Amount: 10, Need: 1, Turn: 1}}
		_, err := s.Lease(t.Context(), writer, "one", asks, now)
		do(t, err)
		for _, c := range []struct {
			after time.Duration
			turns int
		}{{0, 2}, {4 * LeaseLife, 1}} {
			do(t, s.RenewLeases(t.Context(), writer, "one", now.Add(c.after)))
			var turns int
			do(t, s.read(t.Context(), "counting turns", func(q *sqlx.Conn) error {
				return q.GetContext(t.Context(), &turns, `SELECT COUNT(*) FROM budget_turns`)
			}))
			if turns != c.turns {
				t.Errorf("%s later there are turns of %d budgets, want %d", c.after, turns, c.turns)
			}
		}
	})
}

func TestAnEventIsNotedOnceAndToldUntilItIsTaken(t *testing.T) {
	onEach(t, anEventIsNotedOnceAndToldUntilItIsTaken)
}

func anEventIsNotedOnceAndToldUntilItIsTaken(t *testing.T, s *testStore) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	e := gateway.BudgetEvent{BudgetID: budgetOf("ada", gateway.BudgetTotal, now), Event: uuid.New(), Threshold: 80, Amount: 100, Spent: 81, At: now}
	do(t, s.NoteBudgetEvent(t.Context(), e))
	twin := e
	twin.Event = uuid.New()
	do(t, s.NoteBudgetEvent(t.Context(), twin))
	claim := func(at time.Time) []gateway.BudgetEvent {
		events, err := s.ClaimBudgetEvents(t.Context(), at, 10, func(attempts int) time.Time { return at.Add(time.Duration(attempts) * time.Minute) })
		do(t, err)
		return events
	}
	want := e
	want.Attempts = 1
	if diff := cmp.Diff([]gateway.BudgetEvent{want}, claim(now)); diff != "" {
		t.Error(diff)
	}
	if early := claim(now.Add(time.Second)); early != nil {
		t.Errorf("it is claimed twice: %+v", early)
	}
	want.Attempts = 2
	if diff := cmp.Diff([]gateway.BudgetEvent{want}, claim(now.Add(time.Minute))); diff != "" {
		t.Error(diff)
	}
	do(t, s.BudgetEventDelivered(t.Context(), e.Event, now))
	if after := claim(now.Add(time.Hour)); after != nil {
		t.Errorf("it is told again: %+v", after)
	}
	want.Delivered = &now
	own := gateway.Spender{By: e.By, Name: e.Name}
	for _, c := range []struct {
		of    []gateway.Spender
		after gateway.RequestPlace
		want  []gateway.BudgetEvent
	}{
		{nil, gateway.RequestPlace{}, []gateway.BudgetEvent{want}},
		{[]gateway.Spender{{By: gateway.BudgetByTeam, Name: e.Name}, own}, gateway.RequestPlace{}, []gateway.BudgetEvent{want}},
		{[]gateway.Spender{{By: gateway.BudgetByTeam, Name: e.Name}}, gateway.RequestPlace{}, []gateway.BudgetEvent{}},
		{[]gateway.Spender{}, gateway.RequestPlace{}, []gateway.BudgetEvent{}},
		{nil, gateway.RequestPlace{StartedAt: e.At, ID: e.Event}, []gateway.BudgetEvent{}},
	} {
		events, err := s.BudgetEvents(t.Context(), c.of, c.after, 10)
		if diff := cmp.Diff(c.want, events); err != nil || diff != "" {
			t.Errorf("events of %v behind %v, %v (-want +got):\n%s", c.of, c.after, err, diff)
		}
	}
}
