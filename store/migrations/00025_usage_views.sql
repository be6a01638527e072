-- +goose Up
{{define "sums"}}
  CAST(SUM(u.requests) AS BIGINT) AS requests,
  CAST(SUM(u.failed) AS BIGINT) AS failed,
  CAST(SUM(u.unpriced) AS BIGINT) AS unpriced,
  CAST(SUM(u.estimated) AS BIGINT) AS estimated,
  CAST(SUM(u.prompt_tokens) AS BIGINT) AS prompt_tokens,
  CAST(SUM(u.cached_tokens) AS BIGINT) AS cached_tokens,
  CAST(SUM(u.cache_write_tokens) AS BIGINT) AS cache_write_tokens,
  CAST(SUM(u.completion_tokens) AS BIGINT) AS completion_tokens,
  CAST(SUM(u.reasoning_tokens) AS BIGINT) AS reasoning_tokens,
  CAST(SUM(u.cost_nanousd) AS BIGINT) AS cost_nanousd,
  SUM(u.cost_nanousd) / 1e9 AS cost_usd,
  CAST(SUM(u.duration_ms) / NULLIF(SUM(u.requests), 0) AS BIGINT) AS average_ms,
  CAST(SUM(u.ttft_ms) / NULLIF(SUM(u.answered), 0) AS BIGINT) AS average_ttft_ms
{{end -}}
-- Views for people, described in docs/sql.md. Names and columns are the same in both databases.

-- So that requests without a price are found among millions that have one.
CREATE INDEX requests_unpriced ON requests (started_at) WHERE cost_nanousd IS NULL;

CREATE VIEW usage_by_day AS SELECT u.day, {{template "sums"}} FROM usage_hourly u GROUP BY u.day;

CREATE VIEW usage_by_key AS SELECT u.day, u.key_id, COALESCE(MAX(k.label), '') AS label, {{template "sums"}}
FROM usage_hourly u LEFT JOIN keys k ON k.key_id = u.key_id GROUP BY u.day, u.key_id;

CREATE VIEW usage_by_user AS SELECT u.day, u.user_id, {{template "sums"}} FROM usage_hourly u GROUP BY u.day, u.user_id;

CREATE VIEW usage_by_team AS SELECT u.day, u.team, {{template "sums"}} FROM usage_hourly u GROUP BY u.day, u.team;

CREATE VIEW usage_by_model AS SELECT u.day, u.model, {{template "sums"}} FROM usage_hourly u GROUP BY u.day, u.model;

CREATE VIEW usage_by_backend AS SELECT u.day, u.backend, {{template "sums"}} FROM usage_hourly u GROUP BY u.day, u.backend;

-- One row for each tag of a request, with the columns of it that are added up.
CREATE VIEW request_tags AS SELECT
  {{if .Postgres}}to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'){{else}}substr(r.started_at, 1, 10){{end}} AS day,
  r.started_at, r.id, t.key AS tag, t.value AS value, r.key_id, r.user_id, r.team, r.model, r.backend, r.outcome, r.usage_source, r.request_id,
  r.prompt_tokens, r.cached_tokens, r.cache_write_tokens, r.completion_tokens, r.reasoning_tokens, r.cost_nanousd, r.duration_ms, r.ttft_ms
FROM requests r {{if .Postgres}}CROSS JOIN LATERAL jsonb_each_text(CAST(r.tags AS jsonb)){{else}}JOIN json_each(r.tags){{end}} t
WHERE r.tags IS NOT NULL;

CREATE VIEW usage_by_tag AS SELECT u.day, u.tag, u.value, {{template "sums"}} FROM (
  SELECT day, tag, value, 1 AS requests, CASE WHEN outcome IN ('provider_error', 'provider_closed') THEN 1 ELSE 0 END AS failed,
    CASE WHEN cost_nanousd IS NULL THEN 1 ELSE 0 END AS unpriced, CASE WHEN usage_source IN ('counted', 'estimated') THEN 1 ELSE 0 END AS estimated,
    prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, COALESCE(cost_nanousd, 0) AS cost_nanousd, duration_ms, ttft_ms,
    CASE WHEN ttft_ms IS NULL THEN 0 ELSE 1 END AS answered
  FROM request_tags) u
