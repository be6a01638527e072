package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqlite is a SQLite file.
type sqlite struct {
	path      string
	exclusive bool

	mu         sync.Mutex
	file       os.FileInfo   // of what is open at path
	companions []os.FileInfo // of the files that SQLite keeps with it
	statements map[statementKey]*sqlx.Stmt
	lock       *os.File // nil unless it is exclusive and was opened
}

// statementKey says which INSERT a statement is.
type statementKey struct {
	table string
	rows  int
}

func newSQLite(path string, exclusive bool) *sqlite { return &sqlite{path: path, exclusive: exclusive} }

func (e *sqlite) String() string { return fmt.Sprintf("the store %q", e.path) }

const sqliteConnections = 4

// pragmas are set on every connection. With WAL and NORMAL a killed process loses
// nothing; a power cut may lose the last transactions, never the file.
// Source: https://www.sqlite.org/pragma.html#pragma_synchronous
func pragmas() []string {
	return []string{"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(5000)", "foreign_keys(1)"}
}

// open makes the file if there is none. What others hold the file for is waited for by
// busy_timeout.
func (e *sqlite) open(ctx context.Context) (*sqlx.DB, error) {
	if err := makePrivate(e.path); err != nil {
		return nil, err
	}
	if err := e.takeLock(); err != nil {
		return nil, err
	}
	options := url.Values{"_pragma": pragmas(), "_txlock": {"immediate"}, // what a transaction writes goes by what it has read
		"mode": {"rw"}} // only makePrivate makes files
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: e.path}).EscapedPath(), RawQuery: options.Encode()}
	db, err := sqlx.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(sqliteConnections)
	file, err := os.Stat(e.path)
	if err == nil {
		err = e.migrate(ctx, db.DB)
	}
	if err == nil && e.exclusive {
		err = tryWriting(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(explained(err), db.Close())
	}
	if err := e.opened(ctx, db, file); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// tryWriting finds a file that may only be read. It needs no room: nothing is committed.
func tryWriting(ctx context.Context, db *sqlx.DB) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	_, err = tx.ExecContext(ctx, `CREATE TABLE ai_gateway_check (n BIGINT)`)
	return err
}

// takeLock keeps other gateways out of the file, whatever name they know it by. It holds until
// the store is closed or the process ends. The file itself is not locked: some systems would not
// tell that from SQLite's own locks.
func (e *sqlite) takeLock() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.exclusive || e.lock != nil {
		return nil
	}
	path, err := filepath.EvalSymlinks(e.path)
	if err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("another gateway writes to it (%w): end that one, or give each a file of its own, or both a PostgreSQL database", err), lock.Close())
	}
	e.lock = lock
	return nil
}

// migrationPoll is how often it is looked whether others have brought the tables up to date.
const migrationPoll = 20 * time.Millisecond

// migrate waits for others that migrate: the stores of this process, which has one for each
// role, and those of others. SQLite has no lock that holds over several transactions.
func (e *sqlite) migrate(ctx context.Context, db *sql.DB) error {
	path, err := filepath.EvalSymlinks(e.path)
	if err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".migrate", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // which frees it
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return migrate(ctx, db, goose.DialectSQLite3)
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("locking %q: %w", lock.Name(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for others that bring the tables up to date: %w", ctx.Err())
		case <-time.After(migrationPoll):
		}
	}
}

func (e *sqlite) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lock == nil {
		return nil
	}
	lock := e.lock
	e.lock = nil
	return lock.Close()
}

func (e *sqlite) makePartitions(context.Context, transactor, time.Time) error { return nil }

func (e *sqlite) dropPartitions(context.Context, transactor, string, time.Time) error { return nil }

func (e *sqlite) removable(before time.Time) time.Time { return before }

