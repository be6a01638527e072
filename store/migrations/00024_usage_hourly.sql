-- +goose Up
{{define "key"}}day, hour, key_id, user_id, team, model, backend, gateway{{end -}}
{{define "columns"}}{{template "key"}}, requests, failed, unpriced, estimated, prompt_tokens, cached_tokens, cache_write_tokens,
  completion_tokens, reasoning_tokens, cost_nanousd, duration_ms, ttft_ms, answered{{end -}}
{{define "values"}}{{.}}.key_id, COALESCE({{.}}.user_id, '') AS user_id, COALESCE({{.}}.team, '') AS team, {{.}}.model, {{.}}.backend,
  COALESCE({{.}}.gateway, '') AS gateway, 1 AS requests, CASE WHEN {{.}}.outcome IN ('provider_error', 'provider_closed') THEN 1 ELSE 0 END AS failed,
  CASE WHEN {{.}}.cost_nanousd IS NULL THEN 1 ELSE 0 END AS unpriced, CASE WHEN {{.}}.usage_source IN ('counted', 'estimated') THEN 1 ELSE 0 END AS estimated,
  {{.}}.prompt_tokens, {{.}}.cached_tokens, {{.}}.cache_write_tokens, {{.}}.completion_tokens, {{.}}.reasoning_tokens,
  COALESCE({{.}}.cost_nanousd, 0) AS cost_nanousd, {{.}}.duration_ms, COALESCE({{.}}.ttft_ms, 0) AS ttft_ms, CASE WHEN {{.}}.ttft_ms IS NULL THEN 0 ELSE 1 END AS answered{{end -}}
{{define "merge"}}ON CONFLICT ({{template "key"}}) DO UPDATE SET
  requests = usage_hourly.requests {{.}} excluded.requests,
  failed = usage_hourly.failed {{.}} excluded.failed,
  unpriced = usage_hourly.unpriced {{.}} excluded.unpriced,
  estimated = usage_hourly.estimated {{.}} excluded.estimated,
  prompt_tokens = usage_hourly.prompt_tokens {{.}} excluded.prompt_tokens,
  cached_tokens = usage_hourly.cached_tokens {{.}} excluded.cached_tokens,
  cache_write_tokens = usage_hourly.cache_write_tokens {{.}} excluded.cache_write_tokens,
  completion_tokens = usage_hourly.completion_tokens {{.}} excluded.completion_tokens,
  reasoning_tokens = usage_hourly.reasoning_tokens {{.}} excluded.reasoning_tokens,
  cost_nanousd = usage_hourly.cost_nanousd {{.}} excluded.cost_nanousd,
  duration_ms = usage_hourly.duration_ms {{.}} excluded.duration_ms,
  ttft_ms = usage_hourly.ttft_ms {{.}} excluded.ttft_ms,
  answered = usage_hourly.answered {{.}} excluded.answered{{end -}}
-- The requests of each hour added up, so that the bill of a month does not read its requests.
-- Triggers keep it in the transaction of the rows, whoever writes or corrects them. What is
-- added up stays when old requests are removed. Each gateway has rows of its own: others would
-- wait for it to commit.
CREATE TABLE usage_hourly (
  day                TEXT        NOT NULL, -- of the hour, in UTC, as 2026-01-31
  hour               TIMESTAMPTZ NOT NULL, -- when it began
  key_id             TEXT        NOT NULL,
  user_id            TEXT        NOT NULL, -- empty for none
  team               TEXT        NOT NULL, -- empty for none
  model              TEXT        NOT NULL,
  backend            TEXT        NOT NULL,
  gateway            TEXT        NOT NULL, -- empty for older rows
  requests           BIGINT      NOT NULL,
  failed             BIGINT      NOT NULL, -- those that a provider is at fault for
  unpriced           BIGINT      NOT NULL, -- those whose cost is not known
  estimated          BIGINT      NOT NULL, -- those whose tokens no provider told
  prompt_tokens      BIGINT      NOT NULL,
  cached_tokens      BIGINT      NOT NULL, -- part of prompt_tokens
  cache_write_tokens BIGINT      NOT NULL, -- part of prompt_tokens
  completion_tokens  BIGINT      NOT NULL,
  reasoning_tokens   BIGINT      NOT NULL, -- part of completion_tokens
  cost_nanousd       BIGINT      NOT NULL, -- of those whose cost is known
  duration_ms        BIGINT      NOT NULL, -- of all, added up
  ttft_ms            BIGINT      NOT NULL, -- of those that were answered, added up
  answered           BIGINT      NOT NULL, -- those with a first byte
  PRIMARY KEY ({{template "key"}})
){{if .Postgres}} WITH (fillfactor = 70){{else}} WITHOUT ROWID{{end}};

