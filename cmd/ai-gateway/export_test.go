package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/store"
)

// manyRows makes tables with requests of 2026-01-01 and 2, every text of which is odd.
func manyRows(t *testing.T, path string, rows int) {
	t.Helper()
	db := newTables(t, path)
	_, err := db.ExecContext(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO requests (started_at, id, request_id, duration_ms, key_id, team, tags, client_ip, endpoint, model, backend, upstream_model,
		stream, status, outcome, attempts, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, usage_source, witness, cost_nanousd, error_code)
		SELECT strftime('%Y-%m-%dT%H:%M:%S', 1767225600 + i * 10, 'unixepoch') || '.000000Z', printf('019b7610-0000-7000-8000-%012x', i), 'label, "' || i || '"', 5, 'k',
		'a team', '{"feature":"x' || (i % 3) || '"}', '', '/v1/chat/completions', 'm' || (i % 2), 'b', 'gpt-4o' || CASE i % 2 WHEN 1 THEN '-mini' ELSE '' END, i % 2, 200, 'ok', 1, 1000, 0, 100, 0, 'provider', 'both',
		CASE i % 7 WHEN 0 THEN NULL ELSE 1000000 + i END, 'two' || char(10) || 'lines' FROM n`, rows-1)
	if err != nil {
		t.Fatal(err)
	}
}

// onTables runs a command on tables, and returns what it prints.
func onTables(ctx context.Context, path string, args ...string) (stdout, stderr string, err error) {
	var out, told strings.Builder
	err = run(ctx, args, func(name string) string { return map[string]string{"DATABASE_PATH": path}[name] }, &out, &told)
	return out.String(), told.String(), err
}

// duckdb answers a query of Python's package of that name.
func duckdb(t *testing.T, query string) string {
	t.Helper()
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	packages, err := filepath.Abs("../../.tools/python")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-B", "-c", "import duckdb, sys; print(duckdb.sql(sys.argv[1]).fetchall())", query)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+packages)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s: `make test-setup` installs duckdb", err, out)
	}
	return strings.TrimSpace(string(out))
}

const exported = 12_345

func TestAnExportIsReadBackByDuckDB(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "usage.db")
	manyRows(t, path, exported)
	var cost int64
	for i := range int64(exported) {
		if i%7 != 0 {
			cost += 1_000_000 + i
		}
	}
	want := fmt.Sprintf(`[(%d, %d, %d, %d, 'label, "%d"', 'two\nlines', 3)]`, exported, cost, (exported+6)/7, exported/2, exported-1)
	for format, reader := range map[string]string{"csv": "read_csv", "jsonl": "read_json"} {
		file := filepath.Join(dir, "export."+format)
		if _, told, err := onTables(t.Context(), path, "export", "--format", format, "--from", "2026-01-01", "--to", "2026-02-01", "--output", file); err != nil || !strings.Contains(told, "12345 rows exported") {
			t.Fatalf("%v: %s", err, told)
		}
		got := duckdb(t, fmt.Sprintf(`SELECT count(*), CAST(sum(cost_nanousd) AS BIGINT), count(*) FILTER (cost_nanousd IS NULL), count(*) FILTER (CAST(stream AS BOOLEAN)),
			arg_max(request_id, started_at), min(error_code), count(DISTINCT CAST(tags AS VARCHAR)) FROM %s('%s')`, reader, file))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
}

func TestAnExportThatWasBrokenOffGoesOn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "usage.db")
	manyRows(t, path, exported)
	whole, _, err := onTables(t.Context(), path, "export", "--from", "2026-01-01", "--to", "2026-02-01")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "export.csv")
	tables, err := store.Open(t.Context(), store.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer tables.Close()
	from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	e := &exporter{tables: tables, stdout: io.Discard, stderr: io.Discard, output: file,
		progress: exportProgress{Format: "csv", FromText: "2026-01-01", ToText: "2026-02-01", From: from, To: to}}
	if err := e.open(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.page(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.file.WriteString("half a ro"); err != nil { // as a kill leaves it
		t.Fatal(err)
	}
	if err := e.file.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := onTables(t.Context(), path, "export", "--from", "2026-01-02", "--to", "2026-02-01", "--output", file); err == nil || !strings.Contains(err.Error(), "--from 2026-01-01") {
		t.Errorf("another export goes on with it: %v", err)
	}
	_, told, err := onTables(t.Context(), path, "export", "--from", "2026-01-01", "--to", "2026-02-01", "--output", file)
	if err != nil || !strings.Contains(told, "continuing after 5000 rows") {
		t.Fatalf("%v: %s", err, told)
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != whole {
		t.Errorf("%v: %d bytes, want %d", err, len(got), len(whole))
	}
	if _, err := os.Stat(file + progressSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what says how far it is stays: %v", err)
	}
	if _, _, err := onTables(t.Context(), path, "export", "--from", "2026-01-01", "--output", file); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("a file is written over: %v", err)
	}
}

func TestALineOfAnExportIsAnObjectInTheOrderOfTheColumns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	manyRows(t, path, 1)
	out, _, err := onTables(t.Context(), path, "export", "--format", "jsonl", "--from", "2026-01-01")
	if err != nil || !strings.HasPrefix(out, `{"started_at":"2026-01-01T00:00:00.000000Z","id":"019b7610-0000-7000-8000-000000000000","request_id":"label, \"0\"",`) {
		t.Fatalf("%v: %s", err, out)
	}
	var row map[string]any
	if err := json.Unmarshal([]byte(out), &row); err != nil || row["cost_nanousd"] != nil || row["stream"] != false || row["prompt_tokens"] != 1000.0 {
		t.Errorf("%v: %v", err, row)
	}
}

func TestUsageIsShownByGroupWithTotals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	manyRows(t, path, 8000)
	for group, want := range map[string][]string{
		"model":   {"From 2026-01-01 00:00 to 2026-01-02 00:00, UTC", "m1 ", "m0 ", "all    8000      0       8000000    800000      6.88"},
		"team":    {"a team  8000 "},
		"key":     {"k    8000 "},
		"user":    {"(none)  8000 "},
		"tag":     {"feature=x0  2667 ", "all         8000 "},
		"hour":    {"2026-01-01 05:00  360 ", "2026-01-01 22:00  80 "},
		"day":     {"2026-01-01 00:00  8000 "},
		"backend": {"b        8000 "},
	} {
		out, _, err := onTables(t.Context(), path, "usage", "--group", group, "--from", "2026-01-01", "--to", "2026-01-02")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("%s: %q is not in\n%s", group, text, out)
			}
		}
		if !strings.ContainsAny(out, levels) {
			t.Errorf("%s: there is no course in\n%s", group, out)
		}
	}
	if _, _, err := onTables(t.Context(), path, "usage", "--group", "colour"); err == nil || !strings.Contains(err.Error(), "must be one of model,") {
		t.Error(err)
	}
}

func TestAnInvoiceIsComparedByDayAndModel(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "usage.db")
	manyRows(t, path, 10_000) // 8640 on the first day
	file := filepath.Join(dir, "invoice.csv")
	header := "start_time_iso,model,num_model_requests,input_tokens,output_tokens\n"
	agreed := "2026-01-01T00:00:00+00:00,gpt-4o-2024-08-06,4320,4320000,432000\n2026-01-01T00:00:00+00:00,gpt-4o-mini,4320,4320000,432000\n"
	for _, c := range []struct {
		text, want string
		differs    bool
	}{
		{header + agreed + "2026-01-05T00:00:00+00:00,gpt-4o,9,9,9\n", "2026-01-01  gpt-4o       4320, 4320", false}, // a day that is not asked for
		{header + agreed + "2026-01-01T00:00:00+00:00,gpt-5,1,1,1\n", "gpt-5        1, 0", true},
		{header, "gpt-4o-mini  0, 4320", true},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, period := range [][]string{{"--from", "2026-01-01", "--to", "2026-01-02"}, {"--from", "2026-01-01T08:00:00Z", "--to", "2026-01-01T12:00:00Z"}} {
			out, _, err := onTables(t.Context(), path, append([]string{"invoice", file, "--mapping", "openai-usage"}, period...)...)
			if (err != nil) != c.differs || !strings.Contains(out, c.want) || strings.Contains(out, "differs") != c.differs {
				t.Errorf("%v: %v, want %q in\n%s", period, err, c.want, out)
			}
		}
	}
	if _, _, err := onTables(t.Context(), path, "invoice", file, "--mapping", "nobody", "--from", "2026-01-01"); err == nil || !strings.Contains(err.Error(), "anthropic-usage") {
		t.Error(err)
	}
}
