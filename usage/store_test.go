package usage

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

// locked is a database that nobody else can use until the connection ends.
func locked(t *testing.T, path string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("sqlite", path)
	do(t, err)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	db.MustExec("PRAGMA locking_mode = EXCLUSIVE")
	db.MustExec("CREATE TABLE IF NOT EXISTS lock (x)")
	db.MustExec("BEGIN EXCLUSIVE")
	return db
}

func TestNobodyWaitsForTablesThatDoNotOpenLongerThanTheyWant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	lock := locked(t, path)
	tables := NewTables(path)
	ended := make(chan error, 1)
	go func() {
		_, err := tables.Store(t.Context())
		ended <- err
	}()
	time.Sleep(100 * time.Millisecond)
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	since := time.Now()
	if _, err := tables.Store(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(since) > time.Second {
		t.Errorf("after %s: %v", time.Since(since), err)
	}
	select {
	case err := <-ended:
		t.Fatalf("the tables did not hang: %v", err)
	default:
	}
	do(t, lock.Close())
	<-ended
	store, err := tables.Store(t.Context())
	do(t, err)
	do(t, store.Ping(t.Context()))
	do(t, tables.Close())
}

func TestTablesThatHangAreToldInTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	store, err := Open(t.Context(), path)
	do(t, err)
	defer store.Close()
	store.db.SetMaxIdleConns(0) // so that the next one has to connect
	locked(t, path)
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	since := time.Now()
	if err := store.Ping(ctx); err == nil || time.Since(since) > time.Second {
		t.Errorf("after %s: %v", time.Since(since), err)
	}
}
