-- +goose Up

-- One row for each planned request, written once, whatever died in between.
CREATE TABLE requests (
  started_at        TIMESTAMPTZ NOT NULL, -- in SQLite UTC, as RFC 3339 with six decimals
  id                TEXT        NOT NULL, -- UUID of version 7, minted by the gateway
  request_id        TEXT        NOT NULL, -- the client's label; clients repeat it
  duration_ms       BIGINT      NOT NULL,
  ttft_ms           BIGINT,               -- to the first byte of the answer; null if none came
  key_id            TEXT        NOT NULL,
  user_id           TEXT,
  client_ip         TEXT        NOT NULL,
  endpoint          TEXT        NOT NULL,
  model             TEXT        NOT NULL, -- as asked for
  backend           TEXT        NOT NULL,
  upstream_model    TEXT        NOT NULL, -- as the backend was asked for
  stream            BOOLEAN     NOT NULL,
  status            BIGINT      NOT NULL, -- 0 if the client never got one
  outcome           TEXT        NOT NULL, -- ok, provider_error, provider_closed, client_closed, unknown
  attempts          BIGINT      NOT NULL,
  prompt_tokens     BIGINT      NOT NULL,
  cached_tokens     BIGINT      NOT NULL, -- part of prompt_tokens
  completion_tokens BIGINT      NOT NULL,
  reasoning_tokens  BIGINT      NOT NULL, -- part of completion_tokens
  usage_source      TEXT        NOT NULL, -- provider, envoy, counted, estimated
  witness           TEXT        NOT NULL, -- both, gateway, envoy
  cost_nanousd      BIGINT,               -- 1 USD is 1000000000; null if the model has no price
  error_code        TEXT,
  PRIMARY KEY (started_at, id)
){{if .Postgres}} PARTITION BY RANGE (started_at){{else}} WITHOUT ROWID{{end}};

CREATE INDEX requests_by_key ON requests (key_id, started_at);

CREATE TABLE prompts (
  started_at        TIMESTAMPTZ NOT NULL,
  id                TEXT        NOT NULL,
  key_id            TEXT        NOT NULL,
  model             TEXT        NOT NULL,
  prompt            TEXT        NOT NULL, -- the last user message, cut
  answer            TEXT        NOT NULL, -- cut
  prompt_tokens     BIGINT      NOT NULL,
  completion_tokens BIGINT      NOT NULL,
  PRIMARY KEY (started_at, id)
){{if .Postgres}} PARTITION BY RANGE (started_at){{else}} WITHOUT ROWID{{end}};

CREATE TABLE keys (
  key_id     TEXT        NOT NULL PRIMARY KEY,
  label      TEXT        NOT NULL, -- for people; never the key
  first_seen TIMESTAMPTZ NOT NULL
);

-- Up to where the journal has become rows. Kept in the transaction of the rows.
CREATE TABLE journal_positions (
  name        TEXT   NOT NULL PRIMARY KEY,
  file        BIGINT NOT NULL, -- the file's inode
  byte_offset BIGINT NOT NULL
);
