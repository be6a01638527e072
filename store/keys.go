package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// keyTableColumns are those of gateway_keys, in the order of keyRow's values.
const keyTableColumns = `id, version, prefix, hash, previous_hash, grace_until, label, role, owner, team, models, networks, tags, limits,
	provider_keys, created_at, expires_at, revoked_at, budget`

// keyRow is a row of gateway_keys.
type keyRow struct {
	ID           string
	Version      int64
	Prefix       string
	Hash         string
	Previous     *string
	GraceUntil   *moment
	Label        string
	Role         string
	Owner        string
	Team         string
	Models       *string
	Networks     *string
	Tags         string
	Limits       string
	ProviderKeys bool
	CreatedAt    moment
	ExpiresAt    *moment
	RevokedAt    *moment
	Budget       *string
}

// fields are where the columns belong.
func (r *keyRow) fields() []any {
	return []any{&r.ID, &r.Version, &r.Prefix, &r.Hash, &r.Previous, &r.GraceUntil, &r.Label, &r.Role, &r.Owner, &r.Team, &r.Models, &r.Networks,
		&r.Tags, &r.Limits, &r.ProviderKeys, &r.CreatedAt, &r.ExpiresAt, &r.RevokedAt, &r.Budget}
}

func newKeyRow(k *gateway.KeyRecord) (r keyRow, err error) {
	r = keyRow{
		ID: string(k.ID), Version: k.Version, Prefix: k.Prefix, Hash: hex.EncodeToString(k.Hash[:]), GraceUntil: (*moment)(k.GraceUntil),
		Label: k.Label, Role: k.Role.String(), Owner: k.Owner, Team: k.Team, ProviderKeys: k.ProviderKeys,
		CreatedAt: moment(k.CreatedAt), ExpiresAt: (*moment)(k.ExpiresAt), RevokedAt: (*moment)(k.RevokedAt),
	}
	if k.GraceUntil != nil {
		previous := hex.EncodeToString(k.Previous[:])
		r.Previous = &previous
	}
	if k.Models != nil {
		r.Models = new(string)
		*r.Models, err = asJSON(k.Models, err)
	}
	if k.Networks != nil {
		r.Networks = new(string)
		*r.Networks, err = asJSON(k.Networks, err)
	}
	if k.Budget != nil {
		r.Budget = new(string)
		*r.Budget, err = asJSON(k.Budget, err)
	}
	r.Tags, err = asJSON(k.Tags, err)
	r.Limits, err = asJSON(k.Limits, err)
	return r, err
}

func asJSON(v any, before error) (string, error) {
	text, err := json.Marshal(v)
	return string(text), errors.Join(before, err)
}

// record is the key that a row holds.
func (r *keyRow) record() (*gateway.KeyRecord, error) {
	k := &gateway.KeyRecord{Version: r.Version, APIKey: gateway.APIKey{
		ID: gateway.KeyID(r.ID), Prefix: r.Prefix, Label: r.Label, Owner: r.Owner, Team: r.Team, CreatedAt: time.Time(r.CreatedAt),
		ExpiresAt: (*time.Time)(r.ExpiresAt), RevokedAt: (*time.Time)(r.RevokedAt), GraceUntil: (*time.Time)(r.GraceUntil),
		Grant: gateway.Grant{ProviderKeys: r.ProviderKeys},
	}}
	role, err := gateway.ParseRole(r.Role)
	k.Role = role
	err = errors.Join(err, readHash(&k.Hash, &r.Hash), readHash(&k.Previous, r.Previous), readJSON(&k.Models, r.Models), readJSON(&k.Networks, r.Networks),
		readJSON(&k.Tags, &r.Tags), readJSON(&k.Limits, &r.Limits), readJSON(&k.Budget, r.Budget))
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", r.ID, err)
	}
	return k, nil
}

func readHash(into *gateway.KeyHash, text *string) error {
	if text == nil {
		return nil
	}
	if len(*text) != hex.EncodedLen(len(into)) {
		return errors.New("its hash has another length")
	}
	_, err := hex.Decode(into[:], []byte(*text))
	return err
}

func readJSON(into any, text *string) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal([]byte(*text), into)
}

func (r *keyRow) values() []any {
	return []any{r.ID, r.Version, r.Prefix, r.Hash, r.Previous, r.GraceUntil, r.Label, r.Role, r.Owner, r.Team, r.Models, r.Networks,
		r.Tags, r.Limits, r.ProviderKeys, r.CreatedAt, r.ExpiresAt, r.RevokedAt, r.Budget}
}

