package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// In PostgreSQL growing tables have a partition for each day, in UTC. Partitions are made in
// advance, each in its own transaction, and old ones are dropped likewise. A row of a day without
// one goes to the default partition, and is moved when the day's partition is made.

const (
	daysAhead = 7
	// lockWithin bounds the wait for readers of a table, for which writers wait too.
	lockWithin = 2 * time.Second
	// partitionLock is the key of the lock for making and dropping partitions.
	partitionLock = migrationLock + 1
	dayFormat     = "20060102"
)

// partitioned are the tables that have partitions.
func partitioned() []string { return []string{"requests", "attempts", "prompts"} }

func partitionOf(table string, day time.Time) string { return table + "_p" + day.Format(dayFormat) }

// dayOf is the day of a partition; false for the default one.
func dayOf(table, partition string) (time.Time, bool) {
	text, ok := strings.CutPrefix(partition, table+"_p")
	day, err := time.Parse(dayFormat, text)
	return day, ok && err == nil
}

// makePartitions makes missing partitions, from yesterday to a week ahead.
func (e *postgres) makePartitions(ctx context.Context, s transactor, now time.Time) error {
	today := now.UTC().Truncate(24 * time.Hour)
	var errs []error
	for _, table := range partitioned() {
		errs = append(errs, makePartitionsOf(ctx, s, table, today))
	}
	return errors.Join(errs...)
}

// makePartitionsOf stops at the first failure, because the others would wait for the same lock.
func makePartitionsOf(ctx context.Context, s transactor, table string, today time.Time) error {
	there, err := partitionsOf(ctx, s, table)
	for n := -1; err == nil && n <= daysAhead; n++ {
		if day := today.AddDate(0, 0, n); !slices.Contains(there, partitionOf(table, day)) {
			err = makePartition(ctx, s, table, day)
		}
	}
	return err
}

// transactor does something in a transaction.
type transactor interface {
	transact(ctx context.Context, doing string, f func(*sqlx.Tx) error) error
}

func partitionsOf(ctx context.Context, s transactor, table string) (names []string, err error) {
	err = s.transact(ctx, "reading the partitions of "+table, func(tx *sqlx.Tx) error {
		return tx.SelectContext(ctx, &names, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
			WHERE i.inhparent = CAST($1 AS regclass) ORDER BY c.relname`, table)
	})
	return names, err
}

// makePartition makes a table, moves the day's rows of the default partition into it, and attaches
// it. Making it as a partition would lock all of the partitioned table.
func makePartition(ctx context.Context, s transactor, table string, day time.Time) error {
	name, from, to := partitionOf(table, day), day.Format(time.RFC3339), day.AddDate(0, 0, 1).Format(time.RFC3339)
	return s.transact(ctx, "making partition "+name, func(tx *sqlx.Tx) error {
		if mine, err := lockPartitions(ctx, tx); err != nil || !mine {
			return err
		}
		var there bool // made by another process meanwhile
		if err := tx.GetContext(ctx, &there, `SELECT to_regclass($1) IS NOT NULL`, name); err != nil || there {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf(`
			LOCK TABLE %[1]s_default IN ACCESS EXCLUSIVE MODE;
			CREATE TABLE %[2]s (LIKE %[1]s INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
			WITH moved AS (DELETE FROM %[1]s_default WHERE started_at >= '%[3]s' AND started_at < '%[4]s' RETURNING *)
				INSERT INTO %[2]s SELECT * FROM moved;
			ALTER TABLE %[1]s ATTACH PARTITION %[2]s FOR VALUES FROM ('%[3]s') TO ('%[4]s')`, table, name, from, to))
		return err
	})
}

// lockPartitions reports whether this process may change partitions now.
func lockPartitions(ctx context.Context, tx *sqlx.Tx) (mine bool, err error) {
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("SET LOCAL lock_timeout = '%dms'", lockWithin.Milliseconds())); err != nil {
		return false, err
	}
	err = tx.GetContext(ctx, &mine, fmt.Sprintf("SELECT pg_try_advisory_xact_lock(%d)", partitionLock))
	return mine, err
}

// dropPartitions drops the partitions of days that had ended at a time.
func (e *postgres) dropPartitions(ctx context.Context, s transactor, table string, before time.Time) error {
	there, err := partitionsOf(ctx, s, table)
	if err != nil {
		return err
	}
	for _, name := range there {
		if day, ok := dayOf(table, name); !ok || day.AddDate(0, 0, 1).After(before) {
			continue
		}
		if err := dropPartition(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

func dropPartition(ctx context.Context, s transactor, name string) error {
	return s.transact(ctx, "dropping partition "+name, func(tx *sqlx.Tx) error {
		if mine, err := lockPartitions(ctx, tx); err != nil || !mine {
			return err
		}
		_, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+name)
		return err
	})
}
