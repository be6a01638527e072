package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// copied copies a file into a database and returns how much of each table.
func (s *testStore) copied(t *testing.T, ctx context.Context, file string) (map[string]Copied, error) {
	t.Helper()
	all := map[string]Copied{}
	err := s.CopyFrom(ctx, file, func(c Copied) { all[c.Table] = c })
	return all, err
}

func TestAFileIsCopiedIntoPostgreSQLAndACopyThatWasBrokenOffGoesOn(t *testing.T) {
	file, to := newSQLiteStore(t), newPostgresStore(t)
	at := time.Now().Add(-100 * 24 * time.Hour)
	const n = 2*copyAtOnce + 7
	rows := make([]*gateway.Row, n)
	for i := range rows {
		rows[i] = started(at.Add(time.Duration(i) * time.Minute))
		rows[i].Stream = i%2 == 0
	}
	rows[3].RequestID = "with a \x00"
	write(t, file, rows...)
	do(t, file.Close())

	to.db.MustExec(`CREATE FUNCTION stop() RETURNS trigger AS 'BEGIN IF (SELECT COUNT(*) FROM requests) > 1500 THEN RAISE ''broken off''; END IF; RETURN NULL; END' LANGUAGE plpgsql`)
	to.db.MustExec(`CREATE TRIGGER stop AFTER INSERT ON requests FOR EACH STATEMENT EXECUTE FUNCTION stop()`)
	if _, err := to.copied(t, t.Context(), file.path); err == nil {
		t.Fatal("it is not broken off")
	}
	if got := to.count(t, "requests"); got != copyAtOnce {
		t.Errorf("%d requests are copied before", got)
	}
	to.db.MustExec(`DROP TRIGGER stop ON requests`)
	all, err := to.copied(t, t.Context(), file.path)
	do(t, err)
	want := Copied{Table: "requests", Rows: n, New: n - copyAtOnce}
	if diff := cmp.Diff(want, all["requests"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for table, want := range map[string]int{"requests": n, "attempts": 2 * n, "prompts": n, "keys": 1, "requests_default": 0} {
		if got := to.count(t, table); got != want {
			t.Errorf("%s has %d rows, want %d", table, got, want)
		}
	}
	var fromFile, fromDatabase []map[string]any
	for _, from := range []struct {
		s    *testStore
		into *[]map[string]any
	}{{file, &fromFile}, {to, &fromDatabase}} {
		found, err := from.s.db.Queryx(`SELECT * FROM requests ORDER BY started_at`)
		do(t, err)
		for found.Next() {
			r := map[string]any{}
			do(t, found.MapScan(r))
			*from.into = append(*from.into, plain(t, r))
		}
		do(t, found.Close())
	}
	if diff := cmp.Diff(fromFile, fromDatabase); diff != "" {
		t.Errorf("rows of the file (-) and of the database (+):\n%s", diff)
	}
	again, err := to.copied(t, t.Context(), file.path)
	if err != nil || again["requests"].New != 0 || again["requests"].Rows != n {
		t.Errorf("a third time it copies %+v, %v", again["requests"], err)
	}
}

func TestAFileThatAGatewayWritesToIsNotCopied(t *testing.T) {
	file, to := newSQLiteStore(t), newPostgresStore(t)
	gateway, err := Open(t.Context(), Config{Path: file.path, Exclusive: true})
	do(t, err)
	defer gateway.Close()
	if _, err := to.copied(t, t.Context(), file.path); err == nil {
		t.Error("it is copied")
	}
}

func TestACopyEndsWithItsContext(t *testing.T) {
	file, to := newSQLiteStore(t), newPostgresStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := to.copied(t, ctx, file.path); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}
