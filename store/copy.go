package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
)

// Copied is the result of copying a table.
type Copied struct {
	Table string
	Rows  int64 // in the file, all of which are in the database too
	New   int64 // those of them that this run has copied
}

// copyAtOnce is how many rows are copied in one transaction.
const copyAtOnce = 1000

// CopyFrom copies the tables of a SQLite file into a PostgreSQL database. Existing rows stay as
// they are. It continues where an earlier run ended, and counts each batch in the database before
// the next. Nobody may write to the file meanwhile.
func (s *Store) CopyFrom(ctx context.Context, file string, done func(Copied)) error {
	to, ok := s.engine.(*postgres)
	if !ok {
		return errors.New("rows can only be copied into a PostgreSQL database")
	}
	from, err := Open(ctx, Config{Path: file, Exclusive: true})
	if err != nil {
		return err
	}
	c := copying{from: from, to: s, source: file}
	return errors.Join(c.all(ctx, to, done), from.Close())
}

// all copies one table after another.
func (c *copying) all(ctx context.Context, to *postgres, done func(Copied)) error {
	tables, err := c.tables(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(c.reserveVersions(ctx), c.makeDays(ctx, to)); err != nil {
		return err
	}
	for _, table := range tables {
		copied, err := c.table(ctx, table)
		if err != nil {
			return err
		}
		done(copied)
	}
	return c.announce(ctx)
}

// copying is a copy from a file into a database.
type copying struct {
	from, to *Store
	source   string
	offset   int64 // added to the versions of the file's changes
}

// tables are those of the file that are copied.
func (c *copying) tables(ctx context.Context) (names []string, err error) {
	err = c.from.read(ctx, "reading which tables there are", func(conn *sqlx.Conn) error {
		return conn.SelectContext(ctx, &names, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT IN (?, 'changes')
			ORDER BY name`, goose.DefaultTablename)
	})
	return names, err
}

// makeDays makes the partitions of all days with rows in the file.
func (c *copying) makeDays(ctx context.Context, to *postgres) error {
	for _, table := range partitioned() {
		var days []string
		err := c.from.read(ctx, "reading the days of "+table, func(conn *sqlx.Conn) error {
			return conn.SelectContext(ctx, &days, "SELECT DISTINCT substr(started_at, 1, 10) FROM "+table)
		})
		if err != nil {
			return err
		}
		for _, text := range days {
			day, err := time.Parse(time.DateOnly, text)
			if err == nil {
				err = makePartition(ctx, c.to, table, day)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// column is one of a table; place is its place in the primary key, from 1, or 0.
type column struct {
	Name  string `db:"name"`
	Place int    `db:"pk"`
}

// progress is the progress of copying a table, kept in the database.
type progress struct {
	Last []string // the key of the last row that was copied; none before the first
	Rows int64    // up to that row
}

func (c *copying) table(ctx context.Context, table string) (Copied, error) {
	columns, keys, err := c.columns(ctx, table)
	if err != nil {
		return Copied{}, err
	}
	at, err := c.progress(ctx, table)
	copied := Copied{Table: table}
	for more := true; err == nil && more; {
		var rows [][]any
		if rows, err = c.batch(ctx, table, columns, keys, at.Last); err == nil && len(rows) > 0 {
			at.Last, at.Rows = keyOf(rows[len(rows)-1], columns, keys), at.Rows+int64(len(rows))
			err = c.write(ctx, table, columns, keys, rows, at)
		}
		copied.New += int64(len(rows))
		more = len(rows) == copyAtOnce
	}
	if err != nil {
		return copied, err
	}
	err = c.from.read(ctx, "counting "+table, func(conn *sqlx.Conn) error {
		return conn.GetContext(ctx, &copied.Rows, "SELECT COUNT(*) FROM "+table)
	})
	if err == nil && copied.Rows != at.Rows {
		err = fmt.Errorf("%s has %d rows in the file, but %d were copied: rows were added or removed meanwhile; empty the database and start again", table, copied.Rows, at.Rows)
	}
	return copied, err
}

func (c *copying) columns(ctx context.Context, table string) (names, keys []string, err error) {
	var columns []column
	err = c.from.read(ctx, "reading the columns of "+table, func(conn *sqlx.Conn) error {
		return conn.SelectContext(ctx, &columns, `SELECT name, pk FROM pragma_table_info(?)`, table)
	})
	for _, column := range columns {
		names = append(names, column.Name)
	}
	slices.SortStableFunc(columns, func(a, b column) int { return a.Place - b.Place })
	for _, column := range columns {
		if column.Place > 0 {
			keys = append(keys, column.Name)
		}
	}
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("table %q has no primary key to copy it by", table)
	}
	return names, keys, err
}

// batch reads the rows after a key.
func (c *copying) batch(ctx context.Context, table string, columns, keys, after []string) (rows [][]any, err error) {
	key, where, args := strings.Join(keys, ", "), "", []any(nil)
	if len(after) > 0 {
		where = fmt.Sprintf("WHERE (%s) > (?%s)", key, strings.Repeat(", ?", len(keys)-1))
		for _, v := range after {
			args = append(args, v)
		}
	}
	query := fmt.Sprintf("SELECT %s FROM %s %s ORDER BY %s LIMIT %d", strings.Join(columns, ", "), table, where, key, copyAtOnce)
	err = c.from.read(ctx, "reading "+table, func(conn *sqlx.Conn) error {
		rows, err = readRows(ctx, conn, query, args...)
		return err
	})
	return rows, err
}

func keyOf(row []any, columns, keys []string) (key []string) {
	for _, name := range keys {
		key = append(key, fmt.Sprint(row[slices.Index(columns, name)]))
	}
	return key
}

// write writes rows, checks that the database has as many, and notes the progress.
func (c *copying) write(ctx context.Context, table string, columns, keys []string, rows [][]any, at progress) error {
	b := &batch{table: table, columns: columns, key: strings.Join(keys, ", "), conflict: "ON CONFLICT (" + strings.Join(keys, ", ") + ") DO NOTHING"}
	var wanted []any
	for _, row := range rows {
		for i, v := range row {
			switch v := v.(type) {
			case string:
				row[i] = text(v)
			case int64:
				if isVersion(table, columns[i]) {
					row[i] = v + c.offset
				}
			}
		}
		b.add(row...)
		for _, name := range keys {
			wanted = append(wanted, row[slices.Index(columns, name)])
		}
	}
	return c.to.transact(ctx, "copying "+table, func(tx *sqlx.Tx) error {
		if err := c.to.engine.load(ctx, tx, b); err != nil {
			return err
		}
		one := "(?" + strings.Repeat(", ?", len(keys)-1) + ")"
		var n int
		err := tx.GetContext(ctx, &n, tx.Rebind(fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE (%s) IN (%s%s)", table, b.key, one, strings.Repeat(", "+one, len(rows)-1))), wanted...)
		if err != nil {
			return err
		}
		if n != len(rows) {
			return fmt.Errorf("of %d rows of %s, only %d are in the database", len(rows), table, n)
		}
		return c.saveProgress(ctx, tx, table, at)
	})
}

// isVersion reports whether a column holds versions of changes.
func isVersion(table, column string) bool {
	return table == "gateway_keys" && column == "version" || table == "audit" && column == "id"
}

// reserveVersions reserves, once, versions in the database for the changes in the file, because the
// file's versions may belong to other changes there.
func (c *copying) reserveVersions(ctx context.Context) error {
	_, changes, err := c.from.KeysVersion(ctx)
	if err != nil || changes == 0 {
		return err
	}
	return c.to.transact(ctx, "reserving versions", func(tx *sqlx.Tx) error {
		at, err := c.progressIn(ctx, tx, "changes")
		if err != nil || at.Rows > 0 {
			c.offset = at.Rows - changes
			return err
		}
		var last int64
		err = tx.GetContext(ctx, &last, tx.Rebind(`INSERT INTO changes (id, store, version) VALUES (1, ?, ?)
			ON CONFLICT (id) DO UPDATE SET version = changes.version + excluded.version RETURNING version`), uuid.NewString(), changes)
		if err != nil {
			return err
		}
		c.offset = last - changes
		return c.saveProgress(ctx, tx, "changes", progress{Rows: last})
	})
}

// announce makes gateways that use the database read all keys again, because copied keys may have
// versions that these gateways have already seen.
func (c *copying) announce(ctx context.Context) error {
	return c.to.transact(ctx, "telling that keys were copied", func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE changes SET store = ?`), uuid.NewString())
		return err
	})
}

func (c *copying) progressName(table string) string { return "copied " + table + " from " + c.source }

func (c *copying) progress(ctx context.Context, table string) (at progress, err error) {
	err = c.to.transact(ctx, "reading how far "+table+" is copied", func(tx *sqlx.Tx) error {
		at, err = c.progressIn(ctx, tx, table)
		return err
	})
	return at, err
}

func (c *copying) progressIn(ctx context.Context, tx *sqlx.Tx, table string) (at progress, err error) {
	var texts []string
	err = tx.SelectContext(ctx, &texts, tx.Rebind(`SELECT value FROM shared_values WHERE name = ?`), c.progressName(table))
	if err != nil || len(texts) == 0 {
		return at, err
	}
	return at, json.Unmarshal([]byte(texts[0]), &at)
}

func (c *copying) saveProgress(ctx context.Context, tx *sqlx.Tx, table string, at progress) error {
	text, err := json.Marshal(at)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`INSERT INTO shared_values (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`),
		c.progressName(table), string(text))
	return err
}
