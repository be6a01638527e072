-- +goose Up

ALTER TABLE requests ADD COLUMN service_tier TEXT; -- as the provider billed it; null where it did not say
ALTER TABLE requests ADD COLUMN cache_write_1h_tokens BIGINT NOT NULL DEFAULT 0; -- part of cache_write_tokens
ALTER TABLE requests ADD COLUMN team TEXT;
ALTER TABLE requests ADD COLUMN tags TEXT; -- a JSON object of texts
ALTER TABLE requests ADD COLUMN gateway TEXT; -- the identity of the write-ahead log that it came from

{{if .Postgres}}
-- For rows of days that have no partition. Those of each day are made ahead.
CREATE TABLE requests_default PARTITION OF requests DEFAULT;
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;
CREATE TABLE prompts_default PARTITION OF prompts DEFAULT;
{{end}}