// explained says of an error what helps.
func explained(err error) error {
	var of *sqlitedriver.Error
	if !errors.As(err, &of) {
		return err
	}
	switch of.Code() & 0xff { // the rest tells more of the same
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: is it an SQLite database?", err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: make room on its disk", err)
	case sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%w: let this user write to the file and its folder", err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("%w: is its disk full?", err)
	}
	return err
}

// opened notes which files are open, and prepares the statements that most time goes into.
func (e *sqlite) opened(ctx context.Context, db *sqlx.DB, file os.FileInfo) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.file, e.companions, e.statements = file, nil, map[statementKey]*sqlx.Stmt{}
	for _, b := range emptyBatches() {
		for _, rows := range [...]int{1, rowsAtOnce} {
			statement, err := db.PreparexContext(ctx, b.insert(rows))
			if err != nil {
				return err
			}
			e.statements[statementKey{b.table, rows}] = statement
		}
	}
	for _, suffix := range companionSuffixes() {
		info, _ := os.Stat(e.path + suffix) // nil if there is none
		e.companions = append(e.companions, info)
	}
	return nil
}

// makePrivate makes the file, for its owner alone, if there is none. It never opens one that
// is there: on closing it again the process would lose all locks that SQLite holds on it for
// other stores, and other programs would take the database for unused.
// Source: https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
func makePrivate(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory", path)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // for its owner alone
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: make the folder first", err)
	}
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // somebody else has made it meanwhile
}

// there compares the file at the path with the open one.
func (e *sqlite) there() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	info, err := os.Stat(e.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, e.file) {
		return fmt.Errorf("the file %q %w", e.path, errReplaced)
	}
	return err
}

// companionSuffixes end the names of the files that SQLite keeps with a database.
func companionSuffixes() []string { return []string{"-wal", "-shm"} }

// leave removes what SQLite would take for part of the file that is there now.
func (e *sqlite) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for n, suffix := range companionSuffixes() {
		if info, err := os.Stat(e.path + suffix); err == nil && e.companions[n] != nil && os.SameFile(info, e.companions[n]) {
			_ = os.Remove(e.path + suffix)
		}
	}
}

// bound has nothing to do: busy_timeout bounds the wait for others, and a disk that hangs
// lets nobody go.
func (e *sqlite) bound(context.Context, *sqlx.Conn) (func(), error) { return func() {}, nil }

func (e *sqlite) day(moment string) string { return "substr(" + moment + ", 1, 10)" }

func (e *sqlite) moment(value string) string { return value } // times are texts

func (e *sqlite) withoutCompiler() string { return "SELECT 1" } // it has none

func (e *sqlite) forUpdate() string { return "" } // a transaction has the file for itself

func (e *sqlite) isBadRow(err error) bool {
	var of *sqlitedriver.Error
	if !errors.As(err, &of) {
		return false
	}
	switch of.Code() & 0xff { // the rest tells more of the same
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return true
	}
	return false
}

func (e *sqlite) isLost(error) bool { return false } // there tells

// rowsAtOnce is how many rows a statement for many inserts: a call costs as much as a few rows.
const rowsAtOnce = 25

func (e *sqlite) load(ctx context.Context, tx *sqlx.Tx, b *batch) error {
	for values := b.values; len(values) > 0; {
		rows := 1
		if len(values) >= rowsAtOnce*len(b.columns) {
			rows = rowsAtOnce
		}
		statement := tx.StmtxContext(ctx, e.statement(b.table, rows))
		n := rows * len(b.columns)
		if _, err := statement.ExecContext(ctx, values[:n]...); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

func (e *sqlite) statement(table string, rows int) *sqlx.Stmt {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.statements[statementKey{table, rows}]
}

// insert is an INSERT of so many rows.
func (b *batch) insert(rows int) string {
	row := "(?" + strings.Repeat(", ?", len(b.columns)-1) + ")"
	return "INSERT INTO " + b.table + " (" + strings.Join(b.columns, ", ") + ") VALUES " + row + strings.Repeat(", "+row, rows-1) + " " + b.conflict
}
