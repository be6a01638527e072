package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/store"
	"ai-gateway/store/storetest"
)

// TestWhateverTheDatabaseDoesRequestsGoOnAndEachHasItsRow records requests all the while that a
// database is taken away, and counts their rows when it is back.
func TestWhateverTheDatabaseDoesRequestsGoOnAndEachHasItsRow(t *testing.T) {
	for name, outage := range map[string]struct {
		begins, ends func(t *testing.T, s *storetest.Server)
		silent       bool // it only takes longer
	}{
		"is stopped and started": {func(t *testing.T, s *storetest.Server) { do(t, s.Stop()) }, func(t *testing.T, s *storetest.Server) { do(t, s.Start()) }, false},
		"crashes":                {func(t *testing.T, s *storetest.Server) { do(t, s.Kill()) }, func(t *testing.T, s *storetest.Server) { do(t, s.Start()) }, false},
		"hangs":                  {func(t *testing.T, s *storetest.Server) { do(t, s.Hang()) }, func(t *testing.T, s *storetest.Server) { do(t, s.Resume()) }, false},
		"is slow":                {slow, fast, true},
		"loses its tables":       {hideTables, showTables, false},
		"has a full disk":        {fillDisk, func(t *testing.T, s *storetest.Server) { do(t, s.FreeDisk()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, url := storetest.Start(t)
			b := onPostgres(t, url)
			load := b.load()
			b.eventually("rows are written", func() bool { return b.Stats().Written > 20 })
			outage.begins(t, server)
			if !outage.silent {
				b.within(writeTimeout+10*time.Second, "the outage is told", func() bool { return b.Stats().LastError != "" })
			}
			before := load.recorded()
			b.within(30*time.Second, "requests go on", func() bool { return load.recorded() > before+100 })
			outage.ends(t, server)
			b.within(60*time.Second, "rows are written again", func() bool { return b.Stats().LastError == "" && b.Stats().Unwritten < 50 })
			b.count(load.stop(), url)
		})
	}
}

// TestAFailoverLosesNoRow kills the primary under load and promotes its standby.
func TestAFailoverLosesNoRow(t *testing.T) {
	t.Parallel()
	primary, _ := storetest.Start(t)
	standby := standbyOf(t, primary)
	b := onPostgres(t, primary.URLOfBoth(standby, "gateway"))
	load := b.load()
	b.eventually("rows are written", func() bool { return b.Stats().Written > 20 })
	do(t, primary.Kill())
	b.within(30*time.Second, "the outage is told", func() bool { return b.Stats().LastError != "" })
	do(t, standby.Promote())
	b.within(60*time.Second, "rows are written again", func() bool { return b.Stats().LastError == "" })
	b.count(load.stop(), standby.URL("gateway"))
}

// TestRowsWaitForADatabaseThatIsReadOnly has a standby alone, which takes no writes.
func TestRowsWaitForADatabaseThatIsReadOnly(t *testing.T) {
	t.Parallel()
	primary, url := storetest.Start(t)
	tables, err := store.Open(t.Context(), store.Config{URL: url})
	do(t, err)
	do(t, tables.Close())
	standby := standbyOf(t, primary)
	b := onPostgres(t, standby.URL("gateway"))
	load := b.load()
	b.within(30*time.Second, "the outage is told", func() bool { return b.Stats().LastError != "" })
	b.within(30*time.Second, "requests go on", func() bool { return load.recorded() > 100 })
	if ping := b.tables.Ping(t.Context()); ping == nil || !store.IsAway(ping) {
		t.Errorf("a database that takes nothing answers %v", ping)
	}
	do(t, standby.Promote())
	b.within(60*time.Second, "rows are written", func() bool { return b.Stats().LastError == "" && b.Stats().Written > 0 })
	b.count(load.stop(), standby.URL("gateway"))
}

func standbyOf(t *testing.T, primary *storetest.Server) *storetest.Server {
	t.Helper()
	standby, err := primary.NewStandby()
	do(t, err)
	t.Cleanup(func() { do(t, standby.Remove()) })
	return standby
}

// count waits until all rows are written, and finds one of each request.
func (b *onDatabase) count(want int, url string) {
	b.t.Helper()
	b.countIn("postgres", url, want)
}

// countIn is count in a database of any kind.
func (b *onDatabase) countIn(driver, url string, want int) {
	b.t.Helper()
	b.within(60*time.Second, fmt.Sprintf("all of %d rows are written", want), func() bool { return b.Stats().Written >= int64(want) })
	b.stop()
	db := sqlx.MustOpen(driver, url)
	defer db.Close()
	var rows, requests int
	do(b.t, db.QueryRow(`SELECT COUNT(*), COUNT(DISTINCT id) FROM requests`).Scan(&rows, &requests))
	if rejected := b.Stats().Rejected; rows != want || requests != want || rejected != 0 {
		b.t.Errorf("%d rows of %d requests, recorded were %d, thrown away %d", rows, requests, want, rejected)
	}
}

// slow makes each batch take most of a second.
func slow(t *testing.T, s *storetest.Server) {
	do(t, s.Exec("gateway", `CREATE FUNCTION wait() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(0.7); RETURN NULL; END' LANGUAGE plpgsql`,
		`CREATE TRIGGER wait AFTER INSERT ON attempts FOR EACH STATEMENT EXECUTE FUNCTION wait()`))
}

func fast(t *testing.T, s *storetest.Server) {
	do(t, s.Exec("gateway", `DROP TRIGGER wait ON attempts`))
}

func hideTables(t *testing.T, s *storetest.Server) {
	do(t, s.Exec("gateway", `ALTER TABLE requests RENAME TO hidden`))
}

func showTables(t *testing.T, s *storetest.Server) {
	do(t, s.Exec("gateway", `ALTER TABLE hidden RENAME TO requests`))
}

// fillDisk has others fill the disk of a server, with rows in a table that each batch writes to.
func fillDisk(t *testing.T, s *storetest.Server) {
	do(t, s.FillDisk())
	err := untilFull(func() error {
		return s.Exec("gateway", `LOCK TABLE attempts IN ROW EXCLUSIVE MODE; -- partitions may be under way
			INSERT INTO attempts (started_at, id, attempt, backend, status, start_ms, duration_ms, response_bytes)
			SELECT now(), gen_random_uuid(), 1, repeat('x', 1500), 200, 0, 0, 0 FROM generate_series(1, 500)`)
	})
	if err == nil || !store.IsAway(err) || !strings.Contains(err.Error(), "extend file") {
		t.Errorf("filling the disk ends with %v, which is no full disk", err)
	}
}

// untilFull writes until that fails, and returns how; nil if it has not failed after 100 times.
func untilFull(write func() error) error {
	for range 100 {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// TestRowsWaitWhileTheDiskOfASQLiteFileIsFull is not parallel to others: the bound that the file
// and its companions meet is that of the process.
func TestRowsWaitWhileTheDiskOfASQLiteFileIsFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	b := onStore(t, store.Config{Path: path})
	load := b.load()
	b.eventually("rows are written", func() bool { return b.Stats().Written > 20 })
	free := limitFiles(t, 10<<20) // the write-ahead log needs 8 MiB for a segment
	db := openDB(t, path)
	db.MustExec(`CREATE TABLE others (of BLOB)`)
	err := untilFull(func() error {
		_, err := db.Exec(`INSERT INTO others VALUES (randomblob(500000))`)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "disk I/O error") {
		t.Errorf("filling the disk ends with %v", err)
	}
	b.within(30*time.Second, "the full disk is told", func() bool { return strings.Contains(b.Stats().LastError, "disk I/O error") }) // at first the file may be locked
	before := load.recorded()
	b.within(30*time.Second, "requests go on", func() bool { return load.recorded() > before+100 })
	if unwritten := b.Stats().Unwritten; unwritten == 0 {
		t.Error("no row waits")
	}
	free()
	b.within(60*time.Second, "rows are written again", func() bool { return b.Stats().LastError == "" && b.Stats().Unwritten < 50 })
	b.countIn("sqlite", path, load.stop())
}

// limitFiles bounds how large a file of this process may become, until free is called.
func limitFiles(t *testing.T, size uint64) (free func()) {
	t.Helper()
	var before syscall.Rlimit
	do(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	signal.Ignore(syscall.SIGXFSZ) // the write fails anyhow
	do(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}))
	free = sync.OnceFunc(func() {
		do(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))
		signal.Reset(syscall.SIGXFSZ)
	})
	t.Cleanup(free)
	return free
}

// onPostgres are books whose store is a PostgreSQL database.
func onPostgres(t *testing.T, url string) *onDatabase {
	t.Helper()
	return onStore(t, store.Config{URL: url})
}

func onStore(t *testing.T, c store.Config) *onDatabase {
	t.Helper()
	tables, err := store.New(c)
	do(t, err)
	b := &books{t: t, dir: t.TempDir(), wal: openWAL(t, t.TempDir())}
	do(t, os.WriteFile(b.accessLog(), nil, 0o600))
	b.Ledger = New(Config{Store: tables, WAL: b.wal, AccessLog: b.accessLog(), MaxBytes: 1 << 30, MaxAge: time.Hour, Grace: 50 * time.Millisecond,
		OrphanGrace: time.Hour, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run returned %v", err)
			}
			do(t, tables.Close())
		})
	}
	t.Cleanup(b.stop)
	return &onDatabase{b, tables}
}

// onDatabase are books with a store that may be away.
type onDatabase struct {
	*books
	tables *store.Store
}

func (b *books) within(d time.Duration, what string, holds func() bool) {
	b.t.Helper()
	for end := time.Now().Add(d); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("not within %s: %s; stats %+v", d, what, b.Stats())
		}
	}
}

// load is requests that are recorded one after another.
type load struct {
	b      *books
	mu     sync.Mutex
	n      int
	cancel context.CancelFunc
	done   chan struct{}
}

func (b *books) load() *load {
	ctx, cancel := context.WithCancel(b.t.Context())
	l := &load{b: b, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for ctx.Err() == nil {
			i := intent()
			if err := b.Begin(&i); err != nil {
				b.t.Errorf("a request is refused: %v", err)
				return
			}
			b.settle(i)
			b.journalize(line(i))
			l.mu.Lock()
			l.n++
			l.mu.Unlock()
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return l
}

func (l *load) recorded() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// stop ends the load and returns how many requests there were.
func (l *load) stop() int {
	l.cancel()
	<-l.done
	return l.recorded()
}
