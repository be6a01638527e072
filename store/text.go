package store

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"time"
)

// moment is a time in the tables: a timestamptz of PostgreSQL; in SQLite, which has no times,
// a text of fixed length, so that times sort as texts.
type moment time.Time

const momentFormat = "2006-01-02T15:04:05.000000Z07:00"

// Value returns the time in a form that both databases take.
func (m moment) Value() (driver.Value, error) {
	return time.Time(m).UTC().Format(momentFormat), nil
}

// Scan reads a time as either database gives it.
func (m *moment) Scan(v any) error {
	switch v := v.(type) {
	case time.Time:
		*m = moment(v.UTC())
		return nil
	case string:
		t, err := time.Parse(momentFormat, v)
		*m = moment(t.UTC())
		return err
	}
	return fmt.Errorf("%v (%T) is not a time", v, v)
}

// text is a text that both databases take: without NUL, and in UTF-8. One of either costs
// the whole batch in PostgreSQL.
func text[T ~string](s T) string {
	return strings.ToValidUTF8(strings.ReplaceAll(string(s), "\x00", ""), "\uFFFD")
}

// optional is a text, null for none.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	s = text(s)
	return &s
}

// milliseconds are those of a duration, null for none.
func milliseconds(d time.Duration) *int64 {
	if d <= 0 {
		return nil
	}
	ms := d.Milliseconds()
	return &ms
}
