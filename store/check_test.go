package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
