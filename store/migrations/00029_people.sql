-- +goose Up

-- People who sign in, or are invited to. None is ever removed: rows of usage name them.
CREATE TABLE people (
  id           TEXT        NOT NULL PRIMARY KEY,
  version      BIGINT      NOT NULL UNIQUE, -- of the last change
  name         TEXT        NOT NULL UNIQUE, -- user_id of the usage; it never changes
  issuer       TEXT,                        -- the OpenID provider and the account there; null before the first sign-in
  subject      TEXT,
  email        TEXT        NOT NULL,        -- in small letters
  full_name    TEXT        NOT NULL,
  role         TEXT        NOT NULL,        -- viewer, member, admin
  role_by_hand BOOLEAN     NOT NULL,        -- no claim changes it
  team         TEXT        NOT NULL,
  budget       TEXT,                        -- a JSON list; null for none of its own
  created_at   TIMESTAMPTZ NOT NULL,
  invited_at   TIMESTAMPTZ,
  signed_in_at TIMESTAMPTZ,
  blocked_at   TIMESTAMPTZ,
  settings     TEXT        NOT NULL,        -- a JSON object
  provider_key TEXT        NOT NULL,        -- encrypted; empty for none
  UNIQUE (issuer, subject)
);

CREATE INDEX people_by_email ON people (email);

-- Browsers in which people have signed in.
CREATE TABLE sessions (
  id         TEXT        NOT NULL PRIMARY KEY,
  version    BIGINT      NOT NULL UNIQUE,
  hash       TEXT        NOT NULL UNIQUE, -- SHA-256 of the secret, in hex
  attempt    TEXT        NOT NULL UNIQUE, -- at signing in; each begins one session at most
  person     TEXT        NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  seen_at    TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL,
  ended_at   TIMESTAMPTZ,
  address    TEXT        NOT NULL,
  browser    TEXT        NOT NULL
);

CREATE INDEX sessions_by_person ON sessions (person, created_at);

-- Teams that have budgets of their own. Rows, people and keys name teams by their names.
CREATE TABLE teams (
  name       TEXT        NOT NULL PRIMARY KEY,
  version    BIGINT      NOT NULL UNIQUE,
  budget     TEXT,
  created_at TIMESTAMPTZ NOT NULL
);
