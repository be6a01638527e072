-- +goose Up

-- What the gateways of one store have in common, such as the secret that key ids are made with.
CREATE TABLE shared_values (
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

-- The gateways that have written here, by the identity of their write-ahead log.
CREATE TABLE gateways (
  gateway      TEXT        NOT NULL PRIMARY KEY,
  host         TEXT        NOT NULL,
  state_folder TEXT        NOT NULL, -- where its write-ahead log is
  started_at   TIMESTAMPTZ NOT NULL  -- the last time
);