// nextChange counts a change, and has every other change wait until this one is done.
func nextChange(ctx context.Context, tx *sqlx.Tx) (version int64, err error) {
	err = tx.GetContext(ctx, &version, tx.Rebind(`INSERT INTO changes (id, store, version) VALUES (1, ?, 1)
		ON CONFLICT (id) DO UPDATE SET version = changes.version + 1 RETURNING version`), uuid.NewString())
	return version, err
}

// KeysVersion is the version of the last change, 0 before the first, and the name of the
// store that counts it.
func (s *Store) KeysVersion(ctx context.Context) (store string, version int64, err error) {
	err = s.connect(ctx, "asking for the version of the keys", func(o *opening, c *sqlx.Conn) error {
		if err := s.check(o); err != nil {
			return err
		}
		err := c.QueryRowContext(ctx, `SELECT store, version FROM changes`).Scan(&store, &version)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return store, version, err
}

// KeysSince calls take for each key that was changed after a version, as it is now, in the
// order of versions. A row that cannot be read, as one of a later gateway, is a key that was
// revoked: those behind it must still be known.
func (s *Store) KeysSince(ctx context.Context, version int64, take func(*gateway.KeyRecord)) error {
	return s.eachKeyRow(ctx, func(r *keyRow) error {
		k, err := r.record()
		if err != nil {
			k = r.unreadable()
		}
		take(k)
		return nil
	}, `WHERE version > ? ORDER BY version`, version)
}

// unreadable is a key that nobody may use, in the place of one that cannot be read.
func (r *keyRow) unreadable() *gateway.KeyRecord {
	revoked := time.Time(r.CreatedAt)
	k := &gateway.KeyRecord{Version: r.Version, APIKey: gateway.APIKey{ID: gateway.KeyID(r.ID), Label: r.Label, CreatedAt: revoked, RevokedAt: &revoked}}
	_ = readHash(&k.Hash, &r.Hash) // so that its secret is told to be revoked, if that can be read
	return k
}

// eachKey calls take for each key that a clause selects.
func (s *Store) eachKey(ctx context.Context, take func(*gateway.KeyRecord), clause string, args ...any) error {
	return s.eachKeyRow(ctx, func(r *keyRow) error {
		k, err := r.record()
		if err == nil {
			take(k)
		}
		return err
	}, clause, args...)
}

func (s *Store) eachKeyRow(ctx context.Context, take func(*keyRow) error, clause string, args ...any) error {
	return s.read(ctx, "reading keys", func(c *sqlx.Conn) error {
		rows, err := c.QueryContext(ctx, c.Rebind(`SELECT `+keyTableColumns+` FROM gateway_keys `+clause), args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r keyRow
			if err := rows.Scan(r.fields()...); err != nil {
				return err
			}
			if err := take(&r); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// APIKeys returns up to limit keys, the newest first, that were made before the one of an id;
// "" begins with the newest.
func (s *Store) APIKeys(ctx context.Context, before gateway.KeyID, limit int) ([]gateway.APIKey, error) {
	keys := []gateway.APIKey{}
	err := s.eachKey(ctx, func(k *gateway.KeyRecord) { keys = append(keys, k.APIKey) },
		`WHERE ? = '' OR (created_at, id) < (SELECT created_at, id FROM gateway_keys WHERE id = ?) ORDER BY created_at DESC, id DESC LIMIT ?`,
		string(before), string(before), limit)
	return keys, err
}

// KeysOf returns the keys of an owner, the newest first.
func (s *Store) KeysOf(ctx context.Context, owner string) ([]gateway.APIKey, error) {
	keys := []gateway.APIKey{}
	err := s.eachKey(ctx, func(k *gateway.KeyRecord) { keys = append(keys, k.APIKey) }, `WHERE owner = ? ORDER BY created_at DESC, id DESC`, owner)
	return keys, err
}

// Key returns one key, or gateway.ErrNoAPIKey.
func (s *Store) Key(ctx context.Context, id gateway.KeyID) (gateway.APIKey, error) {
	var found []gateway.APIKey
	err := s.eachKey(ctx, func(k *gateway.KeyRecord) { found = append(found, k.APIKey) }, `WHERE id = ?`, string(id))
	if err == nil && len(found) == 0 {
		err = gateway.ErrNoAPIKey
	}
	if err != nil {
		return gateway.APIKey{}, err
	}
	return found[0], nil
}

// LastUses returns when the newest recorded request of each key began. Keys without one are left
// out. Each key costs one look into an index, however many requests it made.
func (s *Store) LastUses(ctx context.Context, ids []gateway.KeyID) (map[gateway.KeyID]time.Time, error) {
	uses := make(map[gateway.KeyID]time.Time, len(ids))
	err := s.read(ctx, "reading when keys were last used", func(c *sqlx.Conn) error {
		for some := range slices.Chunk(ids, idsAtOnce) {
			if err := addLastUses(ctx, c, uses, some); err != nil {
				return err
			}
		}
		return nil
	})
	return uses, err
}

const idsAtOnce = 1000 // in a statement; databases bound its arguments

func addLastUses(ctx context.Context, c *sqlx.Conn, uses map[gateway.KeyID]time.Time, ids []gateway.KeyID) error {
	query, args, err := sqlx.In(`SELECT id, (SELECT r.started_at FROM requests r WHERE r.key_id = k.id ORDER BY r.started_at DESC LIMIT 1) AS used
		FROM gateway_keys k WHERE id IN (?)`, ids)
	if err != nil {
		return err
	}
	var rows []struct {
		ID   gateway.KeyID `db:"id"`
		Used *moment       `db:"used"`
	}
	if err := c.SelectContext(ctx, &rows, c.Rebind(query), args...); err != nil {
		return err
	}
	for _, r := range rows {
		if r.Used != nil {
			uses[r.ID] = time.Time(*r.Used)
		}
	}
	return nil
}

// AddKey adds the key that draft makes, which is told whether it is the first of all, and
// gives it its version. It writes the audit entry with it.
func (s *Store) AddKey(ctx context.Context, by gateway.Actor, draft func(first bool) (gateway.KeyRecord, error)) (gateway.KeyRecord, error) {
	var k gateway.KeyRecord
	err := s.change(ctx, "adding a key", func(tx *sqlx.Tx, version int64) error {
		var first bool
		if err := tx.GetContext(ctx, &first, `SELECT NOT EXISTS (SELECT 1 FROM gateway_keys)`); err != nil {
			return err
		}
		var err error
		if k, err = draft(first); err != nil {
			return err
		}
		k.Version = version
		if err := writeKey(ctx, tx, `INSERT INTO gateway_keys (`+keyTableColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, &k); err != nil {
			return err
		}
		return audit(ctx, tx, auditedChange{version, by, "key.create", string(k.ID), nil, k.APIKey})
	})
	return k, err
}

const updateKey = `UPDATE gateway_keys SET id = ?, version = ?, prefix = ?, hash = ?, previous_hash = ?, grace_until = ?, label = ?, role = ?, owner = ?,
	team = ?, models = ?, networks = ?, tags = ?, limits = ?, provider_keys = ?, created_at = ?, expires_at = ?, revoked_at = ?, budget = ? WHERE id = ?`

// ChangeKey replaces a key by what change makes of it, or returns gateway.ErrNoAPIKey. Whoever
// changes a key meanwhile waits. It writes the audit entry with it.
func (s *Store) ChangeKey(ctx context.Context, id gateway.KeyID, action string, by gateway.Actor, change func(*gateway.KeyRecord) error) (gateway.KeyRecord, error) {
	var k gateway.KeyRecord
	err := s.change(ctx, "changing a key", func(tx *sqlx.Tx, version int64) error {
		before, err := keyIn(ctx, tx, id)
		if err != nil {
			return err
		}
		k = *before
		if err := change(&k); err != nil {
			return err
		}
		k.Version = version
		if err := writeKey(ctx, tx, updateKey, &k, string(id)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE keys SET label = ? WHERE key_id = ?`), k.Label, string(id)); err != nil {
			return err // what the usage calls it
		}
		return audit(ctx, tx, auditedChange{version, by, action, string(id), before.APIKey, k.APIKey})
	})
	return k, err
}

// change does one change of what is administered, all or nothing of it.
func (s *Store) change(ctx context.Context, what string, do func(tx *sqlx.Tx, version int64) error) error {
	return s.transact(ctx, what, func(tx *sqlx.Tx) error {
		version, err := nextChange(ctx, tx)
		if err != nil {
			return err
		}
		return do(tx, version)
	})
}

func keyIn(ctx context.Context, tx *sqlx.Tx, id gateway.KeyID) (*gateway.KeyRecord, error) {
	var r keyRow
	err := tx.QueryRowContext(ctx, tx.Rebind(`SELECT `+keyTableColumns+` FROM gateway_keys WHERE id = ?`), string(id)).Scan(r.fields()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, gateway.ErrNoAPIKey
	}
	if err != nil {
		return nil, err
	}
	return r.record()
}

func writeKey(ctx context.Context, tx *sqlx.Tx, statement string, k *gateway.KeyRecord, args ...any) error {
	r, err := newKeyRow(k)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(statement), append(r.values(), args...)...)
	return err
}
