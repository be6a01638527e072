package store

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"ai-gateway/gateway"
)

// expectSumsToAgree compares what is added up by the hour with the requests themselves.
func expectSumsToAgree(t *testing.T, db *sqlx.DB) {
	t.Helper()
	const key = "key_id, COALESCE(user_id, ''), COALESCE(team, ''), model, backend, COALESCE(gateway, '')"
	requests := answer(t, db, `SELECT `+key+` AS grouped, COUNT(*) AS requests, SUM(CASE WHEN outcome IN ('provider_error', 'provider_closed') THEN 1 ELSE 0 END) AS failed,
		SUM(CASE WHEN cost_nanousd IS NULL THEN 1 ELSE 0 END) AS unpriced, SUM(CASE WHEN usage_source IN ('counted', 'estimated') THEN 1 ELSE 0 END) AS estimated,
		SUM(prompt_tokens) AS p, SUM(cached_tokens) AS c, SUM(cache_write_tokens) AS w, SUM(completion_tokens) AS o, SUM(reasoning_tokens) AS r,
		COALESCE(SUM(cost_nanousd), 0) AS cost, SUM(duration_ms) AS d, COALESCE(SUM(ttft_ms), 0) AS t, COUNT(ttft_ms) AS answered
		FROM requests GROUP BY `+key+` ORDER BY `+key)
	hours := answer(t, db, `SELECT `+key+` AS grouped, SUM(requests) AS requests, SUM(failed) AS failed, SUM(unpriced) AS unpriced, SUM(estimated) AS estimated,
		SUM(prompt_tokens) AS p, SUM(cached_tokens) AS c, SUM(cache_write_tokens) AS w, SUM(completion_tokens) AS o, SUM(reasoning_tokens) AS r,
		SUM(cost_nanousd) AS cost, SUM(duration_ms) AS d, SUM(ttft_ms) AS t, SUM(answered) AS answered
		FROM usage_hourly WHERE requests > 0 GROUP BY `+key+` ORDER BY `+key)
	if diff := cmp.Diff(requests, hours); diff != "" {
		t.Errorf("- requests, + hours\n%s", diff)
	}
}

func TestHoursAgreeWithRequestsAlsoAfterLateWordsAndNewPrices(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		write(t, s, example()...)
		expectSumsToAgree(t, s.db)

		late := rowAt(t, noon, func(r *gateway.Row) {
			r.Witness, r.Source, r.Outcome, r.Backend, r.Cost, r.TTFT = gateway.ByNone, gateway.Estimated, gateway.Unknown, "first", gateway.Cost{}, 0
		})
		write(t, s, late)
		better := *late
		better.Witness, better.Source, better.Outcome, better.Backend = gateway.ByBoth, gateway.FromProvider, gateway.OK, "second"
		better.Cost, better.TTFT = row().Cost, time.Second
		write(t, s, &better)
		write(t, s, late, &better) // once more changes nothing
		expectSumsToAgree(t, s.db)

		err := s.Recost(t.Context(), time.Time{}, noon.Add(time.Hour), true, func(rows []gateway.CostedRow) []gateway.CostedRow {
			for i := range rows {
				amount := gateway.Money(i + 7)
				rows[i].Cost = gateway.Cost{Amount: &amount, Version: "other"}
			}
			return rows[:len(rows)-1]
		})
		do(t, err)
		expectSumsToAgree(t, s.db)
	})
}

func TestHoursBeginAndEndWhereTheyDo(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		midnight := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
		write(t, s, rowAt(t, midnight.Add(-time.Microsecond), nil), rowAt(t, midnight, nil), rowAt(t, midnight.Add(time.Hour-time.Microsecond), nil))
		want := "day         hour                         requests\n" +
			"2026-03-28  2026-03-28T23:00:00.000000Z  1\n" +
			"2026-03-29  2026-03-29T00:00:00.000000Z  2\n"
		if diff := cmp.Diff(want, answer(t, s.db, "SELECT day, hour, requests FROM usage_hourly ORDER BY hour")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRequestsOfAnEarlierVersionAreAddedUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	db := sqlx.MustOpen("sqlite", path)
	defer db.Close()
	steps, err := migrationsFor(goose.DialectSQLite3)
	do(t, err)
	earlier, err := goose.NewProvider(goose.DialectSQLite3, db.DB, nil, goose.WithGoMigrations(steps...))
	do(t, err)
	_, err = earlier.UpTo(t.Context(), 10)
	do(t, err)
	for _, id := range []string{"a", "b"} {
		db.MustExec(`INSERT INTO requests (started_at, id, request_id, duration_ms, key_id, client_ip, endpoint, model, backend, upstream_model, stream, status, outcome,
			attempts, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, usage_source, witness, cost_nanousd)
			VALUES ('2026-01-02T03:04:05.000000Z', ?, 'r', 5, 'k', '', '/v1/embeddings', 'm', 'b', 'm', 0, 200, 'ok', 1, 10, 0, 3, 0, 'provider', 'both', 9)`, id)
	}
	store, err := Open(t.Context(), Config{Path: path})
	do(t, err)
	defer store.Close()
	expectSumsToAgree(t, db)
	if got := answer(t, db, "SELECT day, requests, cost_nanousd FROM usage_by_day"); got != "day         requests  cost_nanousd\n2026-01-02  2         18\n" {
		t.Error(got)
	}
}
