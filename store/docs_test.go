package store

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

var update = flag.Bool("update", false, "write the answers into docs/sql.md instead of comparing with them")

const sqlDocPath = "../docs/sql.md"

func sqlDoc(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(sqlDocPath)
	do(t, err)
	return string(b)
}

// cells are the first cells, in code, of the table below a heading or a sentence.
func cells(t *testing.T, doc, after string) (cells []string) {
	t.Helper()
	_, rest, ok := strings.Cut(doc, after)
	if !ok {
		t.Fatalf("docs/sql.md does not say %q", after)
	}
	_, rest, _ = strings.Cut(rest, "|---|---|\n")
	table, _, _ := strings.Cut(rest, "\n\n")
	for _, cell := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(table, -1) {
		cells = append(cells, cell[1])
	}
	return cells
}

func columnsOf(t *testing.T, s *testStore, table string) []string {
	t.Helper()
	rows, err := s.db.QueryxContext(t.Context(), "SELECT * FROM "+table+" WHERE 1 = 0")
	do(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	do(t, err)
	return columns
}

func TestTheDescribedColumnsAreThoseOfTheTable(t *testing.T) {
	described := cells(t, sqlDoc(t), "### `requests`")
	onEach(t, func(t *testing.T, s *testStore) {
		if diff := cmp.Diff(described, columnsOf(t, s, "requests")); diff != "" {
			t.Error(diff)
		}
	})
}

// quoted are the words in code of a text.
func quoted(text string) (words []string) {
	for _, word := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(text, -1) {
		words = append(words, word[1])
	}
	return words
}

// describedViews are the columns of each view.
func describedViews(t *testing.T) map[string][]string {
	t.Helper()
	doc := sqlDoc(t)
	figures := cells(t, doc, "Their columns after these:")
	views := map[string][]string{}
	for _, line := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (`day`.*) \\|$").FindAllStringSubmatch(doc, -1) {
		views[line[1]] = quoted(line[2])
		if strings.HasPrefix(line[1], "usage_by") {
			views[line[1]] = append(views[line[1]], figures...)
		}
	}
	return views
}

func TestTheDescribedViewsAreThereInBothDatabases(t *testing.T) {
	views := describedViews(t)
	if len(views) != 10 {
		t.Fatalf("%d views are described", len(views))
	}
	onEach(t, func(t *testing.T, s *testStore) {
		for view, want := range views {
			if diff := cmp.Diff(want, columnsOf(t, s, view)); diff != "" {
				t.Errorf("%s: %s", view, diff)
			}
		}
	})
}

// example is what the queries of the documentation are answered from.
func example() []*gateway.Row {
	var rows []*gateway.Row
	add := func(minute int, change func(*gateway.Row)) {
		r := row()
		r.StartedAt = time.Date(2026, 1, 1, 9, minute, 0, 0, time.UTC)
		r.ID = uuid.MustParse(fmt.Sprintf("019b78d0-%04d-7000-8000-000000000001", minute))
		r.KeyID, r.KeyLabel, r.UserID, r.Team, r.Tags = "key_1111111111111111", "search backend", "ada", "search", `{"feature":"ranking"}`
		r.Duration, r.TTFT = time.Duration(1000+10*(minute%60))*time.Millisecond, time.Duration(200+minute%60)*time.Millisecond
		r.Usage = gateway.Usage{Prompt: 1000, Cached: 400, Completion: 200}
		amount := gateway.Money(4_500_000)
		r.Cost.Amount = &amount
		r.Tries, r.Attempts, r.Backend = r.Tries[1:], 1, "openai"
		r.Tries[0].Backend = "openai"
		change(r)
		rows = append(rows, r)
	}
	support := func(r *gateway.Row) {
		r.KeyID, r.KeyLabel, r.UserID, r.Team, r.Tags = "key_2222222222222222", "support bot", "grace", "support", `{"feature":"answers","stage":"test"}`
		r.Model, r.Usage = "gpt-4o-mini", gateway.Usage{Prompt: 3000, Completion: 500}
		*r.Cost.Amount = 760_000
	}
	for n := range 4 {
		add(n, func(*gateway.Row) {})
		add(24*60+10*n, func(r *gateway.Row) { support(r) })
	}
	add(24*60+45, func(r *gateway.Row) {
		support(r)
		r.Attempts, r.Backend = 2, "azure"
		r.Tries = []gateway.AttemptRow{{Try: gateway.Try{Backend: "openai", Status: 503, Duration: 1500 * time.Millisecond}}, {Try: gateway.Try{Backend: "azure", Status: 200}}}
	})
	add(24*60+50, func(r *gateway.Row) {
		r.Outcome, r.Status, r.ErrorCode, r.TTFT, r.Source, r.Usage = gateway.ProviderError, 429, "rate_limit_exceeded", 0, gateway.Estimated, gateway.Usage{}
		*r.Cost.Amount = 0
	})
	add(24*60+55, func(r *gateway.Row) {
		r.Model, r.UpstreamModel, r.Backend, r.Cost, r.Tags, r.UserID = "llama", "llama-3-70b", "own", gateway.Cost{}, "", ""
		r.Source = gateway.Counted
	})
	return rows
}

// question is a query of the documentation with its answer.
type question struct{ whole, query, answer string }

