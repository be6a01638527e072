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
func (s *testStore) copied(ctx context.Context, t *testing.T, file string) (map[string]Copied, error) {
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
	if _, err := to.copied(t.Context(), t, file.path); err == nil {
		t.Fatal("it is not broken off")
	}
	if got := to.count(t, "requests"); got != copyAtOnce {
		t.Errorf("%d requests are copied before", got)
	}
	to.db.MustExec(`DROP TRIGGER stop ON requests`)
	all, err := to.copied(t.Context(), t, file.path)
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
	again, err := to.copied(t.Context(), t, file.path)
	if err != nil || again["requests"].New != 0 || again["requests"].Rows != n {
		t.Errorf("a third time it copies %+v, %v", again["requests"], err)
	}
}

func TestKeysAreCopiedBesideThoseThatTheDatabaseHas(t *testing.T) {
	file, to := newSQLiteStore(t), newPostgresStore(t)
	for _, id := range []gateway.KeyID{"key_a", "key_b"} {
		add(t, file, bareKey(id))
	}
	do(t, file.Close())
	add(t, to, bareKey("key_of_the_database"))
	name, seen, err := to.KeysVersion(t.Context())
	do(t, err)
	for range 2 {
		_, err := to.copied(t.Context(), t, file.path)
		do(t, err)
	}
	var ids []gateway.KeyID
	for _, k := range keysSince(t, to, 0) {
		ids = append(ids, k.ID)
	}
	if diff := cmp.Diff([]gateway.KeyID{"key_of_the_database", "key_a", "key_b"}, ids); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	entries, err := to.Audit(t.Context(), 0, 10)
	if err != nil || len(entries) != 3 {
		t.Errorf("%d entries in the audit log, %v", len(entries), err)
	}
	nameNow, version, err := to.KeysVersion(t.Context())
	if err != nil || nameNow == name || version != seen+2 {
		t.Errorf("gateways are told of version %d (%d before) of store %s (%s before), %v", version, seen, nameNow, name, err)
	}
	if next := add(t, to, bareKey("key_next")); next.Version != version+1 {
		t.Errorf("the next change is %d", next.Version)
	}
}

func TestAFileThatAGatewayWritesToIsNotCopied(t *testing.T) {
	file, to := newSQLiteStore(t), newPostgresStore(t)
	gateway, err := Open(t.Context(), Config{Path: file.path, Exclusive: true})
	do(t, err)
	defer gateway.Close()
	if _, err := to.copied(t.Context(), t, file.path); err == nil {
		t.Error("it is copied")
	}
}

func TestACopyEndsWithItsContext(t *testing.T) {
	file, to := newSQLiteStore(t), newPostgresStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := to.copied(ctx, t, file.path); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}
