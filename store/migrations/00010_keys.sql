-- +goose Up

-- How many changes were made to what is administered. One row. Whoever changes something
-- locks it first, so changes follow one another, and a reader that knows a version has seen
-- all before it.
CREATE TABLE changes (
  id      BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  store   TEXT   NOT NULL, -- tells this store from every other
  version BIGINT NOT NULL
);

-- The keys that the gateway issued. None is ever removed: rows of usage name them. The
-- table keys has the labels of all keys in the usage, clients' own included.
CREATE TABLE gateway_keys (
  id            TEXT        NOT NULL PRIMARY KEY,
  version       BIGINT      NOT NULL UNIQUE, -- of its last change
  prefix        TEXT        NOT NULL,        -- first characters of the secret
  hash          TEXT        NOT NULL UNIQUE, -- SHA-256 of the secret, in hex
  previous_hash TEXT        UNIQUE,          -- of the secret before the last rotation, which works until grace_until
  grace_until   TIMESTAMPTZ,
  label         TEXT        NOT NULL,
  role          TEXT        NOT NULL,        -- member, admin
  owner         TEXT        NOT NULL,
  team          TEXT        NOT NULL,
  models        TEXT,                        -- patterns as a JSON list; null allows every model
  networks      TEXT,                        -- as a JSON list; null is everywhere
  tags          TEXT        NOT NULL,        -- a JSON object
  limits        TEXT        NOT NULL,        -- a JSON object
  provider_keys BOOLEAN     NOT NULL,        -- clients may bring a provider's key
  created_at    TIMESTAMPTZ NOT NULL,
  expires_at    TIMESTAMPTZ,
  revoked_at    TIMESTAMPTZ
);

-- Who changed what. It holds no secrets.
CREATE TABLE audit (
  id      BIGINT      NOT NULL PRIMARY KEY, -- the version of the change
  at      TIMESTAMPTZ NOT NULL,
  actor   TEXT        NOT NULL, -- the id of a key, or "command line"
  address TEXT        NOT NULL, -- the client's; empty for the command line
  action  TEXT        NOT NULL, -- key.create, key.update, key.rotate, key.revoke
  target  TEXT        NOT NULL, -- id of what was changed
  before  TEXT,                 -- JSON; null where there was nothing
  after   TEXT                  -- JSON
);

CREATE INDEX audit_by_target ON audit (target, id);
