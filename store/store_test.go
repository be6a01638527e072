package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"ai-gateway/gateway"
)

func TestAStoreThatCannotBeOpenedSaysWhy(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.db")
	store, err := Open(t.Context(), Config{Path: newer})
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
	db := sqlx.MustOpen("sqlite", newer)
	db.MustExec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`)
	do(t, db.Close())
	anothers := filepath.Join(dir, "anothers.db")
	db = sqlx.MustOpen("sqlite", anothers)
	db.MustExec(`CREATE TABLE notes (text TEXT)`)
	do(t, db.Close())
	for path, want := range map[string]string{anothers: `it has the table "notes" of another program`, filepath.Join(dir, "no", "such.db"): "make the folder", text: "SQLite", newer: "version 99", dir: "is a directory"} {
		if _, err := Open(t.Context(), Config{Path: path}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("opening %s: %v, want an error that names it and has %q", path, err, want)
		}
	}
}

// TestAFileThatMayOnlyBeReadIsRefusedToWhoWritesToIt runs as another user where this one is root, who
// may write to every file.
func TestAFileThatMayOnlyBeReadIsRefusedToWhoWritesToIt(t *testing.T) {
	const asReader = "READ_ONLY_DATABASE"
	if path := os.Getenv(asReader); path != "" {
		if _, err := Open(t.Context(), Config{Path: path, Exclusive: true}); err == nil || !strings.Contains(err.Error(), "let this user write to the file") {
			t.Errorf("opening it: %v", err)
		}
		return
	}
	dir, err := os.MkdirTemp("", "readonly-")
	do(t, err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "gateway.db")
	s, err := Open(t.Context(), Config{Path: path})
	do(t, err)
	do(t, s.Close())
	do(t, os.Chmod(dir, 0o777))
	do(t, os.Chmod(path, 0o444))
	do(t, os.Remove(path+".migrate")) // it is its maker's
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), asReader+"="+path)
	if os.Getuid() == 0 {
		const nobody = 65534
		binary := filepath.Join(dir, "store.test") // the other user may not reach the one that runs
		code, err := os.ReadFile(os.Args[0])
		do(t, err)
		do(t, os.WriteFile(binary, code, 0o755))
		cmd.Path, cmd.Dir = binary, dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPromptsOfAnEarlierVersionAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	db := sqlx.MustOpen("sqlite", path)
	steps, err := migrationsFor(goose.DialectSQLite3)
	do(t, err)
	earlier, err := goose.NewProvider(goose.DialectSQLite3, db.DB, nil, goose.WithGoMigrations(steps...))
	do(t, err)
	_, err = earlier.UpTo(t.Context(), 2)
	do(t, err)
	db.MustExec(`INSERT INTO prompts VALUES ('2026-01-02T03:04:05.000000Z', '019b78d0-0000-7000-8000-000000000001', 'k', 'm', 'asked', 'answered', 1, 2)`)
	do(t, db.Close())
	store, err := Open(t.Context(), Config{Path: path})
	do(t, err)
	defer store.Close()
	prompts, err := store.Prompts(t.Context(), gateway.PromptFilter{}, gateway.RequestPlace{}, 10)
	if err != nil || len(prompts) != 1 || prompts[0].Prompt != "asked" || prompts[0].Answer != "answered" {
		t.Errorf("%+v, %v", prompts, err)
	}
}

func TestAStoreWithOddCharactersInItsPathIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%41.db")
	store, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
	if info, err := os.Stat(path); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// locked is a database that nobody else can use until the connection ends.
func locked(t *testing.T, path string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("sqlite", path)
	do(t, err)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	db.MustExec("PRAGMA locking_mode = EXCLUSIVE")
	db.MustExec("PRAGMA user_version = 1") // a write takes the lock
	db.MustExec("BEGIN EXCLUSIVE")
	return db
}

func TestNobodyWaitsForTablesThatDoNotOpenLongerThanTheyWant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	lock := locked(t, path)
	store, err := New(Config{Path: path})
	do(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := store.open(t.Context())
		ended <- err
	}()
	time.Sleep(100 * time.Millisecond)
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	since := time.Now()
	if _, err := store.open(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(since) > time.Second {
		t.Errorf("after %s: %v", time.Since(since), err)
	}
	select {
	case err := <-ended:
		t.Fatalf("the tables did not hang: %v", err)
	default:
	}
	do(t, lock.Close())
	<-ended
	do(t, store.Ping(t.Context()))
	do(t, store.Close())
}

func TestTablesThatHangAreToldInTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	store, err := Open(t.Context(), Config{Path: path})
	do(t, err)
	defer store.Close()
	store.last.db.SetMaxIdleConns(0) // so that the next one has to connect
	locked(t, path)
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	since := time.Now()
	if err := store.Ping(ctx); err == nil || time.Since(since) > time.Second {
		t.Errorf("after %s: %v", time.Since(since), err)
	}
}
