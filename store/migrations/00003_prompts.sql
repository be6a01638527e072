-- +goose Up
{{if not .Postgres}}
-- With an index beside it instead of in it: a row of texts does not fit into an index's
-- page, and a table that grows at its end is written for half of the cost.
ALTER TABLE prompts RENAME TO prompts_before;

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
);

INSERT INTO prompts (started_at, id, key_id, model, prompt, answer, prompt_tokens, completion_tokens)
SELECT started_at, id, key_id, model, prompt, answer, prompt_tokens, completion_tokens FROM prompts_before ORDER BY started_at, id;

DROP TABLE prompts_before;
{{end}}