func questions(t *testing.T) (all []question) {
	t.Helper()
	for _, q := range regexp.MustCompile("(?s)```sql\n(.*?)```\n\n```text\n(.*?)```").FindAllStringSubmatch(sqlDoc(t), -1) {
		all = append(all, question{q[0], q[1], q[2]})
	}
	return all
}

func TestTheQuestionsOfTheDocumentationAreAnswered(t *testing.T) {
	all := questions(t)
	if len(all) < 10 {
		t.Fatalf("%d questions", len(all))
	}
	doc := sqlDoc(t)
	onEach(t, func(t *testing.T, s *testStore) {
		_, err := s.db.ExecContext(t.Context(), map[string]string{"postgres": "SET TimeZone = 'UTC'", "sqlite": "SELECT 1"}[s.db.DriverName()])
		do(t, err)
		write(t, s, example()...)
		for _, q := range all {
			got := answer(t, s.db, q.query)
			if *update {
				doc = strings.Replace(doc, q.whole, "```sql\n"+q.query+"```\n\n```text\n"+got+"```", 1)
			} else if diff := cmp.Diff(q.answer, got); diff != "" {
				t.Errorf("%s: (- documentation, + database; `go test ./store -run Documentation -update` writes it)\n%s", q.query, diff)
			}
		}
	})
	if *update {
		do(t, os.WriteFile(sqlDocPath, []byte(doc), 0o644))
	}
}

// answer is what a query returns, as a table of text.
func answer(t *testing.T, db *sqlx.DB, query string) string {
	t.Helper()
	rows, err := db.QueryxContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	header, err := rows.Columns()
	do(t, err)
	table := [][]string{header}
	for rows.Next() {
		values, err := rows.SliceScan()
		do(t, err)
		line := make([]string, len(values))
		for i, v := range values {
			line[i] = shown(v)
		}
		table = append(table, line)
	}
	do(t, rows.Err())
	return aligned(table)
}

// shown is a value as both databases give it.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case time.Time:
		return v.UTC().Format(momentFormat)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []byte:
		if n, err := strconv.ParseFloat(string(v), 64); err == nil {
			return shown(n)
		}
		return string(v)
	}
	return fmt.Sprint(v)
}

func aligned(table [][]string) string {
	widths := make([]int, len(table[0]))
	for _, line := range table {
		for i, cell := range line {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for _, line := range table {
		padded := make([]string, len(line))
		for i, cell := range line {
			padded[i] = fmt.Sprintf("%-*s", widths[i], cell)
		}
		b.WriteString(strings.TrimRight(strings.Join(padded, "  "), " ") + "\n")
	}
	return b.String()
}

func TestTheRoleOfTheDocumentationReadsUsageAndNothingElse(t *testing.T) {
	s := newPostgresStore(t)
	script := regexp.MustCompile("(?s)```sql role\n(.*?)```").FindStringSubmatch(sqlDoc(t))
	if script == nil {
		t.Fatal("there is no script")
	}
	role := "reader_" + strings.ReplaceAll(uuid.NewString(), "-", "") // roles are those of the whole server
	for _, statement := range strings.Split(strings.ReplaceAll(script[1], "usage_reader", role), ";\n") {
		_, err := s.db.ExecContext(t.Context(), statement)
		do(t, err)
	}
	write(t, s, example()...)
	c, err := s.db.Connx(t.Context())
	do(t, err)
	defer c.Close()
	_, err = c.ExecContext(t.Context(), "SET SESSION AUTHORIZATION "+role)
	do(t, err)
	defer func() {
		for _, statement := range []string{"RESET SESSION AUTHORIZATION", "DROP OWNED BY " + role, "DROP ROLE " + role} {
			_, err := c.ExecContext(t.Context(), statement)
			do(t, err)
		}
	}()
	for view := range describedViews(t) {
		if _, err := c.ExecContext(t.Context(), "SELECT * FROM "+view); err != nil {
			t.Errorf("%s: %v", view, err)
		}
	}
	for _, statement := range []string{"SELECT * FROM prompts", "SELECT * FROM gateway_keys", "SELECT * FROM shared_values", "SELECT * FROM audit",
		"DELETE FROM requests", "UPDATE usage_hourly SET requests = 0", "INSERT INTO keys VALUES ('a', 'b', now())", "CREATE TABLE mine (x INT)"} {
		if _, err := c.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s is allowed", statement)
		}
	}
}

func TestAFileThatIsOpenedToBeReadIsNotWritten(t *testing.T) {
	s := newSQLiteStore(t)
	write(t, s, example()...)
	db, err := sqlx.Open("sqlite", "file:"+s.engine.(*sqlite).path+"?mode=ro")
	do(t, err)
	defer db.Close()
	var n int
	do(t, db.GetContext(t.Context(), &n, "SELECT SUM(requests) FROM usage_by_day"))
	if n != len(example()) {
		t.Errorf("%d requests", n)
	}
	if _, err := db.ExecContext(t.Context(), "DELETE FROM requests"); err == nil {
		t.Error("it is written")
	}
}

func TestTagsAreStoredAsTheirViewReadsThem(t *testing.T) {
	var tags map[string]string
	do(t, json.Unmarshal([]byte(row().Tags), &tags))
	onEach(t, func(t *testing.T, s *testStore) {
		write(t, s, row())
		var got []string
		do(t, s.db.SelectContext(t.Context(), &got, "SELECT tag FROM usage_by_tag"))
		if !slices.Equal(got, []string{"feature"}) || tags["feature"] == "" {
			t.Errorf("%v", got)
		}
	})
}
