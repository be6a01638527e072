package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

const teamColumns = `name, version, budget, created_at`

// TeamsSince calls take for each team that was changed after a version, in the order of versions.
func (s *Store) TeamsSince(ctx context.Context, version int64, take func(*gateway.TeamRecord)) error {
	return s.read(ctx, "reading teams", func(c *sqlx.Conn) error {
		rows, err := c.QueryContext(ctx, c.Rebind(`SELECT `+teamColumns+` FROM teams WHERE version > ? ORDER BY version`), version)
		return eachRow(rows, err, func() error {
			team, err := readTeam(rows)
			if err == nil {
				take(team)
			}
			return err
		})
	})
}

func readTeam(row interface{ Scan(...any) error }) (*gateway.TeamRecord, error) {
	var t gateway.TeamRecord
	var created moment
	var budget *string
	if err := row.Scan(&t.Name, &t.Version, &budget, &created); err != nil {
		return nil, err
	}
	t.CreatedAt = time.Time(created)
	if err := readJSON(&t.Budget, budget); err != nil {
		return nil, fmt.Errorf("reading team %q: %w", t.Name, err)
	}
	return &t, nil
}

// Teams returns every team that is in the table, or that people, keys or usage name, in the order
// of their names.
func (s *Store) Teams(ctx context.Context) ([]gateway.Team, error) {
	teams := []gateway.Team{}
	err := s.read(ctx, "reading teams", func(c *sqlx.Conn) error {
		rows, err := c.QueryContext(ctx, `SELECT n.name, COALESCE(t.version, 0), t.budget, COALESCE(t.created_at, n.created_at)
			FROM (SELECT name, MIN(created_at) AS created_at FROM (
				SELECT name, created_at FROM teams UNION ALL SELECT team, created_at FROM people UNION ALL SELECT team, created_at FROM gateway_keys) named
				WHERE name <> '' GROUP BY name) n
			LEFT JOIN teams t ON t.name = n.name ORDER BY n.name`)
		return eachRow(rows, err, func() error {
			team, err := readTeam(rows)
			if err == nil {
				teams = append(teams, team.Team)
			}
			return err
		})
	})
	return teams, err
}

// PutTeam makes a team, or replaces it by what change makes of it.
func (s *Store) PutTeam(ctx context.Context, name string, by gateway.Actor, change func(*gateway.Team) error) (gateway.TeamRecord, error) {
	var t gateway.TeamRecord
	err := s.change(ctx, "changing a team", func(tx *sqlx.Tx, version int64) error {
		before, err := readTeam(tx.QueryRowContext(ctx, tx.Rebind(`SELECT `+teamColumns+` FROM teams WHERE name = ?`), text(name)))
		var was any
		action := "team.update"
		switch {
		case errors.Is(err, sql.ErrNoRows):
			action, t = "team.create", gateway.TeamRecord{Team: gateway.Team{Name: text(name), CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}}
		case err != nil:
			return err
		default:
			t, was = *before, before.Team
		}
		if err := change(&t.Team); err != nil {
			return err
		}
		t.Version = version
		budget, err := optionalJSON(t.Budget)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`INSERT INTO teams (`+teamColumns+`) VALUES (?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET version = excluded.version, budget = excluded.budget`), t.Name, version, budget, moment(t.CreatedAt))
		if err != nil {
			return err
		}
		return audit(ctx, tx, auditedChange{version, by, action, t.Name, was, t.Team})
	})
	return t, err
}
