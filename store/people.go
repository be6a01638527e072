package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

const personColumns = `id, version, name, issuer, subject, email, full_name, role, role_by_hand, team, budget, created_at, invited_at, signed_in_at, blocked_at,
	settings, provider_key`

// personRow is a row of people, in the order of personColumns.
type personRow struct {
	ID          string
	Version     int64
	Name        string
	Issuer      *string
	Subject     *string
	Email       string
	FullName    string
	Role        string
	RoleByHand  bool
	Team        string
	Budget      *string
	CreatedAt   moment
	InvitedAt   *moment
	SignedInAt  *moment
	BlockedAt   *moment
	Settings    string
	ProviderKey string
}

func (r *personRow) fields() []any {
	return []any{&r.ID, &r.Version, &r.Name, &r.Issuer, &r.Subject, &r.Email, &r.FullName, &r.Role, &r.RoleByHand, &r.Team, &r.Budget, &r.CreatedAt,
		&r.InvitedAt, &r.SignedInAt, &r.BlockedAt, &r.Settings, &r.ProviderKey}
}

func (r *personRow) values() []any {
	return []any{r.ID, r.Version, r.Name, r.Issuer, r.Subject, r.Email, r.FullName, r.Role, r.RoleByHand, r.Team, r.Budget, r.CreatedAt,
		r.InvitedAt, r.SignedInAt, r.BlockedAt, r.Settings, r.ProviderKey}
}

func newPersonRow(u *gateway.UserRecord) (r personRow, err error) {
	r = personRow{
		ID: string(u.ID), Version: u.Version, Name: text(u.Name), Issuer: optional(u.Account.Issuer), Subject: optional(u.Account.Subject), Email: text(u.Email),
		FullName: text(u.FullName), Role: u.Role.String(), RoleByHand: u.RoleByHand, Team: text(u.Team), CreatedAt: moment(u.CreatedAt),
		InvitedAt: (*moment)(u.InvitedAt), SignedInAt: (*moment)(u.SignedInAt), BlockedAt: (*moment)(u.BlockedAt), ProviderKey: string(u.Settings.ProviderKey),
	}
	r.Budget, err = optionalJSON(u.Budget)
	r.Settings, err = asJSON(u.Settings, err)
	return r, err
}

func optionalJSON(budget []gateway.KeyBudget) (*string, error) {
	if budget == nil {
		return nil, nil
	}
	text, err := asJSON(budget, nil)
	return &text, err
}

func (r *personRow) record() (*gateway.UserRecord, error) {
	u := &gateway.UserRecord{Version: r.Version, User: gateway.User{
		ID: gateway.UserID(r.ID), Name: r.Name, Email: r.Email, FullName: r.FullName, RoleByHand: r.RoleByHand, Team: r.Team, CreatedAt: time.Time(r.CreatedAt),
		InvitedAt: (*time.Time)(r.InvitedAt), SignedInAt: (*time.Time)(r.SignedInAt), BlockedAt: (*time.Time)(r.BlockedAt),
	}}
	if r.Issuer != nil && r.Subject != nil {
		u.Account = gateway.Account{Issuer: *r.Issuer, Subject: *r.Subject}
	}
	role, err := gateway.ParseRole(r.Role)
	u.Role = role
	if err = errors.Join(err, readJSON(&u.Budget, r.Budget), readJSON(&u.Settings, &r.Settings)); err != nil {
		return nil, fmt.Errorf("reading user %s: %w", r.ID, err)
	}
	u.Settings.ProviderKey = gateway.SealedSecret(r.ProviderKey)
	return u, nil
}

// unreadable is a person who may not in, in the place of one that cannot be read.
func (r *personRow) unreadable() *gateway.UserRecord {
	at := time.Time(r.CreatedAt)
	return &gateway.UserRecord{Version: r.Version, User: gateway.User{ID: gateway.UserID(r.ID), Name: r.Name, BlockedAt: &at}}
}

// UsersSince calls take for each person who was changed after a version, as they are now, in the
// order of versions. One that cannot be read is told to be blocked.
func (s *Store) UsersSince(ctx context.Context, version int64, take func(*gateway.UserRecord)) error {
	return s.eachPerson(ctx, func(r *personRow) error {
		u, err := r.record()
		if err != nil {
			u = r.unreadable()
		}
		take(u)
		return nil
	}, `WHERE version > ? ORDER BY version`, version)
}

