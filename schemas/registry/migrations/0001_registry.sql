-- Read by SQLite and PostgreSQL alike. Times are microseconds since 1970 UTC,
-- 0 is never; a row with revoked = 0 is alive. Hashes are SHA-256 in hex.

CREATE TABLE accounts (
	id      TEXT PRIMARY KEY,
	name    TEXT NOT NULL,
	created BIGINT NOT NULL,
	revoked BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE products (
	id          BIGINT PRIMARY KEY,
	account_id  TEXT NOT NULL REFERENCES accounts (id),
	name        TEXT NOT NULL,
	next_client BIGINT NOT NULL, -- the EUID that is given out next
	created     BIGINT NOT NULL,
	revoked     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX products_account ON products (account_id);

CREATE TABLE sources (
	key         TEXT PRIMARY KEY,
	secret_hash TEXT NOT NULL,
	product_id  BIGINT NOT NULL REFERENCES products (id),
	name        TEXT NOT NULL,
	rate        DOUBLE PRECISION NOT NULL, -- events a second, 0 is no limit
	created     BIGINT NOT NULL,
	revoked     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX sources_product ON sources (product_id);

CREATE TABLE tokens (
	id           TEXT PRIMARY KEY,
	token_hash   TEXT NOT NULL UNIQUE,
	account_id   TEXT NOT NULL REFERENCES accounts (id),
	name         TEXT NOT NULL,
	all_products BIGINT NOT NULL, -- 1: whatever the account has; 0: those of token_products
	created      BIGINT NOT NULL,
	revoked      BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX tokens_account ON tokens (account_id);

CREATE TABLE token_products (
	token_id   TEXT NOT NULL REFERENCES tokens (id),
	product_id BIGINT NOT NULL REFERENCES products (id),
	PRIMARY KEY (token_id, product_id)
);

CREATE TABLE users (
	id            TEXT PRIMARY KEY,
	account_id    TEXT NOT NULL REFERENCES accounts (id),
	email         TEXT NOT NULL, -- lower case
	password_hash TEXT NOT NULL, -- argon2id, with its parameters
	created       BIGINT NOT NULL,
	revoked       BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX users_email ON users (email) WHERE revoked = 0;
CREATE INDEX users_account ON users (account_id);

CREATE TABLE sessions (
	id_hash TEXT PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES users (id),
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE identities (
	product_id BIGINT NOT NULL REFERENCES products (id),
	name       TEXT NOT NULL,
	value      TEXT NOT NULL,
	euid       BIGINT NOT NULL,
	created    BIGINT NOT NULL,
	PRIMARY KEY (product_id, name, value)
);
CREATE INDEX identities_euid ON identities (product_id, euid);

CREATE TABLE shard_owners (
	shard    BIGINT PRIMARY KEY,
	epoch    BIGINT NOT NULL, -- raised by each claim, never lowered
	owner_id TEXT NOT NULL,   -- '' once released
	addr     TEXT NOT NULL,
	expires  BIGINT NOT NULL
);

CREATE TABLE processors (
	id      TEXT PRIMARY KEY,
	expires BIGINT NOT NULL
);

CREATE TABLE settings (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
);

CREATE TABLE locks (
	name    TEXT PRIMARY KEY,
	owner   TEXT NOT NULL,
	expires BIGINT NOT NULL
);
