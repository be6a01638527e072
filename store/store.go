// Package store holds all tables: usage, prompts, keys. It is the only room that knows SQL;
// what rows mean, and when they are made, is for others.
package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store holds the usage tables.
type Store struct {
	db     *sqlx.DB
	path   string
	file   os.FileInfo   // of what is open at path
	beside []os.FileInfo // of those in besides, which SQLite keeps beside it
	gone   atomic.Bool   // path leads elsewhere now
	insert statements
}

const (
	openConnections = 4
	openTimeout     = time.Minute // for whoever waits until the tables are open
)

// pragmas are set on every connection. With WAL and NORMAL a killed process loses
// nothing; a power cut may lose the last transactions, never the file.
// Source: https://www.sqlite.org/pragma.html#pragma_synchronous
var pragmas = []string{"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(5000)", "foreign_keys(1)"}

// Open opens the SQLite file at path, makes it if there is none, and brings its
// tables up to date, which takes as long as it takes: broken off, a large table would
// never be there. What others hold the file for is waited for by busy_timeout.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := private(path); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	options := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}, // what a transaction writes goes by what it has read
		"mode": {"rw"}} // only private makes files
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: options.Encode()}
	db, err := sqlx.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("opening the store %q: %w", path, err)
	}
	db.SetMaxOpenConns(openConnections)
	s := &Store{db: db, path: path}
	if s.file, err = os.Stat(path); err == nil {
		err = s.migrate(ctx)
	}
	if err == nil {
		err = s.prepare(ctx)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("opening the store %q: %w", path, err)
	}
	for _, suffix := range besides {
		info, _ := os.Stat(path + suffix) // nil if there is none
		s.beside = append(s.beside, info)
	}
	return s, nil
}

// private makes the file, for its owner alone, if there is none.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: make the folder first", err)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// there returns an error unless the open file is still the one at its path: what is written to
// one that was removed would be gone when it is closed.
func (s *Store) there() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, s.file) {
		s.gone.Store(true)
		return fmt.Errorf("the file %q was removed or replaced: what it had is not in the tables any more", s.path)
	}
	return err
}

// besides are what the names of the files end in that SQLite keeps beside a database.
var besides = []string{"-wal", "-shm"}

// leave closes a store whose file is gone, and removes what SQLite would take for part of the
// file that is there now.
func (s *Store) leave() {
	_ = s.db.Close() // there is nothing to be done about it
	for n, suffix := range besides {
		if info, err := os.Stat(s.path + suffix); err == nil && s.beside[n] != nil && os.SameFile(info, s.beside[n]) {
			_ = os.Remove(s.path + suffix)
		}
	}
}

func (s *Store) migrate(ctx context.Context) error {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.db.DB, steps)
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the tables' version (is it an SQLite database?): %w", err)
	}
	if current > target {
		return fmt.Errorf("its tables are of version %d, this gateway knows %d at most: use a newer gateway, or another file", current, target)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bringing the tables up to date: %w", err)
	}
	return nil
}

// Tables opens a store when it is first needed, and tries again when it could not: while
// the tables are away, requests go on and rows wait. It opens another one where the file
// was removed.
type Tables struct {
	path string

	mu   sync.Mutex
	last *opening // nil before the first
}

// opening is an attempt to open the store.
type opening struct {
	cancel context.CancelFunc
	ended  chan struct{} // closed at its end; what follows holds from then on
	store  *Store
	err    error
}

// NewTables makes tables that are not opened yet.
func NewTables(path string) *Tables { return &Tables{path: path} }

// Store returns the open store. It waits for it no longer than ctx, also where the disk
// hangs; the attempt goes on for those who ask next.
func (t *Tables) Store(ctx context.Context) (*Store, error) {
	o := t.open(ctx)
	select {
	case <-o.ended:
		return o.store, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the store %q to open: %w", t.path, ctx.Err())
	}
}

// open returns the attempt that is under way or went well, or else begins one.
func (t *Tables) open(ctx context.Context) *opening {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last != nil && !t.last.failed() {
		return t.last
	}
	before := t.last
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	o := &opening{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(o.ended)
		defer cancel()
		if before != nil && before.store != nil {
			before.store.leave()
		}
		o.store, o.err = Open(ctx, t.path)
	}()
	t.last = o
	return o
}

// failed reports whether there is no store, or none any more.
func (o *opening) failed() bool {
	select {
	case <-o.ended:
		return o.err != nil || o.store.gone.Load()
	default:
		return false
	}
}

// Close closes the store if it was opened, and breaks off an attempt to open it.
func (t *Tables) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		return nil
	}
	t.last.cancel()
	<-t.last.ended
	if t.last.store == nil {
		return nil
	}
	return t.last.store.Close()
}

// Ping reports whether the store answers, no later than ctx ends: the driver would wait
// for a disk that hangs.
func (s *Store) Ping(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- errors.Join(s.there(), s.db.PingContext(ctx)) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the store does not answer: %w", ctx.Err())
	}
}

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }
