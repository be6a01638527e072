package usage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// Finding is one difference between the witnesses and the tables.
type Finding struct {
	ID   uuid.UUID
	What string // "missing: …", "doubled: …", "different: …"
}

// Reconciliation is what a comparison found.
type Reconciliation struct {
	Rows, Lines, Records int // that were compared
	Findings             []Finding
}

// compared is what is known of a request, by each that knows of it.
type compared struct {
	rows       []recorded
	intent     *gateway.Intent
	settlement *gateway.Settlement
	line       *gateway.JournalLine
}

// recorded is what a row says.
type recorded struct {
	ID          string `db:"id"`
	Status      int    `db:"status"`
	Attempts    int    `db:"attempts"`
	Prompt      int64  `db:"prompt_tokens"`
	Completion  int64  `db:"completion_tokens"`
	UsageSource string `db:"usage_source"`
	Witness     string `db:"witness"`
}

// Reconcile compares what the journal and the spool still hold of the requests that
// started in [from, to) with the tables. It only reads, also while the gateway runs;
// what it has not written yet counts as missing, so to is best a minute ago.
func Reconcile(ctx context.Context, store *Store, journalPath, spoolDir string, from, to time.Time) (Reconciliation, error) {
	var found Reconciliation
	known := map[uuid.UUID]*compared{}
	of := func(id uuid.UUID) *compared {
		at := startOf(id)
		if at.Before(from.Truncate(time.Millisecond)) || !at.Before(to) {
			return nil
		}
		if known[id] == nil {
			known[id] = &compared{}
		}
		return known[id]
	}
	err := errors.Join(
		found.readRows(ctx, store, from, to, of),
		found.readJournals(journalPath, of),
		found.readSegments(spoolDir, of),
	)
	for _, id := range slices.SortedFunc(maps.Keys(known), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }) {
		for _, what := range known[id].differences() {
			found.Findings = append(found.Findings, Finding{id, what})
		}
	}
	return found, err
}

// startOf is when a request started, as its id tells: to the millisecond.
// Source: https://www.rfc-editor.org/rfc/rfc9562#section-5.7
func startOf(id uuid.UUID) time.Time {
	ms := int64(0)
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms)
}

func (r *Reconciliation) readRows(ctx context.Context, store *Store, from, to time.Time, of func(uuid.UUID) *compared) error {
	rows, err := store.db.QueryxContext(ctx, store.db.Rebind(`SELECT id, status, attempts, prompt_tokens, completion_tokens, usage_source, witness
		FROM requests WHERE started_at >= ? AND started_at < ?`), stamp(from), stamp(to))
	if err != nil {
		return fmt.Errorf("reading the tables: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var row recorded
		if err := rows.StructScan(&row); err != nil {
			return fmt.Errorf("reading the tables: %w", err)
		}
		r.Rows++
		id, err := uuid.Parse(row.ID)
		if err != nil {
			return fmt.Errorf("reading the tables: id %q: %w", row.ID, err)
		}
		if c := of(id); c != nil {
			c.rows = append(c.rows, row)
		}
	}
	return rows.Err()
}

func (r *Reconciliation) readJournals(path string, of func(uuid.UUID) *compared) error {
	j := journal{path: path}
	defer func() { _ = j.close() }() // it was only read
	for {
		lines, more, err := j.next()
		if err != nil {
			return err
		}
		for _, at := range lines {
			line, err := parseLine(at.bytes)
			if err != nil {
				continue // the gateway counts them
			}
			r.Lines++
			if c := of(line.ID); c != nil {
				c.line = &line
			}
		}
		if !more {
			return nil
		}
	}
}

func (r *Reconciliation) readSegments(dir string, of func(uuid.UUID) *compared) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the spool: %w", err)
	}
	for _, entry := range entries {
		if number := segmentNumber(entry.Name()); number > 0 {
			if err := r.readSegment(segmentPath(dir, number), of); err != nil {
				return fmt.Errorf("reading the spool: %w", err)
			}
		}
	}
	return nil
}

func (r *Reconciliation) readSegment(path string, of func(uuid.UUID) *compared) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was forgotten meanwhile: all of it is in the tables
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for c := (cursor{}); ; {
		records, _, err := c.read(f, info.Size())
		for _, record := range records {
			r.Records++
			take(record, of)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func take(r record, of func(uuid.UUID) *compared) {
	switch r.kind {
	case intentMade, orphanKept:
		if i, err := readIntent(r.payload); err == nil {
			if c := of(i.ID); c != nil {
				c.intent = i
			}
		}
	case settled:
		if s, err := readSettlement(r.payload); err == nil {
			if c := of(s.ID); c != nil {
				c.settlement = s
			}
		}
	}
}

// differences says what is wrong with a request. One that is only planned still runs.
func (c *compared) differences() []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if len(c.rows) == 0 {
		if c.line != nil || c.settlement != nil {
			add("missing: %s, and no row has it", c.tellers())
		}
		return all
	}
	if len(c.rows) > 1 {
		add("doubled: %d rows have it", len(c.rows))
	}
	row := c.rows[0]
	if c.line != nil && row.Witness != gateway.ByEnvoy.String() && row.Witness != gateway.ByBoth.String() {
		add("different: the journal has its end, and the row does not know of that")
	}
	if l := c.line; l != nil && (l.Status != row.Status || l.Attempts != row.Attempts) {
		add("different: the journal has status %d after %d attempts, the row %d after %d", l.Status, l.Attempts, row.Status, row.Attempts)
	}
	if l := c.line; l != nil && l.Usage != nil && row.UsageSource == gateway.FromEnvoy.String() && (l.Usage.Prompt != row.Prompt || l.Usage.Completion != row.Completion) {
		add("different: the journal has %d and %d tokens, the row %d and %d", l.Usage.Prompt, l.Usage.Completion, row.Prompt, row.Completion)
	}
	if s := c.settlement; s != nil && row.UsageSource == gateway.FromProvider.String() && (s.Answer.Usage.Prompt != row.Prompt || s.Answer.Usage.Completion != row.Completion) {
		add("different: the spool has %d and %d tokens, the row %d and %d", s.Answer.Usage.Prompt, s.Answer.Usage.Completion, row.Prompt, row.Completion)
	}
	return all
}

// tellers are those that saw the end.
func (c *compared) tellers() string {
	switch {
	case c.line == nil:
		return "the gateway saw its end"
	case c.settlement == nil:
		return "Envoy saw its end"
	}
	return "the gateway and Envoy saw its end"
}