// Users returns all people, in the order of their names.
func (s *Store) Users(ctx context.Context) ([]gateway.UserRecord, error) {
	users := []gateway.UserRecord{}
	err := s.eachPerson(ctx, func(r *personRow) error {
		u, err := r.record()
		if err == nil {
			users = append(users, *u)
		}
		return err
	}, `ORDER BY name`)
	return users, err
}

// User returns one person, or gateway.ErrNoUser.
func (s *Store) User(ctx context.Context, id gateway.UserID) (u gateway.UserRecord, err error) {
	err = s.read(ctx, "reading a user", func(c *sqlx.Conn) error {
		found, err := personIn(ctx, c, `id = ?`, string(id))
		if err == nil {
			u = *found
		}
		return err
	})
	return u, err
}

func (s *Store) eachPerson(ctx context.Context, take func(*personRow) error, clause string, args ...any) error {
	return s.read(ctx, "reading users", func(c *sqlx.Conn) error {
		rows, err := c.QueryContext(ctx, c.Rebind(`SELECT `+personColumns+` FROM people `+clause), args...)
		return eachRow(rows, err, func() error {
			var r personRow
			if err := rows.Scan(r.fields()...); err != nil {
				return err
			}
			return take(&r)
		})
	})
}

// eachRow calls take for each row of a query, which scans it.
func eachRow(rows *sql.Rows, err error, take func() error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// finder is a connection or a transaction.
type finder interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	Rebind(query string) string
}

// personIn is the person whom a condition finds, or gateway.ErrNoUser.
func personIn(ctx context.Context, q finder, condition string, args ...any) (*gateway.UserRecord, error) {
	var r personRow
	err := q.QueryRowContext(ctx, q.Rebind(`SELECT `+personColumns+` FROM people WHERE `+condition), args...).Scan(r.fields()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, gateway.ErrNoUser
	}
	if err != nil {
		return nil, err
	}
	return r.record()
}

func writePerson(ctx context.Context, tx *sqlx.Tx, statement string, u *gateway.UserRecord, args ...any) error {
	r, err := newPersonRow(u)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(statement), append(r.values(), args...)...)
	return err
}

const addPerson = `INSERT INTO people (` + personColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const updatePerson = `UPDATE people SET id = ?, version = ?, name = ?, issuer = ?, subject = ?, email = ?, full_name = ?, role = ?, role_by_hand = ?, team = ?,
	budget = ?, created_at = ?, invited_at = ?, signed_in_at = ?, blocked_at = ?, settings = ?, provider_key = ? WHERE id = ?`

// AddUser adds the person whom draft makes, with a name that nobody has yet, and the audit entry.
// draft is told who has the same address already.
func (s *Store) AddUser(ctx context.Context, by gateway.Actor, email string, draft func(same []gateway.UserRecord) (gateway.UserRecord, error)) (gateway.UserRecord, error) {
	var u gateway.UserRecord
	err := s.change(ctx, "adding a user", func(tx *sqlx.Tx, version int64) error {
		same, err := peopleIn(ctx, tx, `WHERE email = ?`, email)
		if err != nil {
			return err
		}
		if u, err = draft(same); err != nil {
			return err
		}
		u.Version = version
		return insertPerson(ctx, tx, by, "user.invite", &u)
	})
	return u, err
}

func peopleIn(ctx context.Context, tx *sqlx.Tx, clause string, args ...any) (people []gateway.UserRecord, err error) {
	rows, err := tx.QueryContext(ctx, tx.Rebind(`SELECT `+personColumns+` FROM people `+clause), args...)
	err = eachRow(rows, err, func() error {
		var r personRow
		if err := rows.Scan(r.fields()...); err != nil {
			return err
		}
		u, err := r.record()
		if err == nil {
			people = append(people, *u)
		}
		return err
	})
	return people, err
}

// insertPerson adds a person under a name of their own: usage of somebody before must not become
// theirs with an address.
func insertPerson(ctx context.Context, tx *sqlx.Tx, by gateway.Actor, action string, u *gateway.UserRecord) error {
	wanted := u.Name
	for n := 2; ; n++ {
		var taken bool
		if err := tx.GetContext(ctx, &taken, tx.Rebind(`SELECT EXISTS (SELECT 1 FROM people WHERE name = ?)`), text(u.Name)); err != nil {
			return err
		}
		if !taken {
			break
		}
		u.Name = wanted + " (" + strconv.Itoa(n) + ")"
	}
	if err := writePerson(ctx, tx, addPerson, u); err != nil {
		return err
	}
	return auditUser(ctx, tx, by, action, nil, u)
}

