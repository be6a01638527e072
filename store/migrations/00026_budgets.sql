-- +goose Up

-- What was spent, by key, user and team and by day, so that a budget is summed from a few
-- rows. It is kept in the transaction of the rows of requests, and stays when they are removed.
CREATE TABLE spending (
  scope         TEXT   NOT NULL, -- key, user, team
  name          TEXT   NOT NULL, -- of it: a key's id; anonymous for all clients without a gateway key
  day           TEXT   NOT NULL, -- in UTC, as 2026-01-31, on which the requests began
  spent_nanousd BIGINT NOT NULL,
  PRIMARY KEY (scope, name, day)
){{if .Postgres}} WITH (fillfactor = 70){{else}} WITHOUT ROWID{{end}};

INSERT INTO spending (scope, name, day, spent_nanousd)
SELECT 'key', CASE WHEN key_id LIKE 'key\_%' ESCAPE '\' THEN key_id ELSE 'anonymous' END, {{if .Postgres}}to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'){{else}}substr(started_at, 1, 10){{end}}, CAST(SUM(cost_nanousd) AS BIGINT)
FROM requests WHERE cost_nanousd IS NOT NULL GROUP BY 2, 3;
INSERT INTO spending (scope, name, day, spent_nanousd)
SELECT 'user', user_id, {{if .Postgres}}to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'){{else}}substr(started_at, 1, 10){{end}}, CAST(SUM(cost_nanousd) AS BIGINT)
FROM requests WHERE cost_nanousd IS NOT NULL AND user_id <> '' GROUP BY 2, 3;
INSERT INTO spending (scope, name, day, spent_nanousd)
SELECT 'team', team, {{if .Postgres}}to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'){{else}}substr(started_at, 1, 10){{end}}, CAST(SUM(cost_nanousd) AS BIGINT)
FROM requests WHERE cost_nanousd IS NOT NULL AND team <> '' GROUP BY 2, 3;

-- Corrections of what was spent, made by people. The table spending has them in it.
CREATE TABLE budget_entries (
  id             TEXT        NOT NULL PRIMARY KEY,
  at             TIMESTAMPTZ NOT NULL,
  actor          TEXT        NOT NULL,
  scope          TEXT        NOT NULL,
  name           TEXT        NOT NULL,
  day            TEXT        NOT NULL,
  amount_nanousd BIGINT      NOT NULL, -- negative takes off
  reason         TEXT        NOT NULL
);

-- Grants of one budget follow one another: whoever grants locks its row here.
CREATE TABLE budget_turns (
  scope  TEXT   NOT NULL,
  name   TEXT   NOT NULL,
  starts TEXT   NOT NULL, -- the first day of the period
  ends   TEXT   NOT NULL, -- the first day behind it
  grants BIGINT NOT NULL,
  PRIMARY KEY (scope, name, starts, ends)
);

-- What gateways may spend of a budget without asking again. A request's cost moves from here
-- into spending in the transaction of its row.
CREATE TABLE budget_leases (
  scope          TEXT        NOT NULL,
  name           TEXT        NOT NULL,
  starts         TEXT        NOT NULL,
  ends           TEXT        NOT NULL,
  gateway        TEXT        NOT NULL, -- the identity of its write-ahead log
  session        TEXT        NOT NULL, -- of its process
  amount_nanousd BIGINT      NOT NULL, -- negative where requests cost more than was held
  turn           BIGINT      NOT NULL, -- the last that was granted
  given_nanousd  BIGINT      NOT NULL, -- in that turn
  expires_at     TIMESTAMPTZ NOT NULL, -- it counts no more then
  PRIMARY KEY (scope, name, starts, ends, gateway, session)
);

CREATE INDEX budget_leases_by_gateway ON budget_leases (gateway, session);

-- Thresholds that budgets have crossed, each once.
CREATE TABLE budget_events (
  id             TEXT        NOT NULL PRIMARY KEY,
  scope          TEXT        NOT NULL,
  name           TEXT        NOT NULL,
  period         TEXT        NOT NULL, -- day, week, month, total
  starts         TEXT        NOT NULL,
  ends           TEXT        NOT NULL,
  threshold      BIGINT      NOT NULL, -- in percent
  amount_nanousd BIGINT      NOT NULL, -- of the budget
  spent_nanousd  BIGINT      NOT NULL, -- when it was noticed
  at             TIMESTAMPTZ NOT NULL,
  attempts       BIGINT      NOT NULL, -- of telling the webhook
  next_at        TIMESTAMPTZ NOT NULL, -- of the next one
  delivered_at   TIMESTAMPTZ,
  UNIQUE (scope, name, starts, ends, threshold, amount_nanousd)
);

ALTER TABLE gateway_keys ADD COLUMN budget TEXT; -- a JSON list; null for none of its own
