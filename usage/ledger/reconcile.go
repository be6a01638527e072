package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
	"ai-gateway/usage/accesslog"
	"ai-gateway/usage/wal"
)

// Finding is one difference between the witnesses and the store.
type Finding struct {
	ID   uuid.UUID
	What string // "missing: …", "doubled: …", "different: …"
}

// Reconciliation is what a comparison found.
type Reconciliation struct {
	Rows, Lines, Records int // the numbers of those that were compared
	Findings             []Finding
}

// compared is what each log and the store know of a request.
type compared struct {
	rows       []gateway.RecordedRow
	settlement *gateway.Settlement
	line       *gateway.JournalLine
}

// RowStore returns the rows of requests that started in [from, to).
type RowStore interface {
	Recorded(ctx context.Context, from, to time.Time, take func(gateway.RecordedRow)) error
}

// Reconcile compares the requests in both logs that started in [from, to) with the store. It
// only reads, and may run while the gateway does. Rows that are not written yet count as
// missing, so to should be at least a minute ago.
func Reconcile(ctx context.Context, store RowStore, accessLog, walFolder string, from, to time.Time) (Reconciliation, error) {
	var found Reconciliation
	known := map[uuid.UUID]*compared{}
	of := func(id uuid.UUID) *compared {
		at := startOf(id)
		if at.Before(from.Truncate(time.Millisecond)) || !at.Before(to) {
			return &compared{} // of no interest
		}
		if known[id] == nil {
			known[id] = &compared{}
		}
		return known[id]
	}
	err := errors.Join(
		found.readRows(ctx, store, from, to, of),
		found.readLines(accessLog, of),
		found.readRecords(walFolder, of),
	)
	for _, id := range slices.SortedFunc(maps.Keys(known), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }) {
		for _, what := range known[id].differences() {
			found.Findings = append(found.Findings, Finding{id, what})
		}
	}
	return found, err
}

// startOf is when a request started, from its id, to the millisecond.
// Source: https://www.rfc-editor.org/rfc/rfc9562#section-5.7
func startOf(id uuid.UUID) time.Time {
	ms := int64(0)
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms)
}

func (r *Reconciliation) readRows(ctx context.Context, store RowStore, from, to time.Time, of func(uuid.UUID) *compared) error {
	return store.Recorded(ctx, from, to, func(row gateway.RecordedRow) {
		r.Rows++
		c := of(row.ID)
		c.rows = append(c.rows, row)
	})
}

func (r *Reconciliation) readLines(path string, of func(uuid.UUID) *compared) error {
	tail := accesslog.New(path)
	defer func() { _ = tail.Close() }() // it was only read
	for {
		lines, more, err := tail.Next()
		if err != nil {
			return err
		}
		for _, at := range lines {
			line, err := accesslog.Parse(at.Text)
			if err != nil {
				continue // the gateway counts them
			}
			r.Lines++
			of(line.ID).line = &line
		}
		if !more {
			return nil
		}
	}
}

func (r *Reconciliation) readRecords(folder string, of func(uuid.UUID) *compared) error {
	return wal.ReadFolder(folder, func(record wal.Record) {
		r.Records++
		if record.Kind != wal.SettlementRecord {
			return // a request that is only planned still runs
		}
		if s, err := record.Settlement(); err == nil {
			of(s.ID).settlement = s
		}
	})
}

// differences describes what is wrong with a request. One that is only planned still runs.
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
	if u, whole := usageSeen(row.Endpoint, c.line); whole && row.Source == gateway.FromEnvoy.String() && (u.Prompt != row.Usage.Prompt || u.Completion != row.Usage.Completion) {
		add("different: the journal has %d and %d tokens, the row %d and %d", u.Prompt, u.Completion, row.Usage.Prompt, row.Usage.Completion)
	}
	if s := c.settlement; s != nil && s.Answer.Response.State != gateway.ResponseRuns && row.Source == gateway.FromProvider.String() && (s.Answer.Usage.Prompt != row.Usage.Prompt || s.Answer.Usage.Completion != row.Usage.Completion) {
		add("different: the spool has %d and %d tokens, the row %d and %d", s.Answer.Usage.Prompt, s.Answer.Usage.Completion, row.Usage.Prompt, row.Usage.Completion)
	}
	return all
}

// tellers lists the witnesses of the end.
func (c *compared) tellers() string {
	switch {
	case c.line == nil:
		return "the gateway saw its end"
	case c.settlement == nil:
		return "Envoy saw its end"
	}
	return "the gateway and Envoy saw its end"
}
