package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"ai-gateway/store/storetest"
)

func TestACheckLeavesNothingAndFindsTablesThatAreNewer(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		c := Config{Path: s.path, URL: s.url}
		for range 2 { // a table that was left would be in the way
			do(t, Check(t.Context(), c))
		}
		s.db.MustExec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)`)
		if err := Check(t.Context(), c); err == nil || !strings.Contains(err.Error(), "version 99") {
			t.Errorf("newer tables: %v", err)
		}
	})
}

func TestACheckFindsADatabaseThatTakesNothing(t *testing.T) {
	s := newPostgresStore(t)
	separator := "?"
	if strings.Contains(s.url, "?") {
		separator = "&"
	}
	reader := s.url + separator + "role=pg_read_all_data"
	if err := Check(t.Context(), Config{URL: reader}); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a role that only reads: %v", err)
	}
}

func TestTablesOfAnotherProgramAreFoundAndLeftAsTheyAre(t *testing.T) {
	for name, c := range map[string]struct {
		tables    []string
		forSQLite bool // it is in the way there alone
		want      string
	}{
		"a table like ours":   {[]string{`CREATE TABLE requests (n BIGINT)`}, false, `the table "requests"`},
		"goose, but not ours": {[]string{`CREATE TABLE goose_db_version (version_id BIGINT, is_applied BOOLEAN)`, `INSERT INTO goose_db_version VALUES (3, true)`}, false, `the table "goose_db_version"`},
		"any other table":     {[]string{`CREATE TABLE notes (n BIGINT)`}, true, `the table "notes"`},
	} {
		t.Run(name, func(t *testing.T) {
			path, postgres := filepath.Join(t.TempDir(), "another.db"), storetest.NewDatabase(t)
			for driver, at := range map[string]struct {
				dsn string
				c   Config
			}{"sqlite": {path, Config{Path: path}}, "postgres": {postgres, Config{URL: postgres}}} {
				db := sqlx.MustOpen(driver, at.dsn)
				for _, statement := range c.tables {
					db.MustExec(statement)
				}
				do(t, db.Close())
				if driver == "postgres" && c.forSQLite {
					do(t, Check(t.Context(), at.c))
					continue
				}
				_, opening := Open(t.Context(), at.c)
				for _, err := range []error{Check(t.Context(), at.c), opening} {
					if err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("%s: %v, want an error with %q", driver, err, c.want)
					}
				}
			}
		})
	}
}

func TestAFirstStartThatWasBrokenOffIsGoneOnWith(t *testing.T) {
	path := filepath.Join(t.TempDir(), "begun.db")
	db := sqlx.MustOpen("sqlite", path)
	db.MustExec(`CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))`)
	db.MustExec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)`)
	do(t, db.Close())
	do(t, Check(t.Context(), Config{Path: path}))
	s, err := Open(t.Context(), Config{Path: path})
	do(t, err)
	do(t, s.Close())
}

func TestACheckFindsAPostgreSQLThatIsReadOnly(t *testing.T) {
	server, url := storetest.Start(t)
	do(t, server.Exec("gateway", `ALTER DATABASE gateway SET default_transaction_read_only = on`))
	do(t, Check(t.Context(), Config{URL: url})) // transactions that say so write all the same
	s, err := Open(t.Context(), Config{URL: url})
	do(t, err)
	do(t, s.Close())
	standby, err := server.NewStandby()
	do(t, err)
	defer standby.Remove()
	if err := Check(t.Context(), Config{URL: standby.URL("gateway")}); err == nil || !strings.Contains(err.Error(), "recovery") {
		t.Errorf("a standby: %v", err)
	}
}

func TestACheckOfAFileThatIsNotThereMakesNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.db")
	do(t, Check(t.Context(), Config{Path: path}))
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is there: %v", err)
	}
	do(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600))
	if err := Check(t.Context(), Config{Path: path}); err == nil || !strings.Contains(err.Error(), "SQLite") {
		t.Errorf("a file that is none: %v", err)
	}
}
