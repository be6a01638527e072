package store

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// Agree returns the secret of a name that all gateways of this store share: the first proposed one.
func (s *Store) Agree(ctx context.Context, name string, proposed []byte) (agreed []byte, err error) {
	err = s.transact(ctx, "agreeing on a shared secret", func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO shared_values (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`),
			name, hex.EncodeToString(proposed))
		if err != nil {
			return err
		}
		var text string
		if err := tx.GetContext(ctx, &text, tx.Rebind(`SELECT value FROM shared_values WHERE name = ?`), name); err != nil {
			return err
		}
		agreed, err = hex.DecodeString(text)
		return err
	})
	return agreed, err
}

// Announce records that a gateway writes here, and where its write-ahead log is.
func (s *Store) Announce(ctx context.Context, writer uuid.UUID, host, stateFolder string, at time.Time) error {
	return s.transact(ctx, "announcing the gateway", func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO gateways (gateway, host, state_folder, started_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (gateway) DO UPDATE SET host = excluded.host, state_folder = excluded.state_folder, started_at = excluded.started_at`),
			writer.String(), text(host), text(stateFolder), moment(at))
		return err
	})
}

// StateFolders returns the folders that gateways of a host had their write-ahead logs in.
func (s *Store) StateFolders(ctx context.Context, host string) (folders []string, err error) {
	err = s.read(ctx, "reading which gateways there are", func(c *sqlx.Conn) error {
		return c.SelectContext(ctx, &folders, c.Rebind(`SELECT DISTINCT state_folder FROM gateways WHERE host = ? ORDER BY state_folder`), text(host))
	})
	return folders, err
}

// lookedForAtOnce is how many requests one query looks for.
const lookedForAtOnce = 500

// Unwritten returns how many of some requests have no row.
func (s *Store) Unwritten(ctx context.Context, requests []*gateway.Intent) (missing int, err error) {
	err = s.read(ctx, "looking for requests", func(c *sqlx.Conn) error {
		for some := range slices.Chunk(requests, lookedForAtOnce) {
			written, err := idsOf(ctx, c, some)
			if err != nil {
				return err
			}
			for _, i := range some {
				if !written[i.ID] {
					missing++
				}
			}
		}
		return nil
	})
	return missing, err
}

// idsOf returns the ids of rows that started at the times of some requests.
func idsOf(ctx context.Context, c *sqlx.Conn, requests []*gateway.Intent) (map[uuid.UUID]bool, error) {
	var times []moment
	for _, i := range requests {
		times = append(times, moment(i.StartedAt))
	}
	query, args, err := sqlx.In(`SELECT id FROM requests WHERE started_at IN (?)`, times)
	if err != nil {
		return nil, err
	}
	var ids []uuid.UUID
	if err := c.SelectContext(ctx, &ids, c.Rebind(query), args...); err != nil {
		return nil, err
	}
	known := map[uuid.UUID]bool{}
	for _, id := range ids {
		known[id] = true
	}
	return known, nil
}
