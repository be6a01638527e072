package store

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"time"
)

// moment is a time in the tables: in PostgreSQL a timestamptz; in SQLite, which has no times, text
// of fixed length, so that times sort as text.
type moment time.Time

const momentFormat = "2006-01-02T15:04:05.000000Z07:00"

// Value returns the time in a form that both databases accept.
func (m moment) Value() (driver.Value, error) {
	return time.Time(m).UTC().Format(momentFormat), nil
}

// Scan reads a time of either database.
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

// text is text that both databases accept: without NUL, and in UTF-8. PostgreSQL would refuse all
// of a batch for either.
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
