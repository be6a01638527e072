-- +goose Up

ALTER TABLE requests ADD COLUMN cache_write_tokens BIGINT NOT NULL DEFAULT 0; -- part of prompt_tokens
ALTER TABLE requests ADD COLUMN price_version TEXT; -- of the price that cost_nanousd was computed with; null for none

-- One row for each call of a backend: what was repeated is visible here.
CREATE TABLE attempts (
  started_at     TIMESTAMPTZ NOT NULL, -- of the request
  id             TEXT        NOT NULL, -- of the request
  attempt        BIGINT      NOT NULL, -- from 1
  backend        TEXT        NOT NULL,
  status         BIGINT      NOT NULL, -- of the answer; 0 if none came
  start_ms       BIGINT      NOT NULL, -- from the first attempt's start
  duration_ms    BIGINT      NOT NULL, -- to the answer's headers, of the last one to the answer's end
  response_bytes BIGINT      NOT NULL, -- of the answer's body that reached the client
  cost_nanousd   BIGINT,               -- null where it is not known
  PRIMARY KEY (started_at, id, attempt)
){{if .Postgres}} PARTITION BY RANGE (started_at){{else}} WITHOUT ROWID{{end}};
