package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/pressly/goose/v3"
)

// postgres is a PostgreSQL database.
type postgres struct {
	config  pq.Config
	sockets sockets
}

const (
	postgresConnections = 8               // of one gateway; many gateways share the server's max_connections
	connectionLife      = 5 * time.Minute // so that all go to the new primary some day, whatever they told
	connectTimeout      = 5 * time.Second // where the URL names none
)

// newPostgres reads the URL. Its errors do not show it, as it may hold a password.
func newPostgres(url string) (*postgres, error) {
	config, err := pq.NewConfig(url)
	if err != nil {
		return nil, errors.New("the URL of the PostgreSQL database cannot be read: it must be postgres://user:password@host:port/database?sslmode=verify-full")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if len(config.Multi) > 0 && config.TargetSessionAttrs == "" { // the one that takes what is written
		config.TargetSessionAttrs = pq.TargetSessionAttrsReadWrite
	}
	if config.ApplicationName == "" {
		config.ApplicationName = "ai-gateway"
	}
	return &postgres{config: config, sockets: sockets{of: map[driver.Conn]*socket{}}}, nil
}

func (e *postgres) String() string {
	return fmt.Sprintf("the PostgreSQL database %q on %q", e.config.Database, e.config.Host)
}

// pool is connections that are made when they are needed.
func (e *postgres) pool() (*sql.DB, error) {
	connector, err := pq.NewConnectorConfig(e.config)
	if err != nil {
		return nil, err
	}
	connector.Dialer(dialer{})
	db := sql.OpenDB(&tracking{connector, &e.sockets})
	db.SetMaxOpenConns(postgresConnections)
	db.SetMaxIdleConns(postgresConnections)
	db.SetConnMaxLifetime(connectionLife)
	return db, nil
}

func (e *postgres) open(ctx context.Context) (*sqlx.DB, error) {
	db, err := e.pool()
	if err != nil {
		return nil, err
	}
	if err := e.migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return sqlx.NewDb(db, "postgres"), nil
}

// migrationLock is the key of the lock that one process at a time migrates under.
const migrationLock = 0x61696777 // "aigw"

// migrate waits for others that migrate. The lock is that of a transaction, as locks of a
// session do not hold behind a pooler of transactions.
func (e *postgres) migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // which frees the lock
	_, err = tx.ExecContext(ctx, fmt.Sprintf(`SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = 0;
		SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(%d)`, migrationLock))
	if err != nil {
		return fmt.Errorf("waiting for others that bring the tables up to date: %w", err)
	}
	return migrate(ctx, db, goose.DialectPostgres)
}

func (e *postgres) there() error { return nil } // what replaces a server is as good
func (e *postgres) leave()       {}
func (e *postgres) close() error { return nil }

// removable goes by days, whose partitions are dropped whole.
func (e *postgres) removable(before time.Time) time.Time {
	return before.UTC().Truncate(24 * time.Hour)
}

// bound has the socket of a connection break off if the server does not answer a call that was
// cancelled: the driver would wait for it.
func (e *postgres) bound(ctx context.Context, c *sqlx.Conn) (release func(), err error) {
	return release, c.Raw(func(of any) error {
		release = e.sockets.bound(ctx, of.(driver.Conn))
		return nil
	})
}

func (e *postgres) day(moment string) string {
	return "to_char(" + moment + " AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
}

func (e *postgres) moment(value string) string { return "CAST(" + value + " AS TIMESTAMPTZ)" }

func (e *postgres) withoutCompiler() string { return "SET LOCAL jit = off" }

func (e *postgres) forUpdate() string { return " FOR UPDATE" }

// isBadRow goes by the classes of what is wrong with data.
// Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
func (e *postgres) isBadRow(err error) bool {
	switch classOf(err) {
	case "21", "22", "23", "54": // one row twice, data exceptions, violated constraints, exceeded limits
		return true
	}
	return false
}

// isLost is told by a server that takes no writes any more, after a failover, and by a database
// without our tables, put in the place of the one that was open.
func (e *postgres) isLost(err error) bool {
	code := codeOf(err)
	return isReadOnly(err) || code == pqerror.UndefinedTable || code == pqerror.UndefinedColumn
}

// isReadOnly reports whether a server takes no writes. A standby says of a transaction that is to
// write that it has no such feature.
func isReadOnly(err error) bool {
	code := codeOf(err)
	return code == pqerror.ReadOnlySQLTransaction || code == pqerror.FeatureNotSupported
}

func codeOf(err error) pqerror.Code {
	var of *pq.Error
	if !errors.As(err, &of) {
		return ""
	}
	return of.Code
}

// classOf is what kind of error the server tells of; "" where it is not the server that does.
func classOf(err error) pqerror.Class {
	code := codeOf(err)
	if len(code) != len("00000") {
		return ""
	}
	return code.Class()
}

// load copies the rows into a table of this session alone, and from there into the table, in
// the order of its key: so writers that meet do not wait for each other in a circle.
func (e *postgres) load(ctx context.Context, tx *sqlx.Tx, b *batch) error {
	stage := fmt.Sprintf("pg_temp.stage_%s_%d", b.table, len(b.columns))
	columns := strings.Join(b.columns, ", ")
	_, err := tx.ExecContext(ctx, fmt.Sprintf("CREATE TEMP TABLE IF NOT EXISTS %s (LIKE %s INCLUDING DEFAULTS) ON COMMIT DELETE ROWS; DELETE FROM %s",
		strings.TrimPrefix(stage, "pg_temp."), b.table, stage))
	if err != nil {
		return err
	}
	if err := copyRows(ctx, tx, fmt.Sprintf("COPY %s (%s) FROM STDIN", stage, columns), b); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s ORDER BY %s %s", b.table, columns, columns, stage, b.key, b.conflict))
	return err
}

func copyRows(ctx context.Context, tx *sqlx.Tx, query string, b *batch) error {
	statement, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	for values := b.values; err == nil && len(values) > 0; values = values[len(b.columns):] {
		_, err = statement.ExecContext(ctx, values[:len(b.columns)]...)
	}
	if err == nil {
		_, err = statement.ExecContext(ctx) // ends it, and tells what was wrong
	}
	return errors.Join(err, statement.Close())
}
