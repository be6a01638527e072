-- +goose Up

-- Responses that providers keep: which backend made each, for whom, and which of those that are made
-- in the background have not ended.
CREATE TABLE responses (
  id            TEXT        NOT NULL PRIMARY KEY, -- the provider's
  started_at    TIMESTAMPTZ NOT NULL,             -- of the request that made it
  request       TEXT        NOT NULL,             -- its id
  backend       TEXT        NOT NULL,
  model         TEXT        NOT NULL,
  key_id        TEXT        NOT NULL,             -- who has it
  user_id       TEXT        NOT NULL,             -- likewise; empty for nobody that is known
  prompt_tokens BIGINT      NOT NULL,             -- of the request, estimated
  total_tokens  BIGINT      NOT NULL,             -- prompt and answer; 0 while that is not known
  next_at       TIMESTAMPTZ                       -- when the backend is asked next what it used; null once that is known
);

CREATE INDEX responses_by_time ON responses (started_at);
CREATE INDEX responses_pending ON responses (next_at) WHERE next_at IS NOT NULL;
