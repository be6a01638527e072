// Package store holds all tables, in a SQLite file or in PostgreSQL: usage, prompts, keys.
// It is the only room that knows SQL; what rows mean, and when they are made, is for others.
//
// A Store opens its database when it is first needed and again where it was lost, so that
// whoever asks gets an error while it is away, and an answer as soon as it is back.
//
// To add a table:
//
//  1. Write migrations/000NN_name.sql, one file for both databases. TEXT, BIGINT, BOOLEAN and
//     TIMESTAMPTZ mean the same in both; what differs stands in {{if .Postgres}} … {{else}} … {{end}}.
//     A migration that was released is never changed.
//  2. Write a file of methods of Store. Read with s.read, write with s.transact: they open the
//     database, bound the call by its context and say in the error what was done. Write ? for
//     arguments and pass the query through Rebind. Pass times as moment(t), scan them into
//     a moment; keep texts of others free of NUL with text(s).
//  3. Test it with onEach, which runs a test on both databases.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

// Config says where the tables are: one of both is given.
type Config struct {
	Path string // of a SQLite file
	URL  string // of a PostgreSQL database; it may hold a password and is never shown
	// Exclusive refuses a SQLite file that another gateway writes to. In PostgreSQL many may.
	Exclusive bool
}

// Store is the tables.
type Store struct {
	engine engine

	mu   sync.Mutex
	last *opening // nil before the first
}

// engine is what one kind of database does in its own way.
type engine interface {
	// String names the database in errors, without a secret.
	String() string
	// open connects, and brings the tables up to date, which takes as long as it takes.
	open(ctx context.Context) (*sqlx.DB, error)
	// there returns an error if what is open is not the database any more.
	there() error
	// leave is called when what was open has been closed, as it was lost; close when the store is.
	leave()
	close() error
	// bound has a connection break off soon after ctx ends, whatever the other side does.
	bound(ctx context.Context, c *sqlx.Conn) (release func(), err error)
	// load writes the rows of a batch.
	load(ctx context.Context, tx *sqlx.Tx, b *batch) error
	// makePartitions and dropPartitions make room for rows, and take that of old days away.
	makePartitions(ctx context.Context, s transactor, now time.Time) error
	dropPartitions(ctx context.Context, s transactor, table string, before time.Time) error
	// removable is the time up to which requests are removed that are to be removed up to another.
	removable(before time.Time) time.Time
	// day is the UTC day of a time, as 2026-01-31, in SQL.
	day(moment string) string
	// moment is a value, such as a parameter, as a time in SQL.
	moment(value string) string
	// withoutCompiler is a statement that has the queries of a transaction run without being
	// compiled to machine code: of a query over many partitions that takes far longer than the query.
	withoutCompiler() string
	// forUpdate is what a SELECT ends in whose rows are about to be written.
	forUpdate() string
	// isBadRow reports whether an error is about what a row holds, and not about the database.
	isBadRow(err error) bool
	// isLost reports whether an error tells that only another connection will do.
	isLost(err error) bool
}

// opening is an attempt to open the database.
type opening struct {
	cancel context.CancelFunc
	ended  chan struct{} // closed at its end; what follows holds from then on
	db     *sqlx.DB
	err    error
	lost   atomic.Bool // the database is not behind it any more
}

// New makes a store that is opened when it is first needed.
func New(c Config) (*Store, error) {
	switch {
	case (c.Path == "") == (c.URL == ""):
		return nil, errors.New("a store is a SQLite file or a PostgreSQL database: one of both")
	case c.URL != "":
		e, err := newPostgres(c.URL)
		return &Store{engine: e}, err
	}
	return &Store{engine: newSQLite(c.Path, c.Exclusive)}, nil
}

