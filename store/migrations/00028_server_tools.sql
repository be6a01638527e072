-- +goose Up
ALTER TABLE requests ADD COLUMN server_tool_calls BIGINT NOT NULL DEFAULT 0; -- of tools that the provider ran itself