{{if .Postgres}}
CREATE FUNCTION add_usage_hourly() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_hourly ({{template "columns"}})
  SELECT {{template "key"}}, SUM(requests), SUM(failed), SUM(unpriced), SUM(estimated), SUM(prompt_tokens), SUM(cached_tokens), SUM(cache_write_tokens), SUM(completion_tokens), SUM(reasoning_tokens), SUM(cost_nanousd), SUM(duration_ms), SUM(ttft_ms), SUM(answered)
  FROM (SELECT to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, date_trunc('hour', r.started_at, 'UTC') AS hour, {{template "values" "r"}} FROM added r) v
  GROUP BY {{template "key"}} ORDER BY {{template "key"}}
  {{template "merge" "+"}};
  RETURN NULL;
END $$;

CREATE FUNCTION remove_usage_hourly() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_hourly ({{template "columns"}})
  SELECT {{template "key"}}, SUM(requests), SUM(failed), SUM(unpriced), SUM(estimated), SUM(prompt_tokens), SUM(cached_tokens), SUM(cache_write_tokens), SUM(completion_tokens), SUM(reasoning_tokens), SUM(cost_nanousd), SUM(duration_ms), SUM(ttft_ms), SUM(answered)
  FROM (SELECT to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, date_trunc('hour', r.started_at, 'UTC') AS hour, {{template "values" "r"}} FROM removed r) v
  GROUP BY {{template "key"}} ORDER BY {{template "key"}}
  {{template "merge" "-"}};
  RETURN NULL;
END $$;

CREATE TRIGGER requests_1_insert AFTER INSERT ON requests REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_usage_hourly();
CREATE TRIGGER requests_2_update AFTER UPDATE ON requests REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION remove_usage_hourly();
CREATE TRIGGER requests_3_update AFTER UPDATE ON requests REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_usage_hourly();

INSERT INTO usage_hourly ({{template "columns"}})
SELECT {{template "key"}}, SUM(requests), SUM(failed), SUM(unpriced), SUM(estimated), SUM(prompt_tokens), SUM(cached_tokens), SUM(cache_write_tokens), SUM(completion_tokens), SUM(reasoning_tokens), SUM(cost_nanousd), SUM(duration_ms), SUM(ttft_ms), SUM(answered)
FROM (SELECT to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, date_trunc('hour', r.started_at, 'UTC') AS hour, {{template "values" "r"}} FROM requests r) v
GROUP BY {{template "key"}};
{{else}}
CREATE TRIGGER requests_insert AFTER INSERT ON requests BEGIN
  INSERT INTO usage_hourly ({{template "columns"}})
  SELECT substr(NEW.started_at, 1, 10), substr(NEW.started_at, 1, 13) || ':00:00.000000Z', {{template "values" "NEW"}} WHERE true
  {{template "merge" "+"}};
END;

CREATE TRIGGER requests_update AFTER UPDATE ON requests BEGIN
  INSERT INTO usage_hourly ({{template "columns"}})
  SELECT substr(OLD.started_at, 1, 10), substr(OLD.started_at, 1, 13) || ':00:00.000000Z', {{template "values" "OLD"}} WHERE true
  {{template "merge" "-"}};
  INSERT INTO usage_hourly ({{template "columns"}})
  SELECT substr(NEW.started_at, 1, 10), substr(NEW.started_at, 1, 13) || ':00:00.000000Z', {{template "values" "NEW"}} WHERE true
  {{template "merge" "+"}};
END;

INSERT INTO usage_hourly ({{template "columns"}})
SELECT {{template "key"}}, SUM(requests), SUM(failed), SUM(unpriced), SUM(estimated), SUM(prompt_tokens), SUM(cached_tokens), SUM(cache_write_tokens), SUM(completion_tokens), SUM(reasoning_tokens), SUM(cost_nanousd), SUM(duration_ms), SUM(ttft_ms), SUM(answered)
FROM (SELECT substr(r.started_at, 1, 10) AS day, substr(r.started_at, 1, 13) || ':00:00.000000Z' AS hour, {{template "values" "r"}} FROM requests r) v
GROUP BY {{template "key"}};
{{end}}