// Open makes a store and opens it.
func Open(ctx context.Context, c Config) (*Store, error) {
	s, err := New(c)
	if err != nil {
		return nil, err
	}
	if _, err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open returns the open database. It waits for it no longer than ctx, also where a disk
// or a server hangs; the attempt goes on for those who ask next.
func (s *Store) open(ctx context.Context) (*opening, error) {
	o := s.attempt(ctx)
	select {
	case <-o.ended:
		return o, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for %s to open: %w", s.engine, ctx.Err())
	}
}

// attempt returns the attempt that is under way or went well, or else begins one.
func (s *Store) attempt(ctx context.Context) *opening {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil && !s.last.failed() {
		return s.last
	}
	before := s.last
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	o := &opening{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(o.ended)
		defer cancel()
		if before != nil && before.db != nil {
			_ = before.db.Close() // there is nothing to be done about it
			s.engine.leave()
		}
		if o.db, o.err = s.engine.open(ctx); o.err != nil {
			o.err = fmt.Errorf("opening %s: %w", s.engine, o.err)
		}
	}()
	s.last = o
	return o
}

// failed reports whether there is no database, or none any more.
func (o *opening) failed() bool {
	select {
	case <-o.ended:
		return o.err != nil || o.lost.Load()
	default:
		return false
	}
}

// Close closes the database if it was opened, and breaks off an attempt to open it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return nil
	}
	s.last.cancel()
	<-s.last.ended
	if s.last.db == nil {
		return s.engine.close()
	}
	return errors.Join(s.last.db.Close(), s.engine.close())
}

// read does something with a connection; doing says what, for the error.
func (s *Store) read(ctx context.Context, doing string, f func(*sqlx.Conn) error) error {
	return s.connect(ctx, doing, func(_ *opening, c *sqlx.Conn) error { return f(c) })
}

// transact does something in a transaction, all or nothing of it.
func (s *Store) transact(ctx context.Context, doing string, f func(*sqlx.Tx) error) error {
	return s.transactWith(ctx, doing, sql.TxOptions{}, f)
}

func (s *Store) transactWith(ctx context.Context, doing string, options sql.TxOptions, f func(*sqlx.Tx) error) error {
	return s.connect(ctx, doing, func(o *opening, c *sqlx.Conn) error {
		if err := s.check(o); err != nil {
			return err
		}
		tx, err := c.BeginTxx(ctx, &options)
		if err != nil {
			return err
		}
		defer tx.Rollback() // after Commit it does nothing
		if err := f(tx); err != nil {
			return err
		}
		return tx.Commit()
	})
}

// connect lends a connection.
func (s *Store) connect(ctx context.Context, doing string, f func(*opening, *sqlx.Conn) error) error {
	o, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err := s.lend(ctx, o, f); err != nil {
		if s.engine.isLost(err) {
			o.lost.Store(true)
		}
		return fmt.Errorf("%s: %s: %w", doing, s.engine, err)
	}
	return nil
}

func (s *Store) lend(ctx context.Context, o *opening, f func(*opening, *sqlx.Conn) error) error {
	c, err := o.db.Connx(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	release, err := s.engine.bound(ctx, c)
	if err != nil {
		return err
	}
	defer release()
	return f(o, c)
}

// check returns an error unless what is open still is the database: what is written to a
// file that was removed would be gone when it is closed.
func (s *Store) check(o *opening) error {
	err := s.engine.there()
	if errors.Is(err, errReplaced) {
		o.lost.Store(true)
	}
	return err
}

// errReplaced says that what is open is not the database any more.
var errReplaced = errors.New("was removed or replaced: what it had is not in the tables any more")

// Ping reports whether the store answers, and takes what is written, no later than ctx ends.
func (s *Store) Ping(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { // a driver may wait for a disk that hangs, whatever ctx says
		done <- s.transact(ctx, "asking whether the store answers", func(tx *sqlx.Tx) error { return nil })
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the store does not answer: %w", ctx.Err())
	}
}

// IsAway reports whether an error tells that the database cannot be reached, or takes nothing, for
// now. What waiting does not mend, such as a wrong password, is no such error.
func IsAway(err error) bool {
	if class := classOf(err); class != "" {
		return class == "08" || class == "53" || class == "57" || isReadOnly(err)
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded)
}