GROUP BY u.day, u.tag, u.value;

-- Percentiles by nearest rank: what the share of requests kept below or at. Only requests that
-- were answered to the end.
CREATE VIEW latency_by_model AS SELECT q.day, q.model, COUNT(*) AS requests,
  MIN(CASE WHEN q.ttft_rank * 100 >= q.ttft_count * 50 THEN q.ttft_ms END) AS ttft_p50_ms,
  MIN(CASE WHEN q.ttft_rank * 100 >= q.ttft_count * 90 THEN q.ttft_ms END) AS ttft_p90_ms,
  MIN(CASE WHEN q.ttft_rank * 100 >= q.ttft_count * 95 THEN q.ttft_ms END) AS ttft_p95_ms,
  MIN(CASE WHEN q.ttft_rank * 100 >= q.ttft_count * 99 THEN q.ttft_ms END) AS ttft_p99_ms,
  MIN(CASE WHEN q.duration_rank * 100 >= q.duration_count * 50 THEN q.duration_ms END) AS duration_p50_ms,
  MIN(CASE WHEN q.duration_rank * 100 >= q.duration_count * 90 THEN q.duration_ms END) AS duration_p90_ms,
  MIN(CASE WHEN q.duration_rank * 100 >= q.duration_count * 95 THEN q.duration_ms END) AS duration_p95_ms,
  MIN(CASE WHEN q.duration_rank * 100 >= q.duration_count * 99 THEN q.duration_ms END) AS duration_p99_ms
FROM (SELECT s.day, s.model, s.ttft_ms, s.duration_ms,
    ROW_NUMBER() OVER (PARTITION BY s.day, s.model ORDER BY CASE WHEN s.ttft_ms IS NULL THEN 1 ELSE 0 END, s.ttft_ms) AS ttft_rank,
    COUNT(s.ttft_ms) OVER (PARTITION BY s.day, s.model) AS ttft_count,
    ROW_NUMBER() OVER (PARTITION BY s.day, s.model ORDER BY s.duration_ms) AS duration_rank,
    COUNT(*) OVER (PARTITION BY s.day, s.model) AS duration_count
  FROM (SELECT {{if .Postgres}}to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'){{else}}substr(r.started_at, 1, 10){{end}} AS day,
      r.model, r.ttft_ms, r.duration_ms FROM requests r WHERE r.outcome = 'ok') s) q
GROUP BY q.day, q.model;

-- Calls of backends that did not serve the answer.
CREATE VIEW retry_waste AS SELECT w.day, w.model, w.backend, w.status, COUNT(*) AS attempts, CAST(SUM(w.duration_ms) AS BIGINT) AS wasted_ms,
  CAST(SUM(w.response_bytes) AS BIGINT) AS response_bytes, CAST(COALESCE(SUM(w.cost_nanousd), 0) AS BIGINT) AS cost_nanousd,
  COALESCE(SUM(w.cost_nanousd), 0) / 1e9 AS cost_usd
FROM (SELECT {{if .Postgres}}to_char(a.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'){{else}}substr(a.started_at, 1, 10){{end}} AS day,
    r.model, a.backend, a.status, a.duration_ms, a.response_bytes, a.cost_nanousd
  FROM attempts a JOIN requests r ON r.started_at = a.started_at AND r.id = a.id WHERE a.attempt < r.attempts) w
GROUP BY w.day, w.model, w.backend, w.status;

-- Requests whose cost is not known.
CREATE VIEW unpriced AS SELECT n.day, n.model, n.upstream_model, n.backend, n.service_tier, COUNT(*) AS requests,
  CAST(SUM(n.prompt_tokens) AS BIGINT) AS prompt_tokens, CAST(SUM(n.completion_tokens) AS BIGINT) AS completion_tokens
FROM (SELECT {{if .Postgres}}to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'){{else}}substr(r.started_at, 1, 10){{end}} AS day,
    r.model, r.upstream_model, r.backend, COALESCE(r.service_tier, '') AS service_tier, r.prompt_tokens, r.completion_tokens
  FROM requests r WHERE r.cost_nanousd IS NULL) n
GROUP BY n.day, n.model, n.upstream_model, n.backend, n.service_tier;