func auditUser(ctx context.Context, tx *sqlx.Tx, by gateway.Actor, action string, before, after *gateway.UserRecord) error {
	var was any
	if before != nil {
		was = before.User
	}
	return audit(ctx, tx, auditedChange{after.Version, by, action, string(after.ID), was, after.User})
}

// ChangeUser replaces a person by what change makes of them, who is told how many administrators
// there are besides, or returns gateway.ErrNoUser. admin says who is one. An empty action changes
// what is the person's own affair, and is no entry of the audit log.
func (s *Store) ChangeUser(ctx context.Context, id gateway.UserID, action string, by gateway.Actor, admin func(*gateway.User) bool, change func(u *gateway.UserRecord, otherAdmins int) error) (gateway.UserRecord, error) {
	var u gateway.UserRecord
	err := s.change(ctx, "changing a user", func(tx *sqlx.Tx, version int64) error {
		all, err := peopleIn(ctx, tx, `WHERE id = ? OR signed_in_at IS NOT NULL AND blocked_at IS NULL`, string(id))
		if err != nil {
			return err
		}
		before, others := apart(all, id, admin)
		if before == nil {
			return gateway.ErrNoUser
		}
		u = *before
		if err := change(&u, others); err != nil {
			return err
		}
		u.Version = version
		if err := writePerson(ctx, tx, updatePerson, &u, string(id)); err != nil {
			return err
		}
		if action == "" {
			return nil
		}
		return auditUser(ctx, tx, by, action, before, &u)
	})
	return u, err
}

// apart is the person of an id, nil for none, and how many administrators there are among the others.
func apart(all []gateway.UserRecord, id gateway.UserID, admin func(*gateway.User) bool) (one *gateway.UserRecord, admins int) {
	for i := range all {
		switch {
		case all[i].ID == id:
			one = &all[i]
		case admin != nil && admin(&all[i].User):
			admins++
		}
	}
	return one, admins
}

// Enter has a person in. decide is told who has the account; else who was invited by its address
// and has not come yet; else nil, and whether there is nobody at all. It makes of that the
// person as they are from now on. The session begins in the same transaction, and once only for
// each attempt.
func (s *Store) Enter(ctx context.Context, id gateway.Identity, session gateway.SessionRecord, decide func(known *gateway.UserRecord, first bool) (gateway.UserRecord, error)) (gateway.UserRecord, gateway.SessionRecord, error) {
	var u gateway.UserRecord
	err := s.change(ctx, "signing a user in", func(tx *sqlx.Tx, version int64) error {
		known, first, err := whoEnters(ctx, tx, id)
		if err != nil {
			return err
		}
		if u, err = decide(known, first); err != nil {
			return err
		}
		u.Version = version
		by := gateway.Actor{Name: u.Name, Address: session.Address}
		if known == nil {
			err = insertPerson(ctx, tx, by, "user.create", &u)
		} else {
			err = updateEntering(ctx, tx, by, known, &u)
		}
		if err != nil {
			return err
		}
		session.User, session.Version = u.ID, version
		return beginSession(ctx, tx, &session)
	})
	return u, session, err
}

func whoEnters(ctx context.Context, tx *sqlx.Tx, id gateway.Identity) (known *gateway.UserRecord, first bool, err error) {
	known, err = personIn(ctx, tx, `issuer = ? AND subject = ?`, text(id.Issuer), text(id.Subject))
	if errors.Is(err, gateway.ErrNoUser) {
		known, err = personIn(ctx, tx, `email = ? AND issuer IS NULL ORDER BY created_at LIMIT 1`, text(id.Email))
	}
	if !errors.Is(err, gateway.ErrNoUser) {
		return known, false, err
	}
	err = tx.GetContext(ctx, &first, `SELECT NOT EXISTS (SELECT 1 FROM people WHERE issuer IS NOT NULL)`)
	return nil, first, err
}

// updateEntering notes how a person is known now. What the provider says anew, such as a role,
// is in the audit log; that somebody came again is not.
func updateEntering(ctx context.Context, tx *sqlx.Tx, by gateway.Actor, before, now *gateway.UserRecord) error {
	if err := writePerson(ctx, tx, updatePerson, now, string(before.ID)); err != nil {
		return err
	}
	if before.Role == now.Role && before.Email == now.Email && before.Account == now.Account {
		return nil
	}
	return auditUser(ctx, tx, by, "user.sign_in", before, now)
}
