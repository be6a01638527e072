package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"ai-gateway/store/storetest"
)

func TestAFileIsMigratedWithTheSecretOfItsKeyIDs(t *testing.T) {
	_, url := storetest.Start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "usage.db")
	succeed(t, oneRow(t, file, "gpt-4o").Close())
	succeed(t, os.Mkdir(file+".state", 0o700))
	succeed(t, os.WriteFile(stateFiles(file+".state").secret(), bytes.Repeat([]byte{7}, 32), 0o600))
	var out strings.Builder
	if err := run(context.Background(), []string{"migrate", "--from", file}, environment("DATABASE_URL", url), &out, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "of the file are in the database.") {
		t.Errorf("it says %s", &out)
	}
	db := sqlx.MustOpen("postgres", url)
	defer db.Close()
	var model, secret string
	succeed(t, db.Get(&model, `SELECT model FROM requests`))
	succeed(t, db.Get(&secret, `SELECT value FROM shared_values WHERE name = 'key-id-secret'`))
	if model != "gpt-4o" || secret != strings.Repeat("07", 32) {
		t.Errorf("model %q, secret %q", model, secret)
	}
}

func TestMigrationSaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		env  []string
		want string
	}{
		"no tables":    {[]string{"migrate"}, nil, "there are no persistent tables"},
		"into a file":  {[]string{"migrate", "--from", "x.db"}, []string{"DATABASE_PATH", "y.db"}, "set DATABASE_URL"},
		"from no file": {[]string{"migrate", "--from", "none.db"}, []string{"DATABASE_URL", "postgres://127.0.0.1:1/gateway"}, "no such file"},
		"to no server": {[]string{"migrate"}, []string{"DATABASE_URL", "postgres://me:hunter2@127.0.0.1:1/gateway?sslmode=disable"}, "connection refused"},
	} {
		var out strings.Builder
		err := run(context.Background(), c.args, environment(c.env...), &out, &out)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error()+out.String(), "hunter2") {
			t.Errorf("%s: %v, want %q\n%s", name, err, c.want, &out)
		}
	}
}
