package store

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

const sessionColumns = `id, version, hash, attempt, person, created_at, seen_at, expires_at, ended_at, address, browser`

// sessionRow is a row of sessions, in the order of sessionColumns.
type sessionRow struct {
	ID        string
	Version   int64
	Hash      string
	Attempt   string
	Person    string
	CreatedAt moment
	SeenAt    moment
	ExpiresAt moment
	EndedAt   *moment
	Address   string
	Browser   string
}

func (r *sessionRow) fields() []any {
	return []any{&r.ID, &r.Version, &r.Hash, &r.Attempt, &r.Person, &r.CreatedAt, &r.SeenAt, &r.ExpiresAt, &r.EndedAt, &r.Address, &r.Browser}
}

func (r *sessionRow) record() (*gateway.SessionRecord, error) {
	s := &gateway.SessionRecord{Version: r.Version, Attempt: r.Attempt, Session: gateway.Session{
		ID: r.ID, User: gateway.UserID(r.Person), CreatedAt: time.Time(r.CreatedAt), SeenAt: time.Time(r.SeenAt), ExpiresAt: time.Time(r.ExpiresAt),
		EndedAt: (*time.Time)(r.EndedAt), Address: r.Address, Browser: r.Browser,
	}}
	return s, readHash(&s.Hash, &r.Hash)
}

// errAttemptUsed is the answer to whoever comes back from the provider a second time.
var errAttemptUsed = &gateway.Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "sign_in_used",
	Message: "This attempt to sign in has been used already. Begin again."}

// keepEnded is how long a session stays in the table once it is over.
const keepEnded = 30 * 24 * time.Hour

// beginSession adds a session, unless its attempt has begun one before. It takes away what has
// been over for long.
func beginSession(ctx context.Context, tx *sqlx.Tx, s *gateway.SessionRecord) error {
	var used bool
	if err := tx.GetContext(ctx, &used, tx.Rebind(`SELECT EXISTS (SELECT 1 FROM sessions WHERE attempt = ?)`), s.Attempt); err != nil {
		return err
	}
	if used {
		return errAttemptUsed
	}
	if _, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM sessions WHERE expires_at < ?`), moment(s.CreatedAt.Add(-keepEnded))); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO sessions (`+sessionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
		s.ID, s.Version, hex.EncodeToString(s.Hash[:]), s.Attempt, string(s.User), moment(s.CreatedAt), moment(s.SeenAt), moment(s.ExpiresAt),
		(*moment)(s.EndedAt), text(s.Address), text(s.Browser))
	return err
}

// SessionsSince calls take for each session that was changed after a version, in the order of
// versions.
func (s *Store) SessionsSince(ctx context.Context, version int64, take func(*gateway.SessionRecord)) error {
	return s.eachSession(ctx, take, `WHERE version > ? ORDER BY version`, version)
}

// Sessions returns the sessions of a person, the newest first.
func (s *Store) Sessions(ctx context.Context, of gateway.UserID) ([]gateway.SessionRecord, error) {
	sessions := []gateway.SessionRecord{}
	err := s.eachSession(ctx, func(r *gateway.SessionRecord) { sessions = append(sessions, *r) }, `WHERE person = ? ORDER BY created_at DESC, id DESC`, string(of))
	return sessions, err
}

func (s *Store) eachSession(ctx context.Context, take func(*gateway.SessionRecord), clause string, args ...any) error {
	return s.read(ctx, "reading sessions", func(c *sqlx.Conn) error {
		rows, err := c.QueryContext(ctx, c.Rebind(`SELECT `+sessionColumns+` FROM sessions `+clause), args...)
		return eachRow(rows, err, func() error {
			var r sessionRow
			if err := rows.Scan(r.fields()...); err != nil {
				return err
			}
			session, err := r.record()
			if err == nil {
				take(session)
			}
			return err
		})
	})
}

// EndSessions ends sessions that are not over: the one of an id, or with "" all of a person. of
// is whose they have to be; "" is anybody's. It returns them as they are then.
func (s *Store) EndSessions(ctx context.Context, by gateway.Actor, id string, of gateway.UserID, at time.Time) (ended []*gateway.SessionRecord, err error) {
	err = s.change(ctx, "ending sessions", func(tx *sqlx.Tx, version int64) error {
		rows, err := tx.QueryContext(ctx, tx.Rebind(`SELECT `+sessionColumns+` FROM sessions WHERE (? = '' OR id = ?) AND (? = '' OR person = ?) AND ended_at IS NULL`),
			id, id, string(of), string(of))
		ended = nil
		err = eachRow(rows, err, func() error {
			var r sessionRow
			if err := rows.Scan(r.fields()...); err != nil {
				return err
			}
			session, err := r.record()
			ended = append(ended, session)
			return err
		})
		for i, session := range ended {
			if err == nil && i > 0 {
				version, err = nextChange(ctx, tx) // each change has a version of its own
			}
			if err == nil {
				err = endSession(ctx, tx, by, session, version, at)
			}
		}
		return err
	})
	return ended, err
}

func endSession(ctx context.Context, tx *sqlx.Tx, by gateway.Actor, s *gateway.SessionRecord, version int64, at time.Time) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE sessions SET ended_at = ?, version = ? WHERE id = ?`), moment(at), version, s.ID)
	if err != nil {
		return err
	}
	before := s.Session
	s.EndedAt, s.Version = &at, version
	return audit(ctx, tx, auditedChange{version, by, "session.end", s.ID, before, s.Session})
}

// TouchSessions notes when sessions were seen last, by their ids. It is a change like any other,
// so that every gateway knows.
func (s *Store) TouchSessions(ctx context.Context, seen map[string]time.Time) error {
	return s.transact(ctx, "noting sessions", func(tx *sqlx.Tx) error {
		for id, at := range seen {
			version, err := nextChange(ctx, tx)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE sessions SET seen_at = ?, version = ? WHERE id = ? AND seen_at < ?`), moment(at), version, id, moment(at))
			if err != nil {
				return err
			}
		}
		return nil
	})
}
